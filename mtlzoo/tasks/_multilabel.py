from typing import Any

import keras
from keras import ops

from mtlzoo._registry import TASKS
from mtlzoo.tasks._base import Task, class_names


@TASKS.register("multilabel")
@keras.saving.register_keras_serializable("mtlzoo")
class MultiLabel(Task):
    """Any number of labels at once: one probability a label.

    Predictions and labels have shape `(batch, num_labels)`; labels lie from 0 to 1, and
    each may be missing by itself. The loss is the binary cross-entropy, averaged over
    the labels that are there; the metrics are the area under the ROC curve and the
    accuracy at 0.5, over all labels together (micro average).

    Args:
        name: of the task.
        labels: how many labels there are, or their names in order; at least 2.
        loss_weight: what the loss is multiplied by.
        loss: a Keras loss in place of the default.
        metrics: Keras metrics in place of the defaults.
        missing: a value that marks a missing label, such as -1; NaN always does.

    Example:

    ```python
    MultiLabel("genres", ["comedy", "drama", "war"])
    ```
    """

    default_loss = staticmethod(keras.losses.binary_crossentropy)
    headline = ("auc", True)

    def __init__(
        self,
        name: str,
        labels: int | list[str],
        *,
        loss_weight: float = 1.0,
        loss: Any = None,
        metrics: list[Any] | None = None,
        missing: float | None = None,
    ) -> None:
        self.labels = labels
        self._count, self.class_names = class_names(name, labels)
        super().__init__(
            name,
            loss_weight=loss_weight,
            loss=loss,
            metrics=metrics,
            class_weight=None,
            missing=missing,
        )

    @property
    def units(self) -> int:
        return self._count

    @property
    def prediction_shape(self) -> tuple[int | None, ...]:
        return (self._count,)

    @property
    def expected_range(self) -> str:
        return "from 0 to 1"

    def out_of_range(self, labels: Any) -> Any:
        return ops.logical_or(labels < 0, labels > 1)

    def activate(self, logits: Any, name: str) -> Any:
        return keras.layers.Activation(
            "sigmoid", dtype="float32", name=f"{name}.probability"
        )(logits)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [
            keras.metrics.AUC(name="auc"),
            keras.metrics.BinaryAccuracy(name="accuracy"),
        ]
