import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import tensorflow as tf

from mtlzoo._registry import unknown_name
from mtlzoo.datasets._schedule import Schedule, shares
from mtlzoo.datasets._sources import parts_of, read, union_of_inputs, union_of_tasks
from mtlzoo.datasets._union import Union
from mtlzoo.errors import DataError, TaskError, UnknownNameError
from mtlzoo.features import Feature, as_feature
from mtlzoo.tasks import Task, check_tasks

BATCHES = ("separate", "mixed")


class Interleaved:
    """Several data sets as one stream of batches; `interleave` makes it.

    Attributes:
        inputs: the features of all sets.
        tasks: the tasks of all sets.
        sizes: the number of training rows of each set.
        shares: the part of all draws that each set gets.
        steps_per_epoch: batches an epoch.
        step: batches of the stream that come before the first of `train`.
    """

    def __init__(
        self,
        parts: Mapping[str, Mapping[str, Any]],
        schedule: Schedule,
        shares: Mapping[str, float],
        *,
        inputs: Mapping[str, Feature],
        tasks: Sequence[Task],
        origin: str | None,
    ) -> None:
        self.inputs = dict(inputs)
        self.tasks = list(tasks)
        self.sizes = dict(zip(shares, schedule.sizes, strict=True))
        self.shares = dict(shares)
        self.steps_per_epoch = schedule.steps
        self.step = 0
        self._parts = parts
        self._schedule = schedule
        self._origin = origin
        self._unions: dict[str, Union] = {}

    @property
    def spec(self) -> dict[str, Any]:
        """What `mtlzoo.build` needs: `inputs` and `tasks`."""
        return {"inputs": dict(self.inputs), "tasks": list(self.tasks)}

    @property
    def train(self) -> tf.data.Dataset:
        """Training batches `(x, y)`, of one shape and type throughout.

        Each time it is iterated over, the next `steps_per_epoch` batches of the stream
        follow; each access of this attribute starts anew, after the first `step`.
        """
        epoch, done = divmod(self.step, self.steps_per_epoch)
        epochs = itertools.count(epoch)

        def rows() -> Iterator[Any]:
            now = next(epochs)
            yield self._schedule.rows(now)[done:]
            if done:
                yield self._schedule.rows(now + 1)[:done]

        shape = tf.TensorSpec((None, self._schedule.batch_size), tf.int64)
        numbers = (
            tf.data.Dataset.from_generator(rows, output_signature=shape)
            .unbatch()
            .apply(tf.data.experimental.assert_cardinality(self.steps_per_epoch))
        )
        return self._gathered(numbers, "train")

    @property
    def validation(self) -> tf.data.Dataset:
        """Validation batches `(x, y)` of all sets that have such rows, in order."""
        return self._in_order("validation")

    @property
    def test(self) -> tf.data.Dataset:
        """Test batches `(x, y)` of all sets that have such rows, in order."""
        return self._in_order("test")

    def tasks_of(self, name: str) -> list[str]:
        """Return the names of the tasks that one data set has labels for."""
        if name not in self.sizes:
            raise UnknownNameError(unknown_name("data set", name, self.sizes))
        return list(self._parts["train"][name][1])

    def from_step(self, step: int) -> Self:
        """Return the same stream from a later batch on, to go on where it stopped.

        Args:
            step: how many batches come before, counted from the very first.

        Raises:
            DataError: `step` is below 0.

        Example:

        ```python
        model = keras.saving.load_model("stopped.keras")
        model.fit(stream.from_step(int(model.optimizer.iterations)).train)
        ```
        """
        if step < 0:
            raise DataError(f"`step` must be at least 0. Received: step={step}.")
        other = copy.copy(self)
        other.step = int(step)
        return other

    def __repr__(self) -> str:
        sets = ", ".join(
            f"{name}: {rows} rows, {self.shares[name]:.3g}"
            for name, rows in self.sizes.items()
        )
        return f"Interleaved({sets}; step={self.step})"

    def _in_order(self, split: str) -> tf.data.Dataset:
        if not self._parts[split]:
            raise DataError(f"None of the data sets has {split} rows.")
        numbers = tf.data.Dataset.range(self._union(split).size)
        return self._gathered(numbers.batch(self._schedule.batch_size), split)

    def _gathered(self, numbers: tf.data.Dataset, split: str) -> tf.data.Dataset:
        union = self._union(split)
        return numbers.map(
            union.gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        ).prefetch(tf.data.AUTOTUNE)

    def _empty(self, name: str) -> Any:
        """Return no rows of a set: it keeps its number and its columns."""
        x, y = self._parts["train"][name]
        return tuple({key: one[:0] for key, one in half.items()} for half in (x, y))

    def _union(self, split: str) -> Union:
        if split not in self._unions:
            parts = [
                self._parts[split].get(name) or self._empty(name) for name in self.sizes
            ]
            self._unions[split] = Union(parts, self.inputs, self.tasks, self._origin)
        return self._unions[split]


