import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from mtlzoo._labels import label_array
from mtlzoo._registry import unknown_name
from mtlzoo.datasets._checks import (
    SPLITS,
    check_leaks,
    check_rows,
    check_splits,
    input_array,
)
from mtlzoo.errors import DataError, UnknownNameError
from mtlzoo.features import Feature, as_feature
from mtlzoo.tasks import Task, check_tasks

Arrays = dict[str, Any]
"""Columns by name, NumPy arrays whose first axis is the rows."""


class Dataset:
    """A multi-task data set in memory: three splits, its inputs and its tasks.

    Everything is checked once, here: each input and label is there, with the shape and
    range that its feature or task declares, in every split; and no label is an input.

    Args:
        name: of the data set, for messages.
        splits: `{"train": (x, y), "validation": (x, y), "test": (x, y)}`, with `x` and
            `y` dicts of arrays by input and task name. Columns of `x` and `y` that are
            no input or task are left out.
        inputs: a dict of features, or shapes of rows, by input name.
        tasks: what to predict. Labels of a task with class names may be those names.
        label_columns: for a task whose labels were made from a column of another name,
            that column, as in `{"never_married": "marital_status"}`; it can't be an
            input.

    Raises:
        DataError: a label is an input, or the splits don't fit the inputs.
        LabelError: the labels don't fit their task.

    Example:

    ```python
    x = {"age": np.array([39.0, 50.0]), "job": np.array(["clerk", "nurse"])}
    y = {"hours": np.array([40.0, 13.0])}
    dataset = Dataset(
        "wages",
        {"train": (x, y), "validation": (x, y), "test": (x, y)},
        inputs=mtlzoo.features.infer(x),
        tasks=[mtlzoo.tasks.Regression("hours")],
    )
    ```
    """

    def __init__(
        self,
        name: str,
        splits: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
        *,
        inputs: Mapping[str, Any],
        tasks: Sequence[Task],
        label_columns: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.inputs: dict[str, Feature] = {
            key: as_feature(key, value) for key, value in inputs.items()
        }
        self.tasks: list[Task] = check_tasks(tasks)
        self.batch_size = 256
        self.shuffle_seed = 0
        check_splits(name, splits, self.inputs, self.tasks)
        self._arrays: dict[str, tuple[Arrays, Arrays]] = {
            split: (
                {
                    key: _read_only(input_array(key, one, x[key]))
                    for key, one in self.inputs.items()
                },
                {
                    task.name: _read_only(label_array(task, y[task.name]))
                    for task in self.tasks
                },
            )
            for split, (x, y) in splits.items()
        }
        check_rows(name, self._arrays)
        check_leaks(name, *self._arrays["train"], label_columns or {})
        self._tensors: dict[str, Any] = {}

    @property
    def spec(self) -> dict[str, Any]:
        """What `mtlzoo.build` needs: `inputs` and `tasks`."""
        return {"inputs": dict(self.inputs), "tasks": list(self.tasks)}

    @property
    def sizes(self) -> dict[str, int]:
        """The number of rows of each split."""
        return {split: len(_any(x)) for split, (x, _) in self._arrays.items()}

    @property
    def train(self) -> tf.data.Dataset:
        """Training batches `(x, y)`, in another order each epoch.

        The series of orders follows from `shuffle_seed` and, where it is set, from
        TensorFlow's own seed; it starts anew at each access of this attribute.
        """
        return self._batches("train", shuffle=True)

    @property
    def validation(self) -> tf.data.Dataset:
        """Validation batches `(x, y)`, always in the order of `arrays`."""
        return self._batches("validation")

    @property
    def test(self) -> tf.data.Dataset:
        """Test batches `(x, y)`, always in the order of `arrays`."""
        return self._batches("test")

    def arrays(self, split: str) -> tuple[Arrays, Arrays]:
        """Return `(x, y)` of one split: read-only NumPy arrays by input and task name.

        Args:
            split: `"train"`, `"validation"` or `"test"`.

        Raises:
            UnknownNameError: there is no such split.

        Example:

        ```python
        x, y = dataset.arrays("test")
        first_row = {name: column[:1] for name, column in x.items()}
        model.predict(first_row)
        ```
        """
        if split not in self._arrays:
            raise UnknownNameError(
                unknown_name(f"split of data set {self.name!r}", split, SPLITS)
            )
        x, y = self._arrays[split]
        return dict(x), dict(y)

    def batched(self, batch_size: int, *, shuffle_seed: int = 0) -> Self:
        """Return the same data in batches of another size or order.

        Args:
            batch_size: rows a batch; the last one of a split may be smaller.
            shuffle_seed: of the order of the training rows.

        Raises:
            DataError: `batch_size` is below 1.
        """
        if batch_size < 1:
            raise DataError(
                f"`batch_size` must be at least 1. Received: batch_size={batch_size}."
            )
        other = copy.copy(self)
        other.batch_size = batch_size
        other.shuffle_seed = shuffle_seed
        return other

    def subset(self, rows: int, *, seed: int = 0) -> Self:
        """Return the same data with fewer training rows, to see what labels are worth.

        Validation and test rows stay as they are.

        Args:
            rows: how many training rows are kept.
            seed: of the choice. A smaller subset of the same seed is part of a larger.

        Raises:
            DataError: `rows` is below 1, or there aren't as many.

        Example:

        ```python
        for rows in (300, 3_000, 30_000):
            model.fit(dataset.subset(rows).train)
        ```
        """
        there = self.sizes["train"]
        if not 1 <= rows <= there:
            raise DataError(
                f"`rows` must be from 1 to {there}, the training rows of "
                f"{self.name!r}. Received: rows={rows}."
            )
        chosen = np.sort(np.random.default_rng(seed).permutation(there)[:rows])
        x, y = self._arrays["train"]
        kept = tuple(
            {key: _read_only(column[chosen]) for key, column in columns.items()}
            for columns in (x, y)
        )
        other = copy.copy(self)
        other._arrays = {**self._arrays, "train": (kept[0], kept[1])}
        other._tensors = {}
        return other

    def only(self, tasks: Sequence[str]) -> Self:
        """Return the same data with some of its tasks, in the order given.

        Args:
            tasks: their names.

        Raises:
            UnknownNameError: the data set has no such task.

        Example:

        ```python
        model = mtlzoo.build("single_task", **dataset.only(["income"]).spec)
        ```
        """
        by_name = {task.name: task for task in self.tasks}
        for name in tasks:
            if name not in by_name:
                raise UnknownNameError(
                    unknown_name(f"task of data set {self.name!r}", name, by_name)
                )
        other = copy.copy(self)
        other.tasks = check_tasks([by_name[name] for name in tasks])
        other._arrays = {
            split: (x, {name: y[name] for name in tasks})
            for split, (x, y) in self._arrays.items()
        }
        other._tensors = {}
        return other

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split}={rows}" for split, rows in self.sizes.items())
        tasks = ", ".join(task.name for task in self.tasks)
        inputs = len(self.inputs)
        return f"Dataset({self.name!r}, {sizes}, inputs={inputs}, tasks=[{tasks}])"

    def _batches(self, split: str, shuffle: bool = False) -> tf.data.Dataset:
        if split not in self._tensors:
            with tf.device("CPU:0"):
                self._tensors[split] = tf.nest.map_structure(
                    tf.convert_to_tensor, self._arrays[split]
                )
        columns = self._tensors[split]
        rows = self.sizes[split]
        # Only row numbers are shuffled and batched; each batch is then gathered at
        # once, which is many times faster than to batch row by row.
        numbers = tf.data.Dataset.range(rows)
        if shuffle:
            numbers = numbers.shuffle(rows, seed=self.shuffle_seed)
        return (
            numbers.batch(self.batch_size)
            .map(
                lambda chosen: tf.nest.map_structure(
                    lambda column: tf.gather(column, chosen), columns
                ),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            .prefetch(tf.data.AUTOTUNE)
        )


def _any(columns: Arrays) -> Any:
    return next(iter(columns.values()))


def _read_only(array: Any) -> Any:
    # Pipelines and callers share the memory of these arrays.
    view = array.view()
    view.flags.writeable = False
    return view
