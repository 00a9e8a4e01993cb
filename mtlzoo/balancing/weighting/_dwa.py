from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting
from mtlzoo.balancing._epoch_mean import EpochMean


@BALANCING.register("dwa", paper="Liu et al., CVPR 2019", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class DWA(Weighting):
    """Favours the tasks whose losses fall most slowly, from epoch to epoch.

    `w = k softmax(r / temperature)` for `k` tasks, where `r_i` is the mean loss of task
    `i` in the last epoch over that in the one before. Weights are 1 for two epochs.

    Args:
        temperature: large values keep the weights equal.

    Example:
    ```python
    model.compile("adam", balancing=balancing.DWA(temperature=2.0))
    ```

    Reference:
        Shikun Liu, Edward Johns and Andrew Davison, "End-to-End Multi-Task Learning
        with Attention", CVPR 2019, <https://arxiv.org/abs/1803.10704>.

    Differences from the authors' code:
        There is none.
    """

    def __init__(self, *, temperature: float = 2.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(
                f"`temperature` must be above 0. Received: temperature={temperature}."
            )
        self.temperature = temperature
        self.epoch_losses = EpochMean()

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.epoch_losses.build(num_tasks)
        self.last = self.state("last", (num_tasks,))
        self.before_last = self.state("before_last", (num_tasks,))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.before_last.assign(self.last)
        self.last.assign(self.epoch_losses.take(otherwise=self.last))

    def weigh(self, losses: Any, present: Any) -> Any:
        self.epoch_losses.add(losses, present)
        last = ops.cast(self.last, losses.dtype)
        before = ops.cast(self.before_last, losses.dtype)
        # A task that had no label for two epochs yet counts as one that stands still.
        known = ops.not_equal(before, 0.0)
        ratios = ops.where(known, last / ops.where(known, before, 1.0), 1.0)
        logits = ops.where(present, ratios / self.temperature, -1e9)
        count = ops.sum(ops.cast(present, losses.dtype))
        return ops.where(present, count * ops.softmax(logits), 0.0)
