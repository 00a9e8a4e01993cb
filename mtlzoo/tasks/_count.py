from typing import Any

import keras
from keras import ops

from mtlzoo._registry import TASKS
from mtlzoo.tasks._base import Task


@TASKS.register("count")
@keras.saving.register_keras_serializable("mtlzoo")
class Count(Task):
    """How often something happens: the rate of a Poisson distribution a row.

    Predictions have shape `(batch, 1)`: the expected count, always positive. Labels
    have shape `(batch,)` or `(batch, 1)` and are at least 0. The loss is the Poisson
    negative log-likelihood without the term that no weight changes; the metrics are the
    mean absolute error and that same loss.

    Args:
        name: of the task.
        mean: the mean count of the training labels, if known: predictions start there
            instead of at 1, which saves the first epochs.
        loss_weight: what the loss is multiplied by.
        loss: a Keras loss in place of the default.
        metrics: Keras metrics in place of the defaults.
        missing: a value that marks a missing label, such as -1; NaN always does.
    """

    default_loss = staticmethod(keras.losses.poisson)
    headline = ("mae", False)

    def __init__(
        self,
        name: str,
        *,
        mean: float = 1.0,
        loss_weight: float = 1.0,
        loss: Any = None,
        metrics: list[Any] | None = None,
        missing: float | None = None,
    ) -> None:
        self.mean = float(mean)
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
        return 1

    @property
    def prediction_shape(self) -> tuple[int | None, ...]:
        return (1,)

    @property
    def expected_range(self) -> str:
        return "a count of at least 0"

    def out_of_range(self, labels: Any) -> Any:
        return ops.logical_or(labels < 0, ops.isinf(labels))

    def activate(self, logits: Any, name: str) -> Any:
        rate = keras.layers.Activation(
            "exponential", dtype="float32", name=f"{name}.rate"
        )(logits)
        return keras.layers.Rescaling(self.mean, dtype="float32", name=f"{name}.count")(
            rate
        )

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.Poisson(name="poisson"),
        ]
