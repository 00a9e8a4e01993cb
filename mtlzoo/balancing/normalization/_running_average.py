from typing import Any

import keras
from keras import ops

from mtlzoo.balancing.normalization._base import Normalization


@keras.saving.register_keras_serializable("mtlzoo")
class RunningAverage(Normalization):
    """Each loss is divided by its own running average.

    `a_i <- momentum a_i + (1 - momentum) |L_i|`, on the batches that have labels of the
    task; it starts at the first loss. All losses stay near 1 throughout, as with the
    logarithm, and losses may be negative.

    Args:
        momentum: how much of the average stays, a step.
    """

    def __init__(self, *, momentum: float = 0.99) -> None:
        super().__init__()
        self.momentum = momentum

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.average = self.state("average", (num_tasks,))

    def normalize(self, losses: Any, present: Any) -> tuple[Any, Any]:
        magnitudes = ops.cast(ops.abs(losses), "float32")
        moved = self.momentum * self.average + (1.0 - self.momentum) * magnitudes
        moved = ops.where(ops.equal(self.average, 0.0), magnitudes, moved)
        self.remember(self.average, ops.where(present, moved, self.average))
        factors = 1.0 / ops.maximum(ops.cast(self.average, losses.dtype), 1e-12)
        return losses * factors, factors
