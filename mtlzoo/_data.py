"""Data as people have it, turned into what Keras takes, and checked on the way."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlzoo.errors import DataError, LabelError
from mtlzoo.features import to_seconds
from mtlzoo.tasks import Task

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
    if not _is_table(x) and not hasattr(x, "shape") and not isinstance(x, list):
        return x, y, sample_weight
    x = prepare_inputs(model, x)
    if not labelled or y is None:
        return x, None, None
    rows = len(next(iter(x.values())))
    y = _prepare_labels(model.tasks, y, rows)
    for layer, broken in _label_rules(model, y):
        if ops.convert_to_numpy(broken).any():
            raise LabelError(layer.label_rule)
    if _is_table(sample_weight):
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
    if not _is_table(x):
        x = dict(zip(tensors, x if isinstance(x, list) else [x], strict=False))
    _refuse_missing_inputs(tensors, x)
    arrays = {
        name: _as_array(name, x[name], tensor) for name, tensor in tensors.items()
    }
    if len({len(array) for array in arrays.values()}) > 1:
        rows = {name: len(array) for name, array in arrays.items()}
        raise DataError(f"Inputs must have the same number of rows. Received: {rows}.")
    return arrays


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


@contextlib.contextmanager
def untrained_tasks() -> Iterator[None]:
    """Let a step train some of the variables only, without a warning.

    A task without labels in a batch trains none of its variables: that is what is meant
    to happen, and no mistake to warn of.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gradients do not exist")
        yield


def is_dataset(data: Any) -> bool:
    """Return whether `data` is a `tf.data.Dataset`."""
    return hasattr(data, "element_spec") and hasattr(data, "map")


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or hasattr(value, "columns")


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


def _prepare_labels(tasks: tuple[Task, ...], y: Any, rows: int) -> dict[str, Any]:
    by_name = {task.name: task for task in tasks}
    if not _is_table(y) and len(tasks) == 1:
        y = {tasks[0].name: y}
    if not _is_table(y):
        raise LabelError(
            f"Labels must be a dict keyed by task: {', '.join(by_name)}. Received: "
            f"{type(y).__name__}."
        )
    _refuse_unknown_tasks(by_name, y)
    labels = {}
    for name, values in y.items():
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            try:
                array = array.astype("float32")
            except (TypeError, ValueError) as error:
                raise LabelError(
                    f"Labels of task {name!r} must be numbers. Received {array.dtype}: "
                    f"{array.ravel()[0].item()!r}."
                ) from error
        if len(array) != rows:
            raise LabelError(
                f"Labels of task {name!r} must have as many rows as the inputs, "
                f"{rows}. Received: {len(array)}."
            )
        check_shape(by_name[name], array.shape)
        _check_range(by_name[name], array)
        labels[name] = array.astype("float32")
    return labels


def _refuse_unknown_tasks(tasks: Mapping[str, Task], found: Any) -> None:
    if unknown := [str(name) for name in found if name not in tasks]:
        raise LabelError(
            f"There is no task {', '.join(map(repr, unknown))}. Labels may be given "
            f"for: {', '.join(tasks)}."
        )
    if not len(found):
        raise LabelError(f"No labels were given. Tasks: {', '.join(tasks)}.")


def check_shape(task: Task, shape: tuple[int | None, ...]) -> None:
    """Refuse labels of a shape, batch included, that `task` doesn't take."""
    expected = task.label_shape
    rows = tuple(shape[1:])
    options = [expected]
    if expected and expected[-1] == 1:
        options.append(expected[:-1])
    if task.has_classes and len(expected) == 0:
        options.append((1,))
    for option in options:
        if len(option) == len(rows) and all(
            want is None or got is None or want == got
            for want, got in zip(option, rows, strict=True)
        ):
            return
    allowed = " or ".join(str(("rows", *option)) for option in options)
    raise LabelError(
        f"Labels of task {task.name!r} ({type(task).__name__}) must have shape "
        f"{allowed.replace(chr(39), '')}. Received: {tuple(shape)}."
    )


def _range_message(task: Task) -> str:
    hint = ""
    if task.missing is None:
        hint = " If -1 marks a missing label, say so: missing=-1."
    return (
        f"Labels of task {task.name!r} ({type(task).__name__}) must be "
        f"{task.expected_range}.{hint}"
    )


def _wrong(task: Task, labels: Any) -> Any:
    labels = ops.cast(labels, "float32")
    return ops.logical_and(task.labelled(labels), task.out_of_range(labels))


def _check_range(task: Task, labels: Any) -> None:
    wrong = ops.convert_to_numpy(_wrong(task, labels))
    if wrong.any():
        raise LabelError(f"{_range_message(task)} Received: {labels[wrong][0]}.")


def _label_rules(model: Any, labels: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each layer that has a rule for labels, and which rows break it."""
    for layer in model.layers:
        if hasattr(layer, "label_rule"):
            broken = layer.broken(labels)
            if broken is not None:
                yield layer, broken


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
        _refuse_unknown_tasks(by_name, parts[1])
        for name, one in parts[1].items():
            if one.shape.rank is not None:
                check_shape(by_name[name], tuple(one.shape))

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
                right = tf.logical_not(tf.reduce_any(_wrong(by_name[name], labels)))
                message = f"{_MARK}{_range_message(by_name[name])}"
                checks.append(tf.debugging.Assert(right, [message]))
            for layer, broken in _label_rules(model, y):
                right = tf.logical_not(tf.reduce_any(broken))
                message = f"{_MARK}{layer.label_rule}"
                checks.append(tf.debugging.Assert(right, [message]))
            with tf.control_dependencies(checks):
                y = {name: tf.identity(labels) for name, labels in y.items()}
        return (x, y, *element[2:])

    return dataset.map(check, num_parallel_calls=tf.data.AUTOTUNE)
