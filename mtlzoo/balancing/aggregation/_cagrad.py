from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, mean_weights
from mtlzoo.balancing._solvers import minimize_norm_on_simplex


@BALANCING.register("cagrad", paper="Liu et al., NeurIPS 2021", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class CAGrad(GramianAggregator):
    """The update near the mean gradient that serves the worst-off task best.

    Maximises `min_i g_i . d` over the updates `d` with `||d - g_0|| <= c ||g_0||`,
    where `g_0` is the mean of the gradients `g_i`. The solution is `d = g_0 + c ||g_0||
    / ||g_w|| g_w`, where `g_w = sum_i w_i g_i` and `w` minimises `g_w . g_0 + c ||g_0||
    ||g_w||` over `w >= 0` with `sum_i w_i = 1`. With `c = 0` it is the mean; from `c =
    1` it conflicts with no task; towards infinity its direction is that of MGDA.

    Args:
        c: how far from the mean gradient it may go, at least 0.

    Example:
    ```python
    model.compile("adam", balancing=balancing.CAGrad(c=0.4))
    ```

    Reference:
        Bo Liu, Xingchao Liu, Xiaojie Jin, Peter Stone and Qiang Liu, "Conflict-Averse
        Gradient Descent for Multi-task Learning", NeurIPS 2021,
        <https://arxiv.org/abs/2110.14048>.

    Differences from the authors' code:
        The update is the paper's: theirs is divided by `1 + c^2` by default, which is a
        change of the learning rate. They call SciPy's SLSQP each step; here a cone
        solver runs in the graph. Where `g_w` vanishes, the update is 0.
    """

    def __init__(self, *, c: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if c < 0:
            raise ValueError(f"`c` must be at least 0. Received: c={c}.")
        self.c = c

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        mean = mean_weights(present)
        if self.c == 0:
            return mean
        linear = ops.matmul(gramian, mean[:, None])[:, 0]
        square = ops.sum(linear * mean)
        # Where the mean is 0 already, so is the update; any scale will do.
        scale = ops.where(square > 0, square, ops.max(ops.diagonal(gramian)))
        scale = ops.where(scale > 0, scale, 1.0)
        gramian, linear = gramian / scale, linear / scale
        excluded = 10.0 * (1.0 + self.c) * (1.0 + ops.max(ops.abs(linear)))
        cost = ops.where(present, linear, excluded)
        weights = minimize_norm_on_simplex(gramian, cost, self.c)
        weights = ops.where(present, weights, 0.0)
        norm = ops.sqrt(ops.maximum(ops.sum(weights[:, None] * gramian * weights), 0.0))
        there = ops.logical_and(norm > 1e-4, square > 0)
        return ops.where(
            there, mean + self.c * weights / ops.where(there, norm, 1.0), 0.0
        )
