from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator
from mtlzoo.balancing._solvers import minimize_power_barrier


@BALANCING.register("fairgrad", paper="Ban and Ji, ICML 2024", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class FairGrad(GramianAggregator):
    """The alpha-fair update: from efficient to fair by one number.

    Maximises `sum_i (g_i . d)^(1 - alpha) / (1 - alpha)` over updates `d` of bounded
    length. The solution is `d = sum_i w_i g_i` with `G w = w^(-1 / alpha)`, element by
    element, where `G` is the Gramian. `alpha = 1` is proportional fairness, the
    direction of Nash-MTL; 2 is the fairness of potential delay; large values approach
    that of the worst-off task. It conflicts with no task.

    Args:
        alpha: positive.

    Example:
    ```python
    model.compile("adam", balancing=balancing.FairGrad(alpha=2.0))
    ```

    Reference:
        Hao Ban and Kaiyi Ji, "Fair Resource Allocation in Multi-Task Learning",
        ICML 2024, <https://arxiv.org/abs/2402.15638>.

    Differences from the authors' code:
        They call SciPy's least squares outside the graph. The equation is where the
        gradient of a convex function vanishes; Newton's method finds it in the graph.
        They multiply by the number of tasks and clip the update to length 1: use the
        optimizer's `clipnorm`.
    """

    def __init__(self, *, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if alpha <= 0:
            raise ValueError(f"`alpha` must be above 0. Received: alpha={alpha}.")
        self.alpha = alpha

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        diagonal = ops.diagonal(gramian)
        there = ops.logical_and(present, diagonal > 0)
        exponent = 1.0 / self.alpha
        # In units of what each weight would be alone, the solution is near 1.
        alone = ops.where(there, diagonal, 1.0) ** (-self.alpha / (1.0 + self.alpha))
        scale = alone ** (1.0 - exponent)
        identity = ops.eye(self.num_tasks, dtype="float64")
        matrix = alone[:, None] * gramian * alone * (1.0 - identity)
        matrix = matrix + (1.0 + 1e-13) * ops.diag(scale)
        weights = alone * minimize_power_barrier(matrix, scale, exponent)
        return ops.where(there, weights, 0.0)
