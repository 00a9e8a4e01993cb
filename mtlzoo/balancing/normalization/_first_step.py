from typing import Any

import keras
from keras import ops

from mtlzoo.balancing.normalization._base import Normalization


@keras.saving.register_keras_serializable("mtlzoo")
class FirstStep(Normalization):
    """Each loss is divided by its value on the first batch that has its labels.

    All tasks start at a loss of 1, and a loss then says which part is left to learn.
    The ratio `L_i(t) / L_i(0)` is the loss ratio of GradNorm.

    Reference:
        Zhao Chen, Vijay Badrinarayanan, Chen-Yu Lee and Andrew Rabinovich, "GradNorm:
        Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks",
        ICML 2018, <https://arxiv.org/abs/1711.02257>.
    """

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.first = self.state("first", (num_tasks,))

    def normalize(self, losses: Any, present: Any) -> tuple[Any, Any]:
        new = ops.logical_and(present, ops.equal(self.first, 0.0))
        magnitudes = ops.cast(ops.abs(losses), "float32")
        self.remember(self.first, ops.where(new, magnitudes, self.first))
        factors = 1.0 / ops.maximum(ops.cast(self.first, losses.dtype), 1e-12)
        return losses * factors, factors
