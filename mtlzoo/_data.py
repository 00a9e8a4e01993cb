"""Data as people have it, turned into what Keras takes, and checked on the way."""

import contextlib
from collections.abc import Iterator, Mapping
from types import GeneratorType
from typing import Any

import numpy as np
from keras import ops

from mtlzoo import _dataset, _labels
from mtlzoo._columns import columns_of, is_table, plain_array
from mtlzoo._dataset import MARK, check_rows, check_type, refuse_missing_inputs
from mtlzoo._dtypes import as_dtype, cast
from mtlzoo.errors import DataError, LabelError


def prepare(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    labelled: bool = True,
) -> tuple[Any, Any, Any]:
    """Return `x`, `y` and `sample_weight` as Keras's `fit` takes them.

    Dicts and data frames become dicts of arrays, checked against the model's inputs and
    tasks, and so does each batch of a generator. A `tf.data.Dataset` gets the same
    checks as a stage of its own. Other data adapters of Keras pass unchanged.

    Args:
        model: a `MultiTaskModel`.
        x: inputs.
        y: labels.
        sample_weight: weights.
        labelled: whether labels are used at all.

    Raises:
        DataError: inputs are missing or have the wrong shape.
        LabelError: labels have the wrong name, shape or range.
    """
    if x is None:
        raise DataError(
            "No inputs were given. Expected a dict of arrays by name, a data frame or "
            f"a data set, with: {', '.join(tensor.name for tensor in model.inputs)}."
        )
    if is_dataset(x):
        return _dataset.prepare(model, x, labelled), y, sample_weight
    if isinstance(x, GeneratorType):
        return _prepared(model, x, labelled), y, sample_weight
    if not is_table(x) and not hasattr(x, "shape") and not isinstance(x, list | tuple):
        return x, y, sample_weight
    x = prepare_inputs(model, x)
    if not labelled or y is None:
        return x, None, None
    rows = len(next(iter(x.values())))
    y = _labels.prepare_labels(model, y, rows)
    for layer, broken in _labels.label_rules(model, y):
        if ops.convert_to_numpy(broken).any():
            raise LabelError(layer.label_rule)
    return x, y, None if sample_weight is None else _weights(y, sample_weight)


def prepare_validation(model: Any, data: Any) -> Any:
    """Return `validation_data` as Keras's `fit` takes it."""
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        return prepare(model, *data)
    return prepare(model, data)[0]


def prepare_inputs(model: Any, x: Any) -> dict[str, Any]:
    """Return a dict with one array or tensor for each input of `model`."""
    tensors = {tensor.name: tensor for tensor in model.inputs}
    if is_table(x):
        x = columns_of(x, "`x`")
    elif len(tensors) == 1:
        # Keras takes a list of one array, too.
        is_list = isinstance(x, list | tuple) and len(x) == 1 and hasattr(x[0], "shape")
        x = dict.fromkeys(tensors, x[0] if is_list and len(x[0].shape) else x)
    elif isinstance(x, list | tuple) and len(x) == len(tensors):
        x = dict(zip(_in_order(model), x, strict=True))
    else:
        raise DataError(
            "Inputs must be a dict of arrays by name, a data frame, or a list in the "
            f"order of the model: {', '.join(_in_order(model))}. "
            f"Received: {type(x).__name__}."
        )
    refuse_missing_inputs(tensors, x)
    arrays = {
        name: _as_input(name, x[name], tensor) for name, tensor in tensors.items()
    }
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        raise DataError(f"Inputs must have the same number of rows. Received: {rows}.")
    if not all(rows.values()):
        raise DataError(f"Inputs must have at least one row. Received: {rows}.")
    return arrays


def _prepared(model: Any, batches: Any, labelled: bool) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        parts = batch if isinstance(batch, tuple) else (batch,)
        whole = prepare(model, *parts, labelled=labelled)
        yield tuple(part for part in whole if part is not None)


def _in_order(model: Any) -> list[str]:
    """Return the names of a model's inputs in the order in which they were given."""
    given = model.input  # `model.inputs` are sorted by name
    tensors = given.values() if isinstance(given, Mapping) else model.inputs
    return [tensor.name for tensor in tensors]


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Run a loop of Keras, and say what went wrong with labels as a `LabelError`."""
    try:
        yield
    except Exception as error:
        text = str(error).replace("\\'", "'")
        if MARK not in text:
            raise
        message = text.split(MARK, 1)[1].split("\n", 1)[0].strip(" '\"]")
        raise LabelError(message) from None


def is_dataset(data: Any) -> bool:
    """Return whether `data` is a `tf.data.Dataset`."""
    return hasattr(data, "element_spec") and hasattr(data, "map")


def _as_input(name: str, values: Any, tensor: Any) -> Any:
    what = f"Input {name!r}"
    if hasattr(values, "ragged_rank"):
        raise DataError(
            f"{what} must have rows of one shape. Received a RaggedTensor; pad it: "
            "ragged.to_tensor(mask_value)."
        )
    array = values if ops.is_tensor(values) else plain_array(values, what)
    if not len(array.shape):
        raise DataError(
            f"{what} must hold one entry a row. Received a single value, "
            f"{array.item()!r}; for one row pass [{array.item()!r}]."
        )
    check_rows(name, tensor, tuple(array.shape))
    if ops.is_tensor(array):
        check_type(name, tensor, array.dtype)
        if "int" not in tensor.dtype:
            return array
        array = ops.convert_to_numpy(array)  # to see that nothing is lost
    if array.ndim > len(tensor.shape):
        array = array.squeeze(-1)  # which Keras doesn't do with strings
    array = cast(array, tensor.dtype, what)
    if tensor.dtype == "string":
        # Keras refuses NumPy's strings and takes TensorFlow's.
        return ops.convert_to_tensor(array, dtype="string")
    return array


def _weights(y: Mapping[str, Any], sample_weight: Any) -> dict[str, Any]:
    """Return weights for every label in `y`, which is what Keras wants."""
    given = (
        columns_of(sample_weight, "`sample_weight`")
        if is_table(sample_weight)
        else dict.fromkeys(y, sample_weight)
    )
    if unknown := [str(name) for name in given if name not in y]:
        raise LabelError(
            f"`sample_weight` has {', '.join(unknown)}, which `y` hasn't: "
            f"{', '.join(y)}."
        )
    return {
        name: _checked_weights(name, given[name], labels.shape)
        if name in given
        else np.ones(len(labels), "float32")
        for name, labels in y.items()
    }


def _checked_weights(name: str, values: Any, labels: tuple[int, ...]) -> Any:
    what = f"Sample weights of task {name!r}"
    weights = as_dtype(values, "float32", what)
    rows = labels[:1]
    if weights.shape not in (rows, (*rows, 1), labels):
        shapes = " or ".join(str(one) for one in dict.fromkeys((rows, labels)))
        raise LabelError(
            f"{what} must be one a row or one a label, of shape {shapes}. "
            f"Received: {weights.shape}."
        )
    if (wrong := ~((weights >= 0) & np.isfinite(weights))).any():
        raise LabelError(
            f"{what} must be finite and at least 0. Received: {weights[wrong][0]}. A "
            "row that shall not count weighs 0."
        )
    return weights
