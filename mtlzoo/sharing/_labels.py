from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo.errors import TaskError
from mtlzoo.tasks import Task


@keras.saving.register_keras_serializable("mtlzoo")
class JoinPredictions(keras.layers.Layer):
    """Join features with predictions, or embeddings of them, on the last axis.

    A prediction for a whole row is repeated for each step or pixel of the features; one
    for each pixel is resized to the features' height and width.

    Input shape: a list of tensors: features `(batch, ..., width)`, then predictions.

    Output shape: `(batch, ..., sum of all widths)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        features, *others = inputs
        return ops.concatenate(
            [features, *(self._fit(one, features) for one in others)], axis=-1
        )

    def _fit(self, tensor: Any, features: Any) -> Any:
        shape = ops.shape(features)[:-1]
        if len(tensor.shape) == len(features.shape):
            if len(shape) == 3 and tensor.shape[1:3] != features.shape[1:3]:
                return ops.image.resize(
                    tensor, shape[1:], data_format="channels_last", antialias=True
                )
            return tensor
        for _ in range(len(features.shape) - len(tensor.shape)):
            tensor = ops.expand_dims(tensor, 1)
        return ops.broadcast_to(tensor, (*shape, tensor.shape[-1]))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], sum(shape[-1] for shape in input_shape))


def check_one_kind(tasks: Sequence[Task], owner: str) -> None:
    """Refuse tasks that read features of different kinds.

    Raises:
        TaskError: naming each task and what it reads.
    """
    if len({task.reads for task in tasks}) > 1:
        found = ", ".join(f"{task.name!r} reads {task.reads}" for task in tasks)
        raise TaskError(
            f"The tasks of the architecture {owner!r} read each other's "
            f"representations, so all must read features of one kind. Received: "
            f"{found}. Take 'hierarchical' or 'mmoe' for several kinds."
        )
