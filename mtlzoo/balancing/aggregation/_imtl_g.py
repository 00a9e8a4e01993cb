from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, correlations, invert
from mtlzoo.balancing._solvers import solve_least_squares


@BALANCING.register("imtl_g", paper="Liu et al., ICLR 2021", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class IMTLG(GramianAggregator):
    """The combination that has the same projection onto every task's gradient.

    With `u_i = g_i / ||g_i||` the directions of the gradients, `d = sum_i w_i g_i` with
    `d . u_i` the same for all `i` and `sum_i w_i = 1`. In closed form
    `w = D C^+ 1`, scaled, where `C` holds the cosines of the gradients, `C^+` is its
    pseudo-inverse and `D` the inverse norms. Weights may be negative.

    Example:
    ```python
    model.compile("adam", balancing="imtl_g")
    ```

    Reference:
        Liyang Liu, Yi Li, Zhanghui Kuang, Jing-Hao Xue, Yimin Chen, Wenming Yang,
        Qingmin Liao and Wayne Zhang, "Towards Impartial Multi-task Learning", ICLR
        2021, <https://openreview.net/forum?id=IMPnRXEWpvr>.

    Differences from the authors' code:
        The paper inverts a matrix that is singular when gradients depend on each other;
        the pseudo-inverse gives the same weights otherwise. Where the weights sum to 0,
        the update is 0. The paper's other half, which scales the losses, is
        `balancing.IMTLL`: `IMTLG(heads="imtl_l")` weighs the heads by it.
    """

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        cosines, norms = correlations(gramian, present)
        ones = ops.cast(norms > 0, "float64")
        weights = solve_least_squares(cosines, ones) * invert(norms)
        total = ops.sum(weights)
        usable = ops.abs(total) > 1e-12 * ops.sum(ops.abs(weights))
        return ops.where(usable, weights / ops.where(usable, total, 1.0), 0.0)
