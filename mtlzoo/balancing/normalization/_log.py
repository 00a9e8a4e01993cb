from typing import Any

import keras
from keras import ops

from mtlzoo.balancing._checks import require_nonnegative
from mtlzoo.balancing.normalization._base import Normalization


@keras.saving.register_keras_serializable("mtlzoo")
class Log(Normalization):
    """Each loss becomes its logarithm, and its gradient `g_i / L_i`.

    Losses must be at least 0. No state. In the ablation of the paper it improves
    PCGrad, GradVac, IMTL-G, CAGrad, Nash-MTL and Aligned-MTL.

    Args:
        epsilon: added to the losses, so that a loss of 0 has a gradient.

    Reference:
        Baijiong Lin, Weisen Jiang, Feiyang Ye, Yu Zhang, Pengguang Chen, Ying-Cong
        Chen, Shu Liu and James Kwok, "Dual-Balancing for Multi-Task Learning", 2023,
        <https://arxiv.org/abs/2308.12029>.
    """

    def __init__(self, *, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.epsilon = epsilon

    def normalize(self, losses: Any, present: Any) -> tuple[Any, Any]:
        losses = require_nonnegative(losses, "The normalisation 'log'") + self.epsilon
        return ops.log(losses), 1.0 / losses
