"""What a task reports while it trains: its loss and its metrics, over labelled rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._losses import task_loss, weights_of, whole_rows
from mtlzoo.errors import LabelError
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
            if not metrics:
                continue
            rows = weight if self.task.has_classes else whole_rows(weight)
            for metric in metrics:
                if self._counts_entries(metric):
                    metric.update_state(
                        ops.reshape(labels, (-1, 1)),
                        ops.reshape(predictions, (-1, 1)),
                        ops.reshape(weight, (-1,)),
                    )
                elif isinstance(metric, keras.metrics.R2Score):
                    metric.update_state(labels, predictions, weight)
                else:
                    metric.update_state(labels, predictions, rows)

    def _counts_entries(self, metric: Any) -> bool:
        """Whether each entry of a row counts by itself, since each may be missing.

        So it is with the task's own metrics. One of the caller's sees whole rows.
        """
        return (
            not self.task.has_classes
            and self.task.units > 1
            and self.task.metrics is None
            and metric in self.plain
            and not isinstance(metric, keras.metrics.R2Score)
        )

    def reset_state(self) -> None:
        for metric in self._all:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        return {
            f"{self.task.name}_{metric.name}": metric.result() for metric in self._all
        }


class Meters:
    """The meters of a model's tasks, and the losses that they count.

    A plain object, not a dict: Keras would track a dict's metrics as the model's own,
    save them, and keep those of an earlier `compile`.

    Args:
        tasks: of the model.
        weighted_metrics: lists of metrics by task name.
    """

    def __init__(
        self,
        tasks: Sequence[Task] = (),
        weighted_metrics: Mapping[str, list[Any]] | None = None,
    ) -> None:
        weighted = weighted_metrics or {}
        self.meters = [TaskMeter(task, weighted.get(task.name)) for task in tasks]

    def losses(
        self, y: Any, y_pred: Any, sample_weight: Any, *, count: bool = True
    ) -> tuple[list[Any], Any]:
        """Return each task's weighted loss and whether it has labels.

        Args:
            y: labels by task name; tasks may be absent.
            y_pred: predictions by task name.
            sample_weight: weights by task name, or one tensor for all, or `None`.
            count: whether the batch is added to the meters.

        Returns:
            A list of scalars, the losses times their tasks' `loss_weight`, 0 where a
            task has no label; and a boolean tensor of shape `(num_tasks,)`.
        """
        y = self._by_task(y)
        losses, present = [], []
        for meter in self.meters:
            task = meter.task
            if task.name not in y:
                losses.append(ops.zeros(()))
                present.append(ops.convert_to_tensor(False))
                continue
            weights = weights_of(task, sample_weight)
            # Heads of `mtlzoo.build` give float32; those of other models may not.
            predictions = ops.cast(y_pred[task.name], "float32")
            one = task_loss(task, y[task.name], predictions, weights)
            if count:
                meter.update_loss(one.mean, one.weight)
                meter.update_state(
                    one.labels, predictions, one.label_present, one.label_weights
                )
            losses.append(one.loss * task.loss_weight)
            present.append(one.present)
        return losses, ops.stack(present)

    def _by_task(self, y: Any) -> Mapping[str, Any]:
        names = [meter.task.name for meter in self.meters]
        if not isinstance(y, Mapping) and len(names) == 1 and y is not None:
            return {names[0]: y}
        if not isinstance(y, Mapping) or not set(y) <= set(names) or not y:
            found = sorted(y) if isinstance(y, Mapping) else type(y).__name__
            raise LabelError(
                "Labels must be a dict keyed by task; tasks without labels may be "
                f"absent. Tasks: {names}. Received: {found}."
            )
        return y
