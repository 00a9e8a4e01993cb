"""The checks of `_data`, on a `tf.data.Dataset`: on what it says of its elements before
it is read, and on labels as a stage of its own.
"""

from collections.abc import Mapping
from typing import Any

import keras

from mtlzoo import _labels
from mtlzoo.errors import DataError, LabelError

MARK = "mtlzoo labels: "
"""What messages of that stage start with, which TensorFlow wraps in its own."""


def prepare(model: Any, dataset: Any, labelled: bool) -> Any:
    """Return `dataset` reduced to the model's inputs, with checked labels.

    Args:
        model: a `MultiTaskModel`.
        dataset: of `x`, `(x, y)` or `(x, y, sample_weight)`.
        labelled: whether labels are used at all.

    Raises:
        DataError: inputs are missing or have the wrong type or shape.
        LabelError: labels have the wrong name, type or shape.
    """
    import tensorflow as tf

    spec = dataset.element_spec
    parts = spec if isinstance(spec, tuple) else (spec,)
    tensors = {tensor.name: tensor for tensor in model.inputs}
    x = parts[0]
    if not isinstance(x, Mapping) and len(tensors) == 1:
        x = dict.fromkeys(tensors, x)
    if isinstance(x, Mapping):
        _check_inputs(tensors, x)
    by_name = {task.name: task for task in model.tasks}
    has_labels = labelled and len(parts) > 1
    if has_labels:
        _check_labels(model, *parts[1:])
    messages = {
        name: f"{MARK}{_labels.range_message(task)}{_labels.range_hint(task)}"
        for name, task in by_name.items()
    }

    def check(*element: Any) -> Any:
        x = element[0]
        if isinstance(x, Mapping):
            x = {name: x[name] for name in tensors}
        if not has_labels:
            return (x,)
        y = element[1]
        if isinstance(y, Mapping):
            checks = []
            for name, labels in y.items():
                right = tf.logical_not(
                    tf.reduce_any(_labels.wrong_labels(by_name[name], labels))
                )
                checks.append(tf.debugging.Assert(right, [messages[name]]))
            for layer, broken in _labels.label_rules(model, y):
                right = tf.logical_not(tf.reduce_any(broken))
                message = f"{MARK}{layer.label_rule}"
                checks.append(tf.debugging.Assert(right, [message]))
            with tf.control_dependencies(checks):
                y = {name: tf.identity(labels) for name, labels in y.items()}
        return (x, y, *element[2:])

    return dataset.map(check, num_parallel_calls=tf.data.AUTOTUNE)


def refuse_missing_inputs(tensors: Mapping[str, Any], found: Any) -> None:
    """Refuse data that lack an input of the model."""
    if missing := [name for name in tensors if name not in found]:
        raise DataError(
            f"Every row needs all inputs of the model. Missing: {', '.join(missing)}. "
            f"Expected: {', '.join(tensors)}. Received: {', '.join(map(str, found))}."
        )


def check_rows(name: str, tensor: Any, shape: tuple[int | None, ...]) -> None:
    """Refuse an input of a shape, batch included, that Keras can't make `tensor`'s.

    Keras adds a last axis of size 1 and takes one away.
    """
    expected = tuple(tensor.shape[1:])
    options = [expected, (*expected, 1)]
    if expected[-1:] == (1,):
        options.append(expected[:-1])
    rows = shape[1:]
    for option in options:
        if len(option) == len(rows) and all(
            want is None or got is None or want == got
            for want, got in zip(option, rows, strict=True)
        ):
            return
    raise DataError(
        f"Input {name!r} must have rows of shape {expected}. Received an array of "
        f"shape {shape}."
    )


def check_type(name: str, tensor: Any, dtype: Any) -> None:
    """Refuse texts for numbers and numbers for texts, which Keras can't cast."""
    came = keras.backend.standardize_dtype(dtype)
    if (came == "string") != (tensor.dtype == "string"):
        raise DataError(
            f"Input {name!r} must have type {tensor.dtype}. Received tensors of "
            f"{came}; convert them first, in a data set by its method map."
        )


def _check_inputs(tensors: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    refuse_missing_inputs(tensors, found)
    for name, tensor in tensors.items():
        shape, dtype = found[name].shape, found[name].dtype
        if shape.rank is not None:
            if shape.rank < len(tensor.shape) and tuple(shape) == tensor.shape[1:]:
                raise DataError(
                    "The data set must give batches of rows. Received single rows: "
                    f"input {name!r} has shape {tuple(shape)}. Batch it: "
                    "dataset.batch(32)."
                )
            check_rows(name, tensor, tuple(shape))
        check_type(name, tensor, dtype)


def _check_labels(model: Any, y: Any, sample_weight: Any = None) -> None:
    if not isinstance(y, Mapping):
        return
    tasks = {task.name: task for task in model.tasks}
    _labels.refuse_unknown_tasks(tasks, y)
    for name, one in y.items():
        if one.shape.rank is not None:
            predicted = model.output[name].shape
            _labels.check_shape(tasks[name], tuple(one.shape), predicted)
        if one.dtype.name == "string":
            raise LabelError(
                f"Labels of task {name!r} must be numbers. Received a data set that "
                "gives texts; convert them there: dataset.map(...)."
            )
    if isinstance(sample_weight, Mapping):
        _labels.refuse_unknown_tasks(tasks, sample_weight)
