from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._solvers import project_onto_simplex
from mtlzoo.balancing.aggregation._double_sampling import DoubleSampling


@BALANCING.register("modo", paper="Chen et al., NeurIPS 2023", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class MoDo(DoubleSampling):
    """MGDA by one step a batch, with double sampling.

    The weights take a step `w <- P(w - gamma (J_1 J_2' + rho I) w)`, where `P` projects
    onto the simplex and `J_1`, `J_2` are Jacobians on independent rows, so that the
    step is unbiased; the update is `sum_i w_i g_i` with the gradients on a third set of
    rows.

    Each batch is split into three parts of equal size for that; up to two rows over
    take no part. Choose a batch three times as large. In `representation` mode `J_1`
    and `J_2` are gradients of a bias at the representation, since gradients of the
    representations of different rows have no inner product.

    Args:
        gamma: how fast the weights move.
        rho: pulls the weights together.

    Example:
    ```python
    model.compile("adam", balancing=balancing.MoDo(gamma=0.1))
    ```

    Reference:
        Lisha Chen, Heshan Fernando, Yiming Ying and Tianyi Chen, "Three-Way Trade-Off
        in Multi-Objective Learning: Optimization, Generalization and
        Conflict-Avoidance", NeurIPS 2023, <https://arxiv.org/abs/2305.20057>.

    Differences from the authors' code:
        They draw three batches a step; here one batch is split.
    """

    def __init__(self, *, gamma: float = 1e-3, rho: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gamma = gamma
        self.rho = rho

    def move(self, weights: Any, cross: Any, present: Any) -> Any:
        slope = ops.matmul(cross, weights[:, None])[:, 0] + self.rho * weights
        return project_onto_simplex(weights - self.gamma * slope, present)
