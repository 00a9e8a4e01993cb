"""Data sets that are to become one stream: their rows, inputs and tasks."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mtlzoo._columns import is_table
from mtlzoo._labels import label_array
from mtlzoo._registry import unknown_name
from mtlzoo.datasets._checks import input_array
from mtlzoo.datasets._dataset import Arrays, Dataset
from mtlzoo.errors import DataError, TaskError
from mtlzoo.features import Feature, infer
from mtlzoo.tasks import Task


class Source(NamedTuple):
    """One of several data sets.

    Attributes:
        splits: `(x, y)` by split; a `tf.data.Dataset` has `train` alone.
        inputs: its features; those of a `tf.data.Dataset` are inferred.
        tasks: its tasks; of a `tf.data.Dataset` the caller tells them.
    """

    splits: dict[str, tuple[Arrays, Arrays]]
    inputs: dict[str, Feature]
    tasks: list[Task]


def read(
    datasets: Mapping[str, Any], given: Mapping[str, Feature]
) -> dict[str, Source]:
    """Return the rows of all data sets, in memory.

    Args:
        datasets: by name, `mtlzoo.datasets.Dataset` or batched `tf.data.Dataset`.
        given: features that the caller has named. Neither these nor those that a
            `mtlzoo.datasets.Dataset` has are inferred.

    Raises:
        DataError: a set is neither, or empty.
    """
    ours = {name: data for name, data in datasets.items() if isinstance(data, Dataset)}
    known = {key for data in ours.values() for key in data.inputs} | set(given)
    return {
        name: (
            Source(
                {split: data.arrays(split) for split in data.sizes},
                data.inputs,
                data.tasks,
            )
            if name in ours
            else _read_pipeline(name, data, known)
        )
        for name, data in datasets.items()
    }


def _read_pipeline(name: str, data: Any, known: Set[str]) -> Source:
    if not hasattr(data, "element_spec"):
        raise DataError(
            f"Data set {name!r} must be a mtlzoo.datasets.Dataset or a tf.data.Dataset "
            f"of (x, y). Received: {type(data).__name__}."
        )
    spec = data.element_spec
    halves = spec if isinstance(spec, tuple) else (spec,)
    if len(halves) > 2 or not all(map(is_table, halves)):
        raise DataError(
            f"An element of data set {name!r} must be a batch (x, y), two dicts by "
            f"input and task name, or x alone. Received: {spec}."
        )
    x, y = _collect(name, data.map(lambda x, y=None: (x, y or {})))
    unknown = {key: column for key, column in x.items() if key not in known}
    return Source({"train": (x, y)}, infer(unknown), [])


def union_of_inputs(
    sources: Mapping[str, Source], given: Mapping[str, Feature]
) -> dict[str, Feature]:
    """Return the features of all sets, those that the caller has named before others.

    Raises:
        DataError: two sets read an input of one name in different ways.
    """
    inputs: dict[str, Feature] = {}
    owners: dict[str, str] = {}
    for name, source in sources.items():
        for key, feature in source.inputs.items():
            if key not in given and inputs.setdefault(key, feature) != feature:
                raise DataError(
                    f"The data sets {owners[key]!r} and {name!r} both have an input "
                    f"{key!r} and read it differently: {inputs[key]!r}, {feature!r}. "
                    f"Say which to take: inputs={{{key!r}: ...}}."
                )
            owners.setdefault(key, name)
        for key in source.splits["train"][0]:
            if key in given:
                inputs[key] = given[key]
    for key in given:
        if key not in inputs:
            raise DataError(unknown_name("input in the data sets", key, inputs))
    return inputs


def union_of_tasks(
    sources: Mapping[str, Source], given: Mapping[str, Task]
) -> list[Task]:
    """Return the tasks of all sets, those that the caller has named before others.

    Raises:
        TaskError: two sets have tasks of one name that differ, or labels have no task.
    """
    tasks: dict[str, Task] = {}
    owners: dict[str, str] = {}
    for name, source in sources.items():
        for task in source.tasks:
            if task.name not in given and tasks.setdefault(task.name, task) != task:
                raise TaskError(
                    f"The data sets {owners[task.name]!r} and {name!r} both have a "
                    f"task {task.name!r}, and they differ: {tasks[task.name]!r}, "
                    f"{task!r}. Rename one, or say which to take: tasks=[...]."
                )
            owners.setdefault(task.name, name)
        for key in source.splits["train"][1]:
            if key in given:
                tasks[key] = given[key]
    for name, source in sources.items():
        for key in source.splits["train"][1]:
            if key not in tasks:
                raise TaskError(
                    f"Data set {name!r} has labels {key!r}, and no task is known of "
                    f"that name. Pass it: tasks=[mtlzoo.tasks.Binary({key!r})]."
                )
    for key in given:
        if key not in tasks:
            raise TaskError(unknown_name("label in the data sets", key, tasks))
    return list(tasks.values())


def parts_of(
    sources: Mapping[str, Source],
    split: str,
    inputs: Mapping[str, Feature],
    tasks: Sequence[Task],
) -> dict[str, tuple[Arrays, Arrays]]:
    """Return the rows of one split of each set that has it, as the features declare."""
    found = {}
    for name, source in sources.items():
        if split in source.splits:
            x, y = source.splits[split]
            found[name] = (
                {
                    key: input_array(key, inputs[key], x[key])
                    for key in inputs
                    if key in x
                },
                {
                    one.name: label_array(one, y[one.name])
                    for one in tasks
                    if one.name in y
                },
            )
    return found


def _collect(name: str, data: Any) -> tuple[Arrays, Arrays]:
    """Read a `tf.data.Dataset` to its end."""
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise DataError(
            f"Data set {name!r} has no end, and its rows are read once into memory. "
            "Leave out `repeat()`: the stream starts it anew by itself."
        )
    batches = list(data.as_numpy_iterator())
    if not batches or not all(map(len, batches[0][0].values())):
        raise DataError(f"Data set {name!r} is empty: it gives no row.")
    x, y = (
        {
            key: _text(np.concatenate([batch[half][key] for batch in batches]))
            for key in batches[0][half]
        }
        for half in (0, 1)
    )
    return x, y


def _text(column: Any) -> Any:
    """Return strings as NumPy's own; TensorFlow gives them as bytes."""
    if column.dtype.kind != "O":
        return column
    return np.array([value.decode() for value in column.ravel()]).reshape(column.shape)
