"""What a task reports while it trains: its loss and its metrics, over labelled rows."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from mtlzoo.tasks import Task


class TaskMeter(keras.metrics.Metric):
    """The running loss and metrics of one task, named `<task>_<metric>`.

    Args:
        task: the task.
        weighted_metrics: metrics that take sample weights into account; those of the
            task itself count every labelled row alike.
    """

    def __init__(self, task: Task, weighted_metrics: list[Any] | None = None) -> None:
        super().__init__(name=task.name)
        self.task = task
        self.loss = keras.metrics.Mean(name="loss")
        self.plain = task.make_metrics()
        self.weighted = [keras.metrics.get(one) for one in weighted_metrics or []]
        names = [metric.name for metric in self._all]
        if len(set(names)) != len(names):
            raise ValueError(
                f"Two metrics of task {task.name!r} have the same name: {names}. Give "
                "one another `name`."
            )
        for metric in self._all:
            if isinstance(metric, keras.metrics.R2Score):
                # It makes its variables on the first update, which would otherwise
                # happen inside the compiled step, where none can be made.
                metric._build((1, task.units), (1, task.units))

    @property
    def _all(self) -> list[keras.metrics.Metric]:
        return [self.loss, *self.plain, *self.weighted]

    def update_loss(self, mean: Any, weight: Any) -> None:
        """Add the loss of a batch, `mean`, over labels that weigh `weight` together."""
        self.loss.update_state(mean, sample_weight=weight)

    def update_state(
        self, labels: Any, predictions: Any, present: Any, weights: Any
    ) -> None:
        """Add a batch to the metrics.

        Args:
            labels: without missing ones.
            predictions: of the same rows.
            present: 1 for each label that is there, else 0; shaped like `labels`.
            weights: the same, times the sample weights.
        """
        for metrics, weight in ((self.plain, present), (self.weighted, weights)):
            for metric in metrics:
                metric.update_state(
                    *self._arrange(metric, labels, predictions, weight)
                )

    def _arrange(
        self, metric: Any, labels: Any, predictions: Any, weight: Any
    ) -> tuple[Any, Any, Any]:
        """Shape the arguments of a metric so that each weight meets its own value."""
        if self.task.has_classes or isinstance(metric, keras.metrics.R2Score):
            return labels, predictions, weight
        if self.task.metrics is None and metric in self.plain:
            return (
                ops.reshape(labels, (-1, 1)),
                ops.reshape(predictions, (-1, 1)),
                ops.reshape(weight, (-1,)),
            )
        # A metric of the caller's own sees whole rows; one counts if all of it is there.
        return labels, predictions, ops.min(weight, axis=-1)

    def reset_state(self) -> None:
        for metric in self._all:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        return {
            f"{self.task.name}_{metric.name}": metric.result() for metric in self._all
        }


class Meters:
    """The meters of a model by task name.

    A plain object, not a dict: Keras would track a dict's metrics as the model's own,
    save them, and keep those of an earlier `compile`.
    """

    def __init__(self, meters: Mapping[str, TaskMeter] | None = None) -> None:
        self.by_task = dict(meters or {})

    def __getitem__(self, name: str) -> TaskMeter:
        return self.by_task[name]
