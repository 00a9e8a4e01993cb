import csv as csv_files
import itertools
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np


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

    A value is NaN, and left out of means, where a task has no label in the batch, where
    the gradient is 0, and where the tasks share nothing.

    Args:
        every: watch the first step of each epoch, and each so many steps after it.
        csv: where to write one row a watched step. A later `fit` with the same object
            goes on with the file.
        tensorboard: a folder for TensorBoard's events, `balancing/<name>` a watched
            step, such as the `log_dir` of `keras.callbacks.TensorBoard`.

    Attributes:
        records: one dict a watched step: `epoch` and `step`, both from 0, and the
            values by name.

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
        self._step = self._last = 0
        self._watching = False

    def on_train_begin(self, logs: Any = None) -> None:
        # TensorFlow's alone, as is the step that it observes.
        from mtlzoo.balancing._observer import Observer

        self._observer = Observer(self.model)
        self._observer.attach(self.model)
        self._step = int(self.model.optimizer.iterations)
        if self.tensorboard is not None:
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(str(self.tensorboard))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._epoch_start = epoch, len(self.records)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        watching = batch == 0 or batch - self._last >= self.every
        if watching:
            self._last = batch
        if watching != self._watching:
            self._observer.watching.assign(watching)
            self._watching = watching

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._watching:
            step = self._step + self._last
            values = self._values()
            self.records.append({"epoch": self._epoch, "step": step, **values})
            self._write(step, values)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._step = int(self.model.optimizer.iterations)
        records = self.records[self._epoch_start :]
        if logs is None or not records:
            return
        for name in (name for name in records[0] if name not in ("epoch", "step")):
            known = [one[name] for one in records if math.isfinite(one[name])]
            logs[name] = float(np.mean(known)) if known else math.nan

    def on_train_end(self, logs: Any = None) -> None:
        from mtlzoo.balancing._observer import detach

        detach(self.model)
        self._watching = False
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _values(self) -> dict[str, float]:
        tasks = [task.name for task in self.model.tasks]
        weights, norms, cosines = self._observer.read()
        values = {
            f"{task}_weight": float(one)
            for task, one in zip(tasks, weights, strict=True)
        }
        for task, one in zip(tasks, norms, strict=True):
            values[f"{task}_gradient_norm"] = float(one)
        for (i, task), (j, other) in itertools.combinations(enumerate(tasks), 2):
            values[f"{task}_{other}_gradient_cosine"] = float(cosines[i, j])
        return values

    def _write(self, step: int, values: dict[str, float]) -> None:
        if self.csv is not None:
            self._write_row({"epoch": self._epoch, "step": step, **values})
        if self._writer is not None:
            _write_scalars(self._writer, step, values)

    def _write_row(self, row: dict[str, float]) -> None:
        path = Path(self.csv or "")
        first = len(self.records) == 1
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if first else "a", newline="", encoding="utf-8") as file:
            writer = csv_files.DictWriter(file, list(row))
            if first:
                writer.writeheader()
            # An empty cell is what readers of tables take for a missing value.
            writer.writerow(
                {name: "" if math.isnan(one) else one for name, one in row.items()}
            )


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
