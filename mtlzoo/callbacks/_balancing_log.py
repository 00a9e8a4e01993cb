import csv as csv_files
import itertools
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mtlzoo._multi_task import require_tasks
from mtlzoo.errors import DataError, TaskError


class BalancingLog(keras.callbacks.Callback):
    """Shows what the balancing does: weights, gradient norms, gradient cosines.

    For each task its weight in the update and the norm of its gradient, for each pair
    of tasks the cosine between their gradients: below 0 they conflict. The means over
    an epoch go to `logs`, and so to the history, as `<task>_weight`,
    `<task>_gradient_norm` and `<task>_<other>_gradient_cosine`; put this callback
    before others that read them. Draw them with `mtlzoo.plot.balancing`.

    With an aggregation, gradients are those that the method combines: in
    `representation` mode of the tensors where the graph leaves the shared part, else of
    the shared variables, as with every weighting. A weighting takes no gradients a task
    itself, so with one a watched step costs about a forward pass and a backward pass a
    task more. The training is the same with this callback and without, and after `fit`
    the step is again the one without.

    The losses are those that the model minimises: a task's own `loss_weight` is in its
    gradient, and not in its weight. A value is NaN, and left out of means, where a task
    has no label in the batch, where the gradient is 0 or overflows, and where the tasks
    share nothing that is trained.

    Args:
        every: watch the first step of each epoch, and each so many steps after it. With
            `steps_per_execution`, the last step of each such execution is shown.
        csv: where to write one row a watched step. A later `fit` with the same object
            goes on with the file; so does another object, in another process too, with
            a model that has been trained before: it keeps the rows of earlier steps.
        tensorboard: a folder for TensorBoard's events, `balancing/<name>` a watched
            step, such as the `log_dir` of `keras.callbacks.TensorBoard`.

    Attributes:
        records: one dict a watched step: `epoch` and `step`, both from 0, and the
            values by name. Steps go on from those that the optimizer has made before.

    Raises:
        DataError: in `fit`, the model isn't a `MultiTaskModel`, or this object has the
            records of other tasks.
        TaskError: in `fit`, two pairs of tasks have one name: `a` and `b_c`, `a_b` and
            `c`.

    Example:

    ```python
    log = BalancingLog(every=100, csv="balancing.csv")
    model.fit(data, epochs=5, callbacks=[log])
    mtlzoo.plot.balancing(log, "balancing.png")
    ```
    """

    def __init__(
        self,
        every: int = 50,
        *,
        csv: str | Path | None = None,
        tensorboard: str | Path | None = None,
    ) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be at least 1 step. Received: {every}.")
        self.every = every
        self.csv = csv
        self.tensorboard = tensorboard
        self.records: list[dict[str, float]] = []
        self._observer: Any = None
        self._writer: Any = None
        self._epoch = self._epoch_start = 0
        self._start = self._watched = 0
        self._step: int | None = None
        self._watching = False

    def on_train_begin(self, logs: Any = None) -> None:
        # TensorFlow's alone, as is the step that it observes.
        from mtlzoo.balancing._observer import attach

        self._check()
        self._observer = attach(self.model)
        self._step = None
        if self.tensorboard is not None:
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(str(self.tensorboard))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._epoch_start = epoch, len(self.records)
        # Not sooner: a callback may restore the optimizer when the training begins. Not
        # later: it doesn't count steps whose gradients overflow or are kept back.
        if self._step is None:
            self._step = _steps_made(self.model.optimizer) - 1
        self._start = self._step + 1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._watching = batch == 0 or batch - self._watched >= self.every
        if self._watching:
            self._watched = batch
        self._observer.ask(self, self._watching)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # An epoch may end before the last execution has all of its steps.
        last = (self.params["steps"] or math.inf) - 1
        self._step = self._start + int(min(batch, last))
        if self._watching:
            values = self._values()
            self.records.append({"epoch": self._epoch, "step": self._step, **values})
            self._write(self._step, values)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        records = self.records[self._epoch_start :]
        if logs is None or not records:
            return
        for name in (name for name in records[0] if name not in ("epoch", "step")):
            known = [one[name] for one in records if math.isfinite(one[name])]
            logs[name] = float(np.mean(known)) if known else math.nan

    def on_train_end(self, logs: Any = None) -> None:
        from mtlzoo.balancing._observer import detach

        detach(self.model)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _check(self) -> None:
        require_tasks(self.model, "BalancingLog watches a multi-task model. Received a")
        tasks = [task.name for task in self.model.tasks]
        names = _names(tasks)
        for name in names:
            if names.count(name) > 1:
                raise TaskError(
                    f"Two pairs of the tasks {tasks} would be logged as {name!r}. "
                    "Give one of these tasks another name."
                )
        if self.records and self.records[0].keys() - {"epoch", "step"} != set(names):
            raise DataError(
                "This BalancingLog has records of a model with other tasks. Make a new "
                f"one for the tasks {tasks}."
            )

    def _values(self) -> dict[str, float]:
        weights, norms, cosines = self._observer.read()
        values = [*weights, *norms, *cosines[np.triu_indices(len(weights), 1)]]
        names = _names([task.name for task in self.model.tasks])
        return dict(zip(names, map(float, values), strict=True))

    def _write(self, step: int, values: dict[str, float]) -> None:
        if self.csv is not None:
            self._write_row({"epoch": self._epoch, "step": step, **values})
        if self._writer is not None:
            _write_scalars(self._writer, step, values)

    def _write_row(self, row: dict[str, float]) -> None:
        path = Path(self.csv or "")
        first = len(self.records) == 1
        kept = _rows_before(self._start, path, list(row)) if first else []
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if first else "a", newline="", encoding="utf-8") as file:
            writer = csv_files.DictWriter(file, list(row))
            if first:
                writer.writeheader()
                writer.writerows(kept)
            # An empty cell is what readers of tables take for a missing value.
            writer.writerow(
                {name: "" if math.isnan(one) else one for name, one in row.items()}
            )


def _names(tasks: list[str]) -> list[str]:
    """Return the names of the values: weights, norms, cosines of the pairs."""
    pairs = itertools.combinations(tasks, 2)
    return [
        *(f"{task}_weight" for task in tasks),
        *(f"{task}_gradient_norm" for task in tasks),
        *(f"{task}_{other}_gradient_cosine" for task, other in pairs),
    ]


def _steps_made(optimizer: Any) -> int:
    """Return how many steps an optimizer has seen, those that it kept back among them.

    With gradient accumulation it counts only its updates.
    """
    made = int(keras.ops.convert_to_numpy(optimizer.iterations))
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return made * (getattr(inner, "gradient_accumulation_steps", None) or 1)


def _rows_before(step: int, path: Path, columns: list[str]) -> list[dict[str, str]]:
    """Return the rows that a file with these columns has of steps before `step`."""
    if step == 0 or not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv_files.DictReader(file)
        if reader.fieldnames != columns:
            return []
        # The last row of a process that was killed may be cut off.
        whole = (row for row in reader if None not in row.values())
        return [row for row in whole if int(row["step"]) < step]


def _write_scalars(writer: Any, step: int, values: dict[str, float]) -> None:
    """Write what `tf.summary.scalar` does, which needs TensorBoard to be installed."""
    import tensorflow as tf

    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    )
    with writer.as_default(step=step):
        for name, value in values.items():
            tensor = tf.constant(value, "float32")
            tf.summary.write(f"balancing/{name}", tensor, metadata=metadata)
