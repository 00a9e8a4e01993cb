from typing import Any

import keras
from keras import ops

from mtlzoo.transfer._adapt import Alignment


@keras.saving.register_keras_serializable("mtlzoo")
class CORAL(Alignment):
    """The distance between the covariances of source and target features, in a batch.

    `||C_s - C_t||_F^2 / (4 d^2)`, where `C_s` and `C_t` are the covariance matrices of
    the rows of both domains, and `d` is the width of the features. A domain with fewer
    than two rows in the batch has no covariance, and the loss is then 0.

    Args:
        weight: what it is multiplied by in the loss. The distance is small where
            features are wide or small, so weights of 10 or 100 may be needed.

    Reference: Baochen Sun, Kate Saenko, *Deep CORAL: Correlation Alignment for Deep
    Domain Adaptation*, ECCV workshops 2016, <https://arxiv.org/abs/1607.01719>.
    """

    def distance(self, features: Any, target: Any, training: bool) -> Any:
        covariances = [_covariance(features, one) for one in (1 - target, target)]
        width = features.shape[-1]
        apart = ops.sum(ops.square(covariances[0] - covariances[1]))
        enough = ops.minimum(ops.sum(target), ops.sum(1 - target)) > 1
        return ops.where(enough, apart, ops.zeros_like(apart)) / (4.0 * width**2)


def _covariance(features: Any, chosen: Any) -> Any:
    """Return the covariance of the rows for which `chosen` is 1, where it is not 0."""
    rows = ops.sum(chosen)
    chosen = ops.expand_dims(chosen, -1)
    mean = ops.sum(features * chosen, axis=0) / ops.maximum(rows, 1.0)
    centred = (features - mean) * chosen
    products = ops.matmul(ops.transpose(centred), centred)
    return products / ops.maximum(rows - 1, 1.0)
