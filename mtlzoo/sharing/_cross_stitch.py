from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._columns import Columns, Stitch


@ARCHITECTURES.register(
    "cross_stitch",
    paper="Misra et al., CVPR 2016",
    tasks="two or more, any kind",
    inputs="any, over a trunk of several stages",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class CrossStitch(Columns):
    """A network for each task, linearly mixed after each stage by learned weights.

    With `x_{l,t}` the output of stage `l` in the network of task `t`, the next stage
    of that network reads `sum_j A_{l,t,j} x_{l,j}`. The matrix `A_l` starts with
    `own_weight` on its diagonal and `1 - own_weight` spread over the rest of each row,
    whose sum is then 1. With 1 on the diagonal the networks are independent.

    The paper trains the networks one task each first, and the matrices at a learning
    rate 100 to 1000 times as high; both are up to the caller.

    Args:
        own_weight: the diagonal that each matrix starts with.
        per_channel: whether each channel has a matrix of its own.

    Reference: Ishan Misra, Abhinav Shrivastava, Abhinav Gupta, Martial Hebert,
    *Cross-stitch Networks for Multi-task Learning*, CVPR 2016,
    <https://arxiv.org/abs/1604.03539>.
    """

    def __init__(self, *, own_weight: float = 0.9, per_channel: bool = False) -> None:
        self.own_weight = own_weight
        self.per_channel = per_channel

    def exchange(self, columns: dict[str, Any], stage: int) -> dict[str, Any]:
        return {
            task: Stitch(
                list(columns),
                own,
                own_weight=self.own_weight,
                per_channel=self.per_channel,
                name=f"sharing.stitch_{stage}.{task}",
            )(list(columns.values()))
            for own, task in enumerate(columns)
        }
