from collections.abc import Mapping
from typing import Any

import keras

from mtlzoo._registry import TASKS
from mtlzoo.tasks._base import Task, class_names, not_a_class


@TASKS.register("multiclass")
@keras.saving.register_keras_serializable("mtlzoo")
class Multiclass(Task):
    """One of several classes: a distribution a row.

    Predictions have shape `(batch, num_classes)` and sum to 1. Labels are class indices
    of shape `(batch,)` or `(batch, 1)`. The loss is the cross-entropy; the metric is
    the accuracy.

    Args:
        name: of the task.
        classes: how many classes there are, or their names in the order of the indices.
        loss_weight: what the loss is multiplied by.
        loss: a Keras loss in place of the default.
        metrics: Keras metrics in place of the defaults.
        class_weight: the weight of each class index.
        missing: an index that marks a missing label, such as -1; NaN always does.

    Example:

    ```python
    Multiclass("topic", ["art", "law", "sport"], missing=-1)
    ```
    """

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
        return self.num_classes

    @property
    def prediction_shape(self) -> tuple[int | None, ...]:
        return (self.num_classes,)

    @property
    def num_labels(self) -> int | None:
        return self.num_classes

    @property
    def expected_range(self) -> str:
        return f"a class index from 0 to {self.num_classes - 1}"

    def out_of_range(self, labels: Any) -> Any:
        return not_a_class(labels, self.num_classes)

    def activate(self, logits: Any, name: str) -> Any:
        return keras.layers.Activation(
            "softmax", dtype="float32", name=f"{name}.probability"
        )(logits)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
