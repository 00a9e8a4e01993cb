from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, correlations, invert
from mtlzoo.balancing._solvers import project_onto_dual_cone


@BALANCING.register("upgrad", paper="Quinton and Rey, 2024", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class UPGrad(GramianAggregator):
    """Takes out of each gradient exactly what conflicts, then averages.

    The mean of the projections of the gradients onto the dual cone, the set of updates
    that conflict with no task. The result conflicts with none, is linear in the scale
    of each gradient, and is the mean where gradients don't conflict. Where PCGrad
    projects onto one plane after another, this is the projection that PCGrad
    approximates.

    Args:
        regularization: added to the diagonal of the Gramian divided by its trace. 0 is
            exact; the authors' code has 1e-4.

    Example:
    ```python
    model.compile("adam", balancing="upgrad")
    ```

    Reference:
        Pierre Quinton and Valérian Rey, "Jacobian Descent for Multi-Objective
        Optimization", 2024, <https://arxiv.org/abs/2406.16232>.

    Differences from the authors' code:
        They solve one quadratic program a task outside the graph, with the
        regularisation above, which breaks linearity under scaling by up to a few
        percent. Here all are solved at once, in the graph, for gradients of unit
        length.
    """

    def __init__(self, *, regularization: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if regularization < 0:
            raise ValueError(
                "`regularization` must be at least 0. Received: "
                f"regularization={regularization}."
            )
        self.regularization = regularization

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        gramian = regularize(gramian, self.regularization)
        cosines, norms = correlations(gramian, present)
        identity = ops.eye(self.num_tasks, dtype="float64")
        projections = project_onto_dual_cone(cosines, identity)
        count = ops.maximum(ops.sum(ops.cast(present, "float64")), 1.0)
        return ops.matmul(norms[None], projections)[0] * invert(norms) / count


def regularize(gramian: Any, amount: float) -> Any:
    """Return the Gramian over its trace, with `amount` added to the diagonal."""
    trace = ops.sum(ops.diagonal(gramian))
    gramian = gramian / ops.where(trace > 0, trace, 1.0)
    there = ops.cast(ops.diagonal(gramian) > 0, "float64")
    return gramian + amount * ops.diag(there)
