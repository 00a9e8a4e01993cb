from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import keras
from keras import ops

from mtlzoo._losses import task_loss, weights_of
from mtlzoo.tasks import Task


class Supervision(NamedTuple):
    """The labels of the step that is being computed.

    Attributes:
        labels: by task name; tasks without labels are absent.
        sample_weight: by task name, or one tensor for all tasks, or `None`.
    """

    labels: Mapping[str, Any]
    sample_weight: Any


_current: ContextVar[Supervision | None] = ContextVar("supervision", default=None)


@contextmanager
def supervised(data: Any) -> Iterator[None]:
    """Let layers see the labels of `data`, what `train_step` is given.

    A few architectures have losses on what lies inside the model (a discriminator, a
    first prediction that a second one refines). Their layers add these losses in their
    `call`, where Keras passes no labels; here they find them. Outside of a step there
    are none, and such layers add nothing.
    """
    _, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    found = Supervision(labels, sample_weight) if isinstance(labels, Mapping) else None
    token = _current.set(found)
    try:
        yield
    finally:
        _current.reset(token)


def supervision() -> Supervision | None:
    """Return the labels of the step that is being computed, or `None` outside one."""
    return _current.get()


def known_labels(task: str, like: Any) -> tuple[Any, Any]:
    """Return the labels of a binary task, 0 where missing, and what each row weighs.

    Args:
        task: its name.
        like: predictions of shape `(batch, 1)`.

    Returns:
        Two float32 tensors of shape `(batch, 1)`: labels; sample weights, 0 where the
        label is missing. Both are 0 if the step has no labels for the task.
    """
    now = supervision()
    if now is None or task not in now.labels:
        return ops.zeros_like(like), ops.zeros_like(like)
    labels = ops.reshape(ops.cast(now.labels[task], "float32"), (-1, 1))
    # A mark such as -1 and NaN alike lie outside of what a binary label can be.
    there = ops.logical_and(labels >= 0, labels <= 1)
    weight = now.sample_weight
    if isinstance(weight, Mapping):
        weight = weight.get(task)
    known = ops.cast(there, "float32")
    if weight is not None:
        known = known * ops.reshape(ops.cast(weight, "float32"), (-1, 1))
    return ops.where(there, labels, ops.zeros_like(labels)), known


@keras.saving.register_keras_serializable("mtlzoo")
class DeepSupervision(keras.layers.Layer):
    """Add the loss of a task on a prediction that is not the model's last word.

    The features that the prediction was made from pass through unchanged.

    Args:
        task: what is predicted.
        weight: of the loss, on top of the task's own `loss_weight`.

    Input shape: a list: features, and predictions of the task made from them.

    Output shape: as the features.
    """

    def __init__(self, task: Task, *, weight: float = 1.0, **kwargs: Any) -> None:
        # Features pass in whatever precision they have; predictions are float32.
        super().__init__(**{"autocast": False, **kwargs})
        self.supports_masking = True
        self.task = task
        self.weight = weight

    def call(self, inputs: Any) -> Any:
        features, predictions = inputs
        now = supervision()
        if now is not None and self.task.name in now.labels:
            weights = weights_of(self.task, now.sample_weight)
            labels = now.labels[self.task.name]
            loss = task_loss(self.task, labels, predictions, weights).loss
            self.add_loss(self.weight * self.task.loss_weight * loss)
        return features

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        task = keras.saving.serialize_keras_object(self.task)
        return {**super().get_config(), "task": task, "weight": self.weight}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DeepSupervision":
        task = keras.saving.deserialize_keras_object(config["task"])
        return cls(**{**config, "task": task})
