from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, correlations, invert
from mtlzoo.balancing._solvers import minimize_power_barrier


@BALANCING.register("nash_mtl", paper="Navon et al., ICML 2022", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class NashMTL(GramianAggregator):
    """The Nash bargaining solution: no task gains as much as another loses.

    Maximises `sum_i log(g_i . d)` over updates `d` of bounded length. The solution is
    `d = sum_i a_i g_i` with `G a = 1 / a`, element by element, where `G` is the Gramian
    divided by its Frobenius norm. It does not change when a task's loss is multiplied
    by a constant, save for the length of the update, which is at most `max_norm`. It
    conflicts with no task.

    Args:
        max_norm: the longest update of what is shared; 0 for no limit.

    Example:
    ```python
    model.compile("adam", balancing="nash_mtl")
    ```

    Reference:
        Aviv Navon, Aviv Shamsian, Idan Achituve, Haggai Maron, Kenji Kawaguchi, Gal
        Chechik and Ethan Fetaya, "Multi-Task Learning as a Bargaining Game", ICML 2022,
        <https://arxiv.org/abs/2202.01017>.

    Differences from the authors' code:
        They solve a sequence of convex programs with a cone solver outside the graph,
        and may reuse weights for several steps to save time. The equation is where the
        gradient of `a' G a / 2 - sum_i log a_i` vanishes; Newton's method finds it to
        1e-12 inside the graph, at each step. They weight the losses, so that heads
        learn at `a_i` times their rate; here only what is shared is weighted, as the
        paper's algorithm says.
    """

    def __init__(self, *, max_norm: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_norm < 0:
            raise ValueError(
                f"`max_norm` must be at least 0. Received: max_norm={max_norm}."
            )
        self.max_norm = max_norm

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        cosines, norms = correlations(gramian, present)
        there = ops.cast(norms > 0, "float64")
        # Gradients of which a positive combination is 0 have no solution without it.
        ridge = 1e-10 * ops.eye(self.num_tasks, dtype="float64")
        scaled = minimize_power_barrier(cosines + ridge, ops.ones_like(norms), 1.0)
        # The length of the update for unit rows is sqrt(k), since a' G a = k.
        weights = scaled * invert(norms)
        unit = ops.sqrt(ops.sqrt(ops.sum(gramian**2)))
        length = unit * ops.sqrt(ops.sum(there))
        if self.max_norm > 0:
            unit = unit * ops.minimum(1.0, self.max_norm * invert(length))
        return weights * unit
