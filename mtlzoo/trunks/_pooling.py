from typing import Any

import keras
from keras import ops

from mtlzoo.trunks._base import Features


@keras.saving.register_keras_serializable("mtlzoo")
class MaskedMean(keras.layers.Layer):
    """The mean over the steps that are not masked; 0 where all are.

    Keras's `GlobalAveragePooling1D` divides 0 by 0 for a row without a step, such as an
    empty text, and the NaN then spreads to every weight.

    Input shape: `(batch, steps, width)`.

    Output shape: `(batch, width)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return ops.mean(inputs, axis=1)
        there = ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
        count = ops.maximum(ops.sum(there, axis=1), ops.ones_like(there[:, 0]))
        # Masked steps may hold anything, NaN too, and 0 * NaN is NaN.
        kept = ops.where(there > 0, inputs, ops.zeros_like(inputs))
        return ops.sum(kept, axis=1) / count

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], input_shape[2])


def with_pooled(features: Features, name: str) -> Features:
    """Return features that have pooled ones: the mean over pixels or steps, if need be.

    Args:
        features: with a map or a sequence, if they have none pooled.
        name: of the trunk.
    """
    if features.pooled is None:
        pooling, source = (
            (MaskedMean, features.sequence)
            if features.map is None
            else (keras.layers.GlobalAveragePooling2D, features.map)
        )
        features.pooled = pooling(name=f"{name}.average")(source)
    return features