def interleave(
    datasets: Mapping[str, Any],
    *,
    sampling: str = "proportional",
    temperature: float | None = None,
    batches: str = "separate",
    batch_size: int = 256,
    steps_per_epoch: int | None = None,
    inputs: Mapping[str, Any] | None = None,
    tasks: Sequence[Task] = (),
    unlabelled: Sequence[str] = (),
    origin: str | None = "domain",
    seed: int = 0,
) -> Interleaved:
    """Return one training stream of several data sets, each with tasks of its own.

    A row has the labels of its own set; those of the other tasks are missing, and
    inputs that its set lacks are given as unknown. So any architecture and any
    balancing trains on it, in one trace.

    Which set a batch comes from is drawn with a probability that `sampling` says, for
    sets of `n_i` rows:

    | sampling | probability of set `i` |
    |---|---|
    | `proportional` | `n_i`, up to a factor |
    | `temperature` | `n_i ** (1 / temperature)`, up to a factor |
    | `uniform` | the same for all |
    | `alternate` | none is drawn: the sets take turns |

    A set that is used up starts anew, in another order, within the same batch, so every
    batch is full; no row comes again before all of its set have come. An epoch is as
    many batches as all rows of all sets would fill, whatever the sampling.

    The stream follows from `seed`: `from_step` starts it at any batch. All rows are
    kept in memory.

    Args:
        datasets: by name: `mtlzoo.datasets.Dataset`, or a batched `tf.data.Dataset` of
            `(x, y)`, two dicts by input and task name, or of `x` alone, read to its
            end once.
        sampling: `"proportional"`, `"temperature"`, `"uniform"` or `"alternate"`.
        temperature: of that sampling, 2 by default.
        batches: `"separate"`: a batch comes from one set. `"mixed"`: each row is drawn,
            or takes its turn, by itself. Methods that compare the gradients of tasks,
            or the features of domains, need batches that hold several.
        batch_size: rows a batch.
        steps_per_epoch: batches an epoch, where it is to be another number.
        inputs: features, or shapes of rows, by input name, in place of those of the
            sets. Inputs of a `tf.data.Dataset` that are not named here are inferred.
        tasks: in place of those of the sets, by their names; and those of a
            `tf.data.Dataset`, which has none of its own.
        unlabelled: names of sets whose training labels are left out: domains that a
            model is to be adapted to.
        origin: the name of one more column in `x`: the number of the set that a row
            comes from, in the order of `datasets`. A model without such an input
            doesn't see it; `mtlzoo.transfer.adapt` reads it. `None` leaves it out.
        seed: of the draws and orders, at least 0.

    Raises:
        UnknownNameError: there is no such sampling.
        TaskError: two sets have tasks of one name that differ, or labels have no task.
        DataError: a set is empty or of another kind, two sets read one input in
            different ways, or a number is out of range.

    Example:

    ```python
    stream = mtlzoo.datasets.interleave(
        {"census": adult, "clinic": actg175}, sampling="temperature"
    )
    model = mtlzoo.build("mmoe", **stream.spec)
    model.fit(stream.train, validation_data=stream.validation, epochs=5)
    ```

    Reference: the temperature of Naveen Arivazhagan et al., *Massively Multilingual
    Neural Machine Translation in the Wild*, 2019, <https://arxiv.org/abs/1907.05019>,
    section 4.2.
    """
    if not isinstance(datasets, Mapping) or not datasets:
        raise DataError(
            "`datasets` must be a dict of data sets by name, at least one. Received: "
            f"{datasets!r}."
        )
    if batches not in BATCHES:
        raise UnknownNameError(unknown_name("kind of `batches`", batches, BATCHES))
    for option, value in {
        "batch_size": batch_size,
        "steps_per_epoch": steps_per_epoch,
        "seed": seed + 1,
    }.items():
        if value is not None and value < 1:
            smallest, got = (0, seed) if option == "seed" else (1, value)
            raise DataError(
                f"`{option}` must be at least {smallest}. Received: {option}={got}."
            )
    given = {key: as_feature(key, value) for key, value in (inputs or {}).items()}
    named = {task.name: task for task in (check_tasks(tasks) if tasks else [])}
    sources = read(datasets, given)
    features = union_of_inputs(sources, given)
    made = union_of_tasks(sources, named)
    if origin in {*features, *(task.name for task in made)}:
        raise DataError(
            f"`origin` adds a column {origin!r}, and the data sets have one of that "
            "name. Choose another, or origin=None."
        )
    parts = {
        split: parts_of(sources, split, features, made)
        for split in ("train", "validation", "test")
    }
    for name in unlabelled:
        if name not in sources:
            raise UnknownNameError(unknown_name("data set", name, sources))
        parts["train"][name] = (parts["train"][name][0], {})
    for task in made:
        if not any(task.name in y for _, y in parts["train"].values()):
            raise TaskError(f"No data set has training labels of task {task.name!r}.")
    sizes = [len(next(iter(x.values()))) for x, _ in parts["train"].values()]
    drawn = shares(sizes, sampling, temperature)
    schedule = Schedule(
        sizes,
        None if sampling == "alternate" else drawn,
        batch_size=batch_size,
        mixed=batches == "mixed",
        steps=steps_per_epoch or math.ceil(sum(sizes) / batch_size),
        seed=seed,
    )
    return Interleaved(
        parts,
        schedule,
        dict(zip(sources, drawn.tolist(), strict=True)),
        inputs=features,
        tasks=made,
        origin=origin,
    )
