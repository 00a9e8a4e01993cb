"""Several tables with other columns, seen as one whose gaps say "missing"."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mtlzoo.errors import DataError
from mtlzoo.features import Feature, unknown
from mtlzoo.tasks import Task

Part = tuple[Mapping[str, Any], Mapping[str, Any]]


class Union:
    """The rows of several data sets, one after another, with all columns of all sets.

    An input that a row's set lacks is what its feature reads as nothing known: NaN, the
    empty string, a category out of the vocabulary, padding, a black image, the mean
    date. A label that it lacks is NaN. No row of a set is stored twice, and what it
    lacks takes one number a row.

    Args:
        parts: `(x, y)` of each set, arrays by name.
        inputs: the features of all inputs.
        tasks: all tasks.
        origin: the name of an additional input that holds the number of each row's set,
            or `None` for none.

    Raises:
        DataError: an input or label has rows of other shapes in two sets.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        inputs: Mapping[str, Feature],
        tasks: Sequence[Task],
        origin: str | None,
    ) -> None:
        sizes = [len(next(iter(x.values()), [])) for x, _ in parts]
        self.size = sum(sizes)
        with tf.device("CPU:0"):
            self._x = {
                name: _Column(name, [x.get(name) for x, _ in parts], sizes, feature)
                for name, feature in inputs.items()
            }
            self._y = {
                task.name: _Column(
                    task.name, [_labels(task, y) for _, y in parts], sizes, None
                )
                for task in tasks
            }
            numbers = np.repeat(np.arange(len(sizes), dtype="int32"), sizes)
            self._numbers = tf.convert_to_tensor(numbers)
        self._origin = origin

    def gather(self, rows: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return `(x, y)` for a batch of row numbers."""
        x = {name: column.gather(rows) for name, column in self._x.items()}
        if self._origin:
            x[self._origin] = tf.gather(self._numbers, rows)
        return x, {name: column.gather(rows) for name, column in self._y.items()}


class _Column:
    """One column of those sets that have it; other rows share one entry."""

    def __init__(
        self, name: str, parts: list[Any], sizes: list[int], feature: Feature | None
    ) -> None:
        there = [part for part in parts if part is not None]
        shapes = sorted({part.shape[1:] for part in there})
        if len(shapes) > 1:
            raise DataError(
                f"The rows of {name!r} have different shapes in different data sets: "
                f"{', '.join(map(str, shapes))}. Pad or resize them to one."
            )
        self._places = None
        if len(there) < len(parts):
            filler = np.nan if feature is None else unknown(feature)
            there.append(np.full((1, *shapes[0]), filler, there[0].dtype))
            places, start = [], 0
            absent = sum(len(part) for part in parts if part is not None)
            for part, size in zip(parts, sizes, strict=True):
                if part is None:
                    places.append(np.full(size, absent))
                else:
                    places.append(np.arange(start, start + size))
                    start += size
            self._places = tf.convert_to_tensor(np.concatenate(places))
        self._values = tf.convert_to_tensor(np.concatenate(there))

    def gather(self, rows: Any) -> Any:
        if self._places is not None:
            rows = tf.gather(self._places, rows)
        return tf.gather(self._values, rows)


def _labels(task: Task, y: Mapping[str, Any]) -> Any:
    """Return the labels of `task` as float32 without a last axis of 1, or `None`."""
    if task.name not in y:
        return None
    labels = np.asarray(y[task.name], "float32")
    rank = 1 + len(task.label_shape)
    if labels.ndim > rank or (labels.ndim == rank > 1 and task.label_shape[-1] == 1):
        return labels[..., 0]
    return labels
