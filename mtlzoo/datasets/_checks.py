"""What every data set is held to, and how its columns are stored."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mtlzoo._labels import check_shape
from mtlzoo._registry import unknown_name
from mtlzoo.errors import DataError, LabelError
from mtlzoo.features import Date, Feature, to_seconds
from mtlzoo.tasks import Task
from mtlzoo.tasks._base import NAME_PATTERN

SPLITS = ("train", "validation", "test")


def check_splits(
    name: str,
    splits: Mapping[str, Any],
    inputs: Iterable[str],
    tasks: Iterable[Task],
) -> None:
    """Refuse splits that lack a column, and names that no input can have."""
    inputs = list(inputs)
    if sorted(splits) != sorted(SPLITS):
        raise DataError(
            f"Data set {name!r} needs the splits {', '.join(SPLITS)}. "
            f"Received: {', '.join(splits) or 'none'}."
        )
    if not inputs:
        raise DataError(f"Data set {name!r} needs at least one input.")
    for key in inputs:
        if not NAME_PATTERN.fullmatch(key):
            raise DataError(
                "The name of an input must start with a letter or underscore and hold "
                "only letters, digits and underscores; rename that column. "
                f"Received: {key!r}."
            )
    wanted = (inputs, [task.name for task in tasks])
    for split, halves in splits.items():
        for noun, keys, columns in zip(("input", "label"), wanted, halves, strict=True):
            for key in keys:
                if key not in columns:
                    raise DataError(unknown_name(f"{noun} of `{split}`", key, columns))


def input_array(name: str, feature: Feature, values: Any) -> Any:
    """Return `values` as an array of the type and shape that `feature` declares."""
    values = np.asarray(values)
    try:
        if isinstance(feature, Date):
            array = to_seconds(values)
        elif feature.dtype == "string":
            array = values.astype(np.str_)
        else:
            array = values.astype(feature.dtype, copy=False)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Input {name!r} must hold {feature.dtype} values, as its feature "
            f"{feature!r} says. Received: {values.ravel()[:3].tolist()}."
        ) from error
    if not _fits(array.shape[1:], feature.input_shape):
        raise DataError(
            f"A row of input {name!r} must have shape {feature.input_shape}, as its "
            f"feature {type(feature).__name__} says. Received: {array.shape[1:]}."
        )
    return array


def label_array(task: Task, values: Any) -> Any:
    """Return labels in the shape and range that `task` declares.

    Class indices are int32, all else is float32; class names become indices.
    """
    values = np.asarray(values)
    names = getattr(task, "class_names", None)
    if values.dtype.kind in "OUS" and names:
        values = _class_indices(task.name, names, values)
    try:
        labels = values.astype("float32")
    except (TypeError, ValueError) as error:
        raise LabelError(
            f"Labels of task {task.name!r} must be numbers. "
            f"Received: {values.ravel()[:3].tolist()}."
        ) from error
    check_shape(task, labels.shape)
    wrong = np.asarray(task.out_of_range(labels)) & np.asarray(task.labelled(labels))
    if wrong.any():
        raise LabelError(
            f"Labels of task {task.name!r} must be {task.expected_range}. "
            f"Received: {values[wrong][0]} in row {np.argwhere(wrong)[0][0]}."
        )
    is_index = task.num_labels is not None and values.dtype.kind in "biu"
    return values.astype("int32") if is_index else labels


def check_rows(name: str, splits: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuse empty splits, and columns of different lengths."""
    for split, (x, y) in splits.items():
        counts = {key: len(column) for key, column in [*x.items(), *y.items()]}
        if len(set(counts.values())) > 1 or not min(counts.values()):
            raise DataError(
                f"The columns of `{split}` of data set {name!r} must have the same "
                f"number of rows, at least one. Received: {counts}."
            )


def check_leaks(
    name: str,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    label_columns: Mapping[str, str],
) -> None:
    """Refuse inputs that are a label, by name or by their values in training."""
    for task in label_columns:
        if task not in y:
            raise DataError(unknown_name("task in `label_columns`", task, y))
    for task, labels in y.items():
        for key, column in x.items():
            if key in (task, label_columns.get(task)):
                raise DataError(
                    f"Input {key!r} of data set {name!r} is the label column of task "
                    f"{task!r}. Leave it out of the inputs."
                )
            if _copies(column, labels):
                raise DataError(
                    f"Input {key!r} of data set {name!r} holds the labels of task "
                    f"{task!r} under another name. Leave it out of the inputs."
                )


def _copies(column: Any, labels: Any) -> bool:
    column, labels = np.squeeze(column), np.squeeze(labels)
    return bool(
        column.dtype.kind != "U"
        and column.shape == labels.shape
        and np.array_equal(column, labels, equal_nan=True)
        # A constant column tells nothing, even where the labels are constant too.
        and (labels != labels.flat[0]).any()
    )


def _class_indices(task: str, names: list[str], values: Any) -> Any:
    index = {name: float(position) for position, name in enumerate(names)}
    try:
        flat = [
            index[value] if isinstance(value, str) else np.nan
            for value in values.ravel().tolist()
        ]
    except KeyError as error:
        raise LabelError(
            unknown_name(f"class of task {task!r}", error.args[0], names)
        ) from None
    indices = np.array(flat).reshape(values.shape)
    return indices if np.isnan(indices).any() else indices.astype("int32")


def _fits(shape: tuple[int | None, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
    )
