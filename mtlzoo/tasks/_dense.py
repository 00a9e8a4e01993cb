from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import TASKS
from mtlzoo.errors import TaskError
from mtlzoo.tasks._base import Task, class_names, not_a_class


@TASKS.register("dense")
@keras.saving.register_keras_serializable("mtlzoo")
class Dense(Task):
    """A label or a value a pixel, at the size of the input image.

    With `classes`: predictions of shape `(batch, height, width, num_classes)` that sum
    to 1 at each pixel, class indices of shape `(batch, height, width)` as labels, the
    cross-entropy as loss, accuracy and mean intersection over union as metrics. With
    `channels`: values of shape `(batch, height, width, channels)`, the absolute error
    as loss and metric. The loss is the mean over the labelled pixels of the batch.
    Needs a trunk that gives a feature map, such as `cnn` or `resnet`.

    Args:
        name: of the task.
        classes: how many classes there are, or their names in the order of the indices.
        channels: how many values a pixel has; give this or `classes`.
        loss_weight: what the loss is multiplied by.
        loss: a Keras loss in place of the default.
        metrics: Keras metrics in place of the defaults.
        class_weight: the weight of each class index.
        missing: the label of a pixel without one: -1 by default for classes. NaN always
            marks a missing value.

    Example:

    ```python
    Dense("segmentation", classes=13)
    Dense("depth", channels=1)
    ```
    """

    reads = "map"

    def __init__(
        self,
        name: str,
        classes: int | list[str] | None = None,
        *,
        channels: int | None = None,
        loss_weight: float = 1.0,
        loss: Any = None,
        metrics: list[Any] | None = None,
        class_weight: Mapping[int, float] | None = None,
        missing: float | None = -1,
    ) -> None:
        if (classes is None) == (channels is None):
            raise TaskError(
                f"Dense {name!r} needs either `classes` or `channels`. Received: "
                f"classes={classes}, channels={channels}."
            )
        self.classes: int | list[str] | None = None
        self.channels = channels
        self.class_names: list[str] | None = None
        if classes is not None:
            self.num_classes, self.class_names = class_names(name, classes)
            self.classes = self.class_names or self.num_classes
        super().__init__(
            name,
            loss_weight=loss_weight,
            loss=loss,
            metrics=metrics,
            class_weight=class_weight,
            missing=missing if classes is not None else None,
        )

    @property
    def has_classes(self) -> bool:  # type: ignore[override]
        return self.classes is not None

    @property
    def default_loss(self) -> Any:  # type: ignore[override]
        if self.has_classes:
            return keras.losses.sparse_categorical_crossentropy
        return keras.losses.mean_absolute_error

    @property
    def headline(self) -> tuple[str, bool]:  # type: ignore[override]
        return ("mean_iou", True) if self.has_classes else ("mae", False)

    @property
    def units(self) -> int:
        return self.num_classes if self.has_classes else int(self.channels or 1)

    @property
    def prediction_shape(self) -> tuple[int | None, ...]:
        return (None, None, self.units)

    @property
    def num_labels(self) -> int | None:
        return self.num_classes if self.has_classes else None

    @property
    def expected_range(self) -> str:
        if self.has_classes:
            return f"a class index from 0 to {self.num_classes - 1}, or {self.missing}"
        return "finite, or NaN where missing"

    def out_of_range(self, labels: Any) -> Any:
        if self.has_classes:
            return not_a_class(labels, self.num_classes)
        return ops.isinf(labels)

    def activate(self, logits: Any, name: str) -> Any:
        return keras.layers.Activation(
            "softmax" if self.has_classes else "linear",
            dtype="float32",
            name=f"{name}.{'probability' if self.has_classes else 'value'}",
        )(logits)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        if not self.has_classes:
            return [keras.metrics.MeanAbsoluteError(name="mae")]
        return [
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            keras.metrics.MeanIoU(
                num_classes=self.num_classes,
                sparse_y_pred=False,
                name="mean_iou",
                dtype="float32",  # the default, an integer, would cut weights
            ),
        ]
