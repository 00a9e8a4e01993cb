from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import Aggregator, combine, unreduced
from mtlzoo.balancing._solvers import project_onto_simplex


@BALANCING.register("modo", paper="Chen et al., NeurIPS 2023", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class MoDo(Aggregator):
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

    compares_batches = True
    num_samples = 3

    def __init__(self, *, gamma: float = 1e-3, rho: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gamma = gamma
        self.rho = rho

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.task_weights = self.state(
            "task_weights", (num_tasks,), initial=1.0 / num_tasks
        )

    def aggregate(
        self,
        jacobian: Any,
        losses: Any,
        present: Any,
        reduce: Callable[[Any], Any] = unreduced,
    ) -> tuple[list[Any], Any]:
        first, second, third = jacobian
        _, factors = self.normalize(losses, present)
        scale = ops.cast(factors, "float32")
        first, second = (self.narrowed(one, reduce) for one in (first, second))
        cross = ops.cast(cross_gramian(first, second), "float32")
        cross = scale[:, None] * cross * scale
        old = ops.where(present, self.task_weights, 0.0)
        slope = ops.matmul(cross, old[:, None])[:, 0] + self.rho * old
        weights = project_onto_simplex(old - self.gamma * slope, present)
        self.remember(self.task_weights, ops.where(present, weights, self.task_weights))
        weights = weights * scale
        return combine(third, weights), weights


def cross_gramian(first: Any, second: Any) -> Any:
    """Return the inner products of two samples' gradients, tasks by tasks."""
    products = [
        ops.matmul(one, ops.transpose(other))
        for one, other in zip(first, second, strict=True)
    ]
    return sum(products[1:], products[0])
