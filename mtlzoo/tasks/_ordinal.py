from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import TASKS
from mtlzoo.tasks._base import Task, class_names, not_a_class


@keras.saving.register_keras_serializable("mtlzoo")
class OrdinalProbabilities(keras.layers.Layer):
    """The proportional-odds link: a score and ordered thresholds give a distribution.

    Args:
        num_classes: how many levels there are.

    Input shape: `(batch, 1)`, the score.

    Output shape: `(batch, num_classes)`, a probability a level.
    """

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def build(self, input_shape: Any) -> None:
        del input_shape
        # Thresholds start one apart around 0, so that no level starts improbable.
        self.first = self.add_weight(
            shape=(1,),
            initializer=keras.initializers.Constant(1.0 - self.num_classes / 2),
            name="first",
        )
        # softplus(0.5413) = 1
        self.gaps = self.add_weight(
            shape=(self.num_classes - 2,),
            initializer=keras.initializers.Constant(0.5413),
            name="gaps",
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        steps = ops.concatenate([self.first, ops.softplus(self.gaps)])
        at_most = ops.sigmoid(ops.cumsum(steps) - inputs)
        edge = ops.zeros_like(at_most[:, :1])
        return ops.diff(ops.concatenate([edge, at_most, edge + 1.0], axis=-1), axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.num_classes)


@keras.saving.register_keras_serializable("mtlzoo")
def mean_level_error(y_true: Any, y_pred: Any) -> Any:
    """Return, for each row, how many levels off the most probable level is."""
    level = ops.cast(ops.argmax(y_pred, axis=-1), "float32")
    return ops.abs(level - ops.cast(ops.reshape(y_true, ops.shape(level)), "float32"))


@TASKS.register("ordinal", paper="McCullagh, JRSS B 1980")
@keras.saving.register_keras_serializable("mtlzoo")
class Ordinal(Task):
    """One of several ordered levels: a distribution a row, from one score.

    The proportional-odds model: the probability of at most level `k` is
    `sigmoid(threshold_k - score)`, with thresholds that are kept in order. Predictions
    have shape `(batch, num_classes)` and sum to 1. Labels are levels from 0 on, of
    shape `(batch,)` or `(batch, 1)`. The loss is the negative log-likelihood; the
    metrics are the accuracy and the mean number of levels off.

    Args:
        name: of the task.
        classes: how many levels there are, or their names from lowest to highest.
        loss_weight: what the loss is multiplied by.
        loss: a Keras loss in place of the default.
        metrics: Keras metrics in place of the defaults.
        class_weight: the weight of each level.
        missing: a level that marks a missing label, such as -1; NaN always does.

    Reference: Peter McCullagh, *Regression Models for Ordinal Data*, Journal of the
    Royal Statistical Society B 42(2), 1980.
    """

    has_classes = True
    default_loss = staticmethod(keras.losses.sparse_categorical_crossentropy)
    headline = ("mae", False)

    def __init__(
        self,
        name: str,
        classes: int | list[str],
        *,
        loss_weight: float = 1.0,
        loss: Any = None,
        metrics: list[Any] | None = None,
        class_weight: Mapping[int, float] | None = None,
        missing: int | None = None,
    ) -> None:
        self.num_classes, self.class_names = class_names(name, classes)
        self.classes = self.class_names or self.num_classes
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
        return (self.num_classes,)

    @property
    def num_labels(self) -> int | None:
        return self.num_classes

    @property
    def expected_range(self) -> str:
        return f"a level from 0 to {self.num_classes - 1}"

    def out_of_range(self, labels: Any) -> Any:
        return not_a_class(labels, self.num_classes)

    def activate(self, logits: Any, name: str) -> Any:
        return OrdinalProbabilities(
            self.num_classes, dtype="float32", name=f"{name}.probability"
        )(logits)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            keras.metrics.MeanMetricWrapper(mean_level_error, name="mae"),
        ]
