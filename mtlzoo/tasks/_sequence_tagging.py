from collections.abc import Mapping
from typing import Any

import keras

from mtlzoo._registry import TASKS
from mtlzoo.tasks._base import Task, class_names, not_a_class


@TASKS.register("sequence_tagging")
@keras.saving.register_keras_serializable("mtlzoo")
class SequenceTagging(Task):
    """One class a step of a sequence.

    Predictions have shape `(batch, steps, num_classes)` and sum to 1 at each step.
    Labels are class indices of shape `(batch, steps)`. The loss is the cross-entropy,
    averaged over the labelled steps of the batch; the metric is the accuracy over them.
    Needs a trunk that gives features a step, such as `rnn` or `transformer`.

    Args:
        name: of the task.
        classes: how many classes there are, or their names in the order of the indices.
        loss_weight: what the loss is multiplied by.
        loss: a Keras loss in place of the default.
        metrics: Keras metrics in place of the defaults.
        class_weight: the weight of each class index.
        missing: the index that marks a step without a label. Unlike that of other
            tasks it is -1 by default, since padding is a step without a label.
    """

    reads = "sequence"
    has_classes = True
    default_loss = staticmethod(keras.losses.sparse_categorical_crossentropy)
    headline = ("accuracy", True)

    def __init__(
        self,
        name: str,
        classes: int | list[str],
        *,
        loss_weight: float = 1.0,
        loss: Any = None,
        metrics: list[Any] | None = None,
        class_weight: Mapping[int, float] | None = None,
        missing: int | None = -1,
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
        return self.num_classes

    @property
    def prediction_shape(self) -> tuple[int | None, ...]:
        return (None, self.num_classes)

    @property
    def num_labels(self) -> int | None:
        return self.num_classes

    @property
    def expected_range(self) -> str:
        return f"a class index from 0 to {self.num_classes - 1}, or {self.missing}"

    def out_of_range(self, labels: Any) -> Any:
        return not_a_class(labels, self.num_classes)

    def activate(self, logits: Any, name: str) -> Any:
        return keras.layers.Activation(
            "softmax", dtype="float32", name=f"{name}.probability"
        )(logits)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
