"""What every data set is held to, and how its columns are stored."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mtlzoo._dtypes import as_dtype
from mtlzoo._registry import unknown_name
from mtlzoo.errors import DataError
from mtlzoo.features import Feature
from mtlzoo.tasks import Task
from mtlzoo.tasks._base import check_name

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
        check_name(key, "an input", DataError)
    wanted = (inputs, [task.name for task in tasks])
    for split, halves in splits.items():
        for noun, keys, columns in zip(("input", "label"), wanted, halves, strict=True):
            for key in keys:
                if key not in columns:
                    raise DataError(unknown_name(f"{noun} of `{split}`", key, columns))


def input_array(name: str, feature: Feature, values: Any) -> Any:
    """Return `values` as an array of the type and shape that `feature` declares."""
    array = as_dtype(values, feature.dtype, f"Input {name!r}")
    if feature.dtype == "string":
        array = array.astype(np.str_)
    if not _fits(array.shape[1:], feature.input_shape):
        raise DataError(
            f"A row of input {name!r} must have shape {feature.input_shape}, as its "
            f"feature {type(feature).__name__} says. Received: {array.shape[1:]}."
        )
    return array


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


def _fits(shape: tuple[int | None, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
    )
