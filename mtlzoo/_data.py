"""Data as people have it, turned into what Keras takes, and checked on the way."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlzoo import _labels
from mtlzoo.errors import DataError, LabelError
from mtlzoo.features import to_seconds

_MARK = "mtlzoo labels: "


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
    tasks. A `tf.data.Dataset` gets the same checks as a stage of its own. Generators
    and other data adapters of Keras pass unchanged.

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
    if is_dataset(x):
        return _prepare_dataset(model, x, labelled), None, None
    if not _labels.is_table(x) and not hasattr(x, "shape") and not isinstance(x, list):
        return x, y, sample_weight
    x = prepare_inputs(model, x)
    if not labelled or y is None:
        return x, None, None
    rows = len(next(iter(x.values())))
    y = _labels.prepare_labels(model.tasks, y, rows)
    for layer, broken in _labels.label_rules(model, y):
        if ops.convert_to_numpy(broken).any():
            raise LabelError(layer.label_rule)
    if _labels.is_table(sample_weight):
        weights = {
            key: np.asarray(one, "float32") for key, one in sample_weight.items()
        }
        # Keras wants weights for every label it is given.
        ones = np.ones(rows, "float32")
        sample_weight = {name: weights.pop(name, ones) for name in y}
        if weights:
            raise LabelError(
                f"`sample_weight` has {', '.join(weights)}, which `y` hasn't: "
                f"{', '.join(y)}."
            )
    elif sample_weight is not None:
        sample_weight = {name: np.asarray(sample_weight, "float32") for name in y}
    return x, y, sample_weight


def prepare_validation(model: Any, data: Any) -> Any:
    """Return `validation_data` as Keras's `fit` takes it."""
    if isinstance(data, tuple) and len(data) in (2, 3):
        return prepare(model, *data)
    return prepare(model, data)[0]


def prepare_inputs(model: Any, x: Any) -> dict[str, Any]:
    """Return a dict with one array or tensor for each input of `model`."""
    tensors = {tensor.name: tensor for tensor in model.inputs}
    if not _labels.is_table(x):
        x = dict(zip(_in_order(model), x if isinstance(x, list) else [x], strict=False))
    _refuse_missing_inputs(tensors, x)
    arrays = {
        name: _as_array(name, x[name], tensor) for name, tensor in tensors.items()
    }
    if len({len(array) for array in arrays.values()}) > 1:
        rows = {name: len(array) for name, array in arrays.items()}
        raise DataError(f"Inputs must have the same number of rows. Received: {rows}.")
    return arrays


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
        if _MARK not in text:
            raise
        message = text.split(_MARK, 1)[1].split("\n", 1)[0].strip(" '\"]")
        raise LabelError(message) from None


def is_dataset(data: Any) -> bool:
    """Return whether `data` is a `tf.data.Dataset`."""
    return hasattr(data, "element_spec") and hasattr(data, "map")


def _refuse_missing_inputs(tensors: Mapping[str, Any], found: Any) -> None:
    if missing := [name for name in tensors if name not in found]:
        raise DataError(
            f"Every row needs all inputs of the model. Missing: {', '.join(missing)}. "
            f"Expected: {', '.join(tensors)}. Received: {', '.join(map(str, found))}."
        )


def _as_array(name: str, values: Any, tensor: Any) -> Any:
    if not hasattr(values, "dtype") or not hasattr(values, "shape"):
        values = np.asarray(values)
    if keras.ops.is_tensor(values):
        array = values
    else:
        array = np.asarray(values)
        if array.ndim == 0:
            raise DataError(
                f"Input {name!r} must hold one entry a row. Received a single value, "
                f"{array.item()!r}; for one row pass [{array.item()!r}]."
            )
    expected = tensor.shape[1:]
    shape = tuple(array.shape[1:])
    fits = len(shape) == len(expected) and all(
        want in (None, got) for want, got in zip(expected, shape, strict=True)
    )
    if not fits and shape not in (expected[:-1], (*expected, 1)):
        raise DataError(
            f"Input {name!r} must have rows of shape {tuple(expected)}. Received an "
            f"array of shape {tuple(array.shape)}."
        )
    if keras.ops.is_tensor(array):
        return array
    return _as_dtype(name, array, tensor.dtype)


def _as_dtype(name: str, array: Any, dtype: str) -> Any:
    if dtype == "string":
        # Keras refuses NumPy's strings and takes TensorFlow's.
        return ops.convert_to_tensor([str(value) for value in array], dtype="string")
    if np.issubdtype(array.dtype, np.datetime64):
        return to_seconds(array)
    try:
        return array.astype(dtype)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Input {name!r} must hold numbers ({dtype}). Received {array.dtype}: "
            f"{array.ravel()[0].item()!r}."
        ) from error


def _prepare_dataset(model: Any, dataset: Any, labelled: bool) -> Any:
    """Return `dataset` reduced to the model's inputs, with checked labels."""
    import tensorflow as tf

    spec = dataset.element_spec
    parts = spec if isinstance(spec, tuple) else (spec,)
    inputs = [tensor.name for tensor in model.inputs]
    if isinstance(parts[0], Mapping):
        _refuse_missing_inputs(
            {tensor.name: tensor for tensor in model.inputs}, parts[0]
        )
    by_name = {task.name: task for task in model.tasks}
    has_labels = labelled and len(parts) > 1
    if has_labels and isinstance(parts[1], Mapping):
        _labels.refuse_unknown_tasks(by_name, parts[1])
        for name, one in parts[1].items():
            if one.shape.rank is not None:
                _labels.check_shape(by_name[name], tuple(one.shape))

    def check(*element: Any) -> Any:
        x = element[0]
        if isinstance(x, Mapping):
            x = {name: x[name] for name in inputs}
        if not has_labels:
            return (x,)
        y = element[1]
        if isinstance(y, Mapping):
            checks = []
            for name, labels in y.items():
                right = tf.logical_not(
                    tf.reduce_any(_labels.wrong_labels(by_name[name], labels))
                )
                message = f"{_MARK}{_labels.range_message(by_name[name])}"
                checks.append(tf.debugging.Assert(right, [message]))
            for layer, broken in _labels.label_rules(model, y):
                right = tf.logical_not(tf.reduce_any(broken))
                message = f"{_MARK}{layer.label_rule}"
                checks.append(tf.debugging.Assert(right, [message]))
            with tf.control_dependencies(checks):
                y = {name: tf.identity(labels) for name, labels in y.items()}
        return (x, y, *element[2:])

    return dataset.map(check, num_parallel_calls=tf.data.AUTOTUNE)
