from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting
from mtlzoo.balancing._checks import require_nonnegative


@BALANCING.register(
    "scale_invariant", paper="Navon et al., ICML 2022", kind="weighting"
)
@keras.saving.register_keras_serializable("mtlzoo")
class ScaleInvariant(Weighting):
    """The sum of the logarithms of the losses.

    `total = sum_i log L_i`, whose gradient is `sum_i g_i / L_i`: multiplying a loss by
    a constant changes nothing. Losses must be at least 0.

    Args:
        epsilon: added to the losses, so that a loss of 0 has a logarithm.

    Example:
    ```python
    model.compile("adam", balancing="scale_invariant")
    ```

    Reference:
        The baseline SI of Aviv Navon, Aviv Shamsian, Idan Achituve, Haggai Maron, Kenji
        Kawaguchi, Gal Chechik and Ethan Fetaya, "Multi-Task Learning as a Bargaining
        Game", ICML 2022, <https://arxiv.org/abs/2202.01017>.

    Differences from the authors' code:
        Theirs has no `epsilon`.
    """

    def __init__(self, *, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.epsilon = epsilon

    def weigh(self, losses: Any, present: Any) -> Any:
        return ops.where(present, 1.0 / (losses + self.epsilon), 0.0)

    def total(self, losses: Any, present: Any) -> Any:
        losses = require_nonnegative(losses, "ScaleInvariant")
        losses = ops.where(present, losses + self.epsilon, 1.0)
        return ops.sum(ops.log(losses))
