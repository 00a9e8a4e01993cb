from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, mean_weights

_SCALES = ("min", "median", "rmse")


@BALANCING.register(
    "aligned_mtl", paper="Senushkin et al., CVPR 2023", kind="aggregation"
)
@keras.saving.register_keras_serializable("mtlzoo")
class AlignedMTL(GramianAggregator):
    """Makes the gradients orthogonal and equally long, then averages them.

    With the Gramian `G = V diag(l) V'`, the weights are
    `w = sqrt(s) V diag(1 / sqrt(l)) V' (1 / k)` for `k` tasks: the mean of the nearest
    Jacobian whose condition number is 1. `s` is the scale that all principal components
    get.

    Args:
        scale: of the components: `"min"`, the smallest eigenvalue, with which the
            update converges to a Pareto-stationary point; `"median"` of the
            eigenvalues; or `"rmse"`, their mean.

    Example:
    ```python
    model.compile("adam", balancing=balancing.AlignedMTL(scale="median"))
    ```

    Reference:
        Dmitry Senushkin, Nikolay Patakin, Arseny Kuznetsov and Anton Konushin,
        "Independent Component Alignment for Multi-Task Learning", CVPR 2023,
        <https://arxiv.org/abs/2305.19000>.

    Differences from the authors' code:
        Theirs sums, with weights `1`, not `1 / k`. Eigenvalues that rounding could have
        made count as 0, and 0 is never the smallest.
    """

    def __init__(self, *, scale: str = "min", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if scale not in _SCALES:
            raise ValueError(f"`scale` must be one of {_SCALES}. Received: {scale!r}.")
        self.scale = scale

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        values, vectors = ops.linalg.eigh(gramian)
        kept = values > 1e-12 * ops.max(values)
        count = ops.sum(ops.cast(kept, "int32"))
        if self.scale == "min":
            chosen = ops.min(ops.where(kept, values, float("inf")))
        elif self.scale == "median":
            # Ascending, the kept ones are the last; the lower of two middle ones.
            middle = self.num_tasks - 1 - count // 2
            chosen = ops.take(values, ops.maximum(middle, 0))
        else:
            chosen = ops.sum(ops.where(kept, values, 0.0)) / ops.cast(count, "float64")
        roots = ops.sqrt(ops.where(kept, chosen / ops.where(kept, values, 1.0), 0.0))
        mean = ops.matmul(mean_weights(present)[None], vectors)[0]
        return ops.matmul(vectors, (roots * mean)[:, None])[:, 0]
