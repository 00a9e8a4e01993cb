from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting


@BALANCING.register("rlw", paper="Lin et al., TMLR 2022", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class RLW(Weighting):
    """Random weights, new ones at each step.

    `w = softmax(z)` with `z` drawn from a standard normal distribution, over the tasks
    that are present. The weights sum to 1, so the learning rate is in effect `1 / k` of
    that of `Equal` with `k` tasks. A cheap baseline that is hard to beat.

    Args:
        seed: of the draws; `None` draws one.

    Example:
    ```python
    model.compile("adam", balancing=balancing.RLW(seed=1))
    ```

    Reference:
        Baijiong Lin, Feiyang Ye, Yu Zhang and Ivor Tsang, "Reasonable Effectiveness of
        Random Weighting: A Litmus Test for Multi-Task Learning", TMLR 2022,
        <https://arxiv.org/abs/2111.10603>.

    Differences from the authors' code:
        There is none.
    """

    def __init__(self, *, seed: int | None = None) -> None:
        super().__init__()
        self.seed = seed

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    def weigh(self, losses: Any, present: Any) -> Any:
        drawn = keras.random.normal((self.num_tasks,), seed=self.seed_generator)
        logits = ops.where(present, ops.cast(drawn, losses.dtype), -1e9)
        return ops.where(present, ops.softmax(logits), 0.0)
