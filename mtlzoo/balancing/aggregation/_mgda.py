from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, mean_weights
from mtlzoo.balancing._solvers import minimize_quadratic


@BALANCING.register("mgda", paper="Sener and Koltun, NeurIPS 2018", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class MGDA(GramianAggregator):
    """The shortest convex combination of the gradients.

    Minimises `||sum_i w_i g_i||^2 = w' G w` over `w >= 0` with `sum_i w_i = 1`, where
    `g_i` are the gradients and `G` is their Gramian. No task's loss rises along the
    result; it is 0 where no update serves all tasks. It sides with the tasks of small
    gradients: combine it with a loss normalisation where losses differ in scale.

    Example:
    ```python
    model.compile("adam", balancing=balancing.MGDA(normalization="log"))
    ```

    Reference:
        Jean-Antoine Désidéri, "Multiple-gradient descent algorithm (MGDA) for
        multiobjective optimization", Comptes Rendus Mathématique 2012. Ozan Sener and
        Vladlen Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS
        2018, <https://arxiv.org/abs/1810.04650>; the upper bound MGDA-UB of that paper
        is `gradients="representation"`.

    Differences from the authors' code:
        They stop Frank-Wolfe after 250 steps and keep each of two weights between 0.001
        and 0.999; here the minimum is exact, so the result conflicts with no task.
        Their gradient normalisers are loss normalisations here.
    """

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        scale = ops.max(ops.diagonal(gramian))
        start = ops.full(losses.shape, 1.0 / self.num_tasks, "float64")
        # Absent tasks have no gradient, and would be the shortest; a cost of 10 beside
        # gradients of at most 1 keeps them out.
        weights = minimize_quadratic(
            gramian / ops.where(scale > 0, scale, 1.0),
            ops.where(present, 0.0, ops.full(losses.shape, 10.0, "float64")),
            start,
            fixed_sum=True,
        )
        weights = ops.where(present, weights, 0.0)
        total = ops.sum(weights)
        return ops.where(
            total > 0, weights / ops.where(total > 0, total, 1.0), mean_weights(present)
        )
