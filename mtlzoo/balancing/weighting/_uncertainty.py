from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting


@BALANCING.register("uncertainty", paper="Kendall et al., CVPR 2018", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class Uncertainty(Weighting):
    """Learns how noisy each task is, and weights its loss by the inverse.

    `total = sum_i exp(-s_i) L_i / 2 + s_i / 2`, where `s_i`, the logarithm of the
    task's noise variance, is learned with the model and `L_i` is the task's loss. At
    the best `s_i` each weighted loss is 1/2: a noisy task, or one in large units,
    counts less.

    Args:
        initial: value of every `s_i` at the start.

    Example:
    ```python
    model.compile("adam", balancing="uncertainty")
    ```

    Reference:
        Alex Kendall, Yarin Gal and Roberto Cipolla, "Multi-Task Learning Using
        Uncertainty to Weigh Losses for Scene Geometry and Semantics", CVPR 2018,
        <https://arxiv.org/abs/1705.07115>.

    Differences from the authors' code:
        The paper halves `exp(-s) L` for regression only; as in the codes in use, it is
        halved for all tasks. No weight decay acts on `s_i`.
    """

    def __init__(self, *, initial: float = 0.0) -> None:
        super().__init__()
        self.initial = initial

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.log_variances = self.add_weight(
            name="log_variances",
            shape=(num_tasks,),
            initializer=keras.initializers.Constant(self.initial),
        )

    def weigh(self, losses: Any, present: Any) -> Any:
        weights = 0.5 * ops.exp(-ops.cast(self.log_variances, losses.dtype))
        return ops.where(present, weights, 0.0)

    def total(self, losses: Any, present: Any) -> Any:
        penalty = 0.5 * ops.cast(self.log_variances, losses.dtype)
        penalty = ops.where(present, penalty, 0.0)
        return ops.sum(self.weigh(losses, present) * losses + penalty)
