from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import (
    GramianAggregator,
    correlations,
    invert,
)
from mtlzoo.balancing._solvers import project_onto_dual_cone
from mtlzoo.balancing.aggregation._upgrad import regularize


@BALANCING.register(
    "dualproj", paper="Lopez-Paz and Ranzato, NeurIPS 2017", kind="aggregation"
)
@keras.saving.register_keras_serializable("mtlzoo")
class DualProj(GramianAggregator):
    """The update nearest to the mean gradient that conflicts with no task.

    The projection of the mean of the gradients onto the dual cone, the set of updates
    `d` with `g_i . d >= 0` for all tasks: the rule of gradient episodic memory. Where
    the mean conflicts with no task, it is the mean.

    Args:
        regularization: added to the diagonal of the Gramian divided by its trace; 0 is
            exact.

    Example:
    ```python
    model.compile("adam", balancing="dualproj")
    ```

    Reference:
        David Lopez-Paz and Marc'Aurelio Ranzato, "Gradient Episodic Memory for
        Continual Learning", NeurIPS 2017, <https://arxiv.org/abs/1706.08840>.

    Differences from the authors' code:
        They project the gradient of the present task with respect to a memory of
        earlier ones; this projects the mean over the tasks that are trained together.
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
        count = ops.maximum(ops.sum(ops.cast(present, "float64")), 1.0)
        projection = project_onto_dual_cone(cosines, norms[None] / count)[0]
        return projection * invert(norms)
