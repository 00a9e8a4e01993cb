from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting
from mtlzoo.balancing._checks import require_nonnegative


@BALANCING.register(
    "gls", paper="Chennupati et al., CVPR Workshops 2019", kind="weighting"
)
@keras.saving.register_keras_serializable("mtlzoo")
class GLS(Weighting):
    """The geometric mean of the losses.

    `total = (prod_i L_i)^(1 / k)` over the `k` tasks that are present. Its gradient is
    `sum_i (total / (k L_i)) g_i`: each task counts by its relative progress, whatever
    the units of its loss. Losses must be at least 0.

    Args:
        epsilon: added to the losses, so that one loss of 0 does not stop all others.

    Example:
    ```python
    model.compile("adam", balancing="gls")
    ```

    Reference:
        Sumanth Chennupati, Ganesh Sistu, Senthil Yogamani and Samir Rawashdeh,
        "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for
        Multi-Task Learning", CVPR Workshops 2019, <https://arxiv.org/abs/1904.08492>.

    Differences from the authors' code:
        The mean is taken of logarithms, so that a product of many losses neither
        overflows nor vanishes.
    """

    def __init__(self, *, epsilon: float = 1e-12) -> None:
        super().__init__()
        self.epsilon = epsilon

    def weigh(self, losses: Any, present: Any) -> Any:
        there = ops.cast(present, losses.dtype)
        count = ops.maximum(ops.sum(there), 1.0)
        total = self.total(losses, present)
        return there * total / (count * (losses + self.epsilon))

    def total(self, losses: Any, present: Any) -> Any:
        losses = require_nonnegative(losses, "GLS") + self.epsilon
        there = ops.cast(present, losses.dtype)
        logs = ops.log(ops.where(present, losses, 1.0))
        mean = ops.sum(logs) / ops.maximum(ops.sum(there), 1.0)
        return ops.exp(mean) * ops.max(there)
