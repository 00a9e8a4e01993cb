from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import TASKS
from mtlzoo.tasks._base import Task


@TASKS.register("binary")
@keras.saving.register_keras_serializable("mtlzoo")
class Binary(Task):
    """Yes or no: one probability a row.

    Predictions have shape `(batch, 1)`: the probability of 1. Labels have shape
    `(batch,)` or `(batch, 1)` and lie from 0 to 1 (a soft label is a probability). The
    loss is the binary cross-entropy; the metrics are the area under the ROC curve and
    the accuracy at 0.5.

    Args:
        name: of the task.
        loss_weight: what the loss is multiplied by.
        loss: a Keras loss in place of the default.
        metrics: Keras metrics in place of the defaults.
        class_weight: the weights of 0 and 1.
        missing: a value that marks a missing label, such as -1; NaN always does.

    Example:

    ```python
    Binary("income", class_weight={1: 3.0}, missing=-1)
    ```
    """

    default_loss = staticmethod(keras.losses.binary_crossentropy)
    headline = ("auc", True)

    def __init__(
        self,
        name: str,
        *,
        loss_weight: float = 1.0,
        loss: Any = None,
        metrics: list[Any] | None = None,
        class_weight: Mapping[int, float] | None = None,
        missing: float | None = None,
    ) -> None:
        super().__init__(
            name,
            loss_weight=loss_weight,
            loss=loss,
            metrics=metrics,
            class_weight=class_weight,
            missing=missing,
        )

    @property
    def units(self) -> int:
        return 1

    @property
    def prediction_shape(self) -> tuple[int | None, ...]:
        return (1,)

    @property
    def num_labels(self) -> int | None:
        return 2

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
