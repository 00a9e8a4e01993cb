from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting
from mtlzoo.balancing._performance import Performance


@BALANCING.register("dtp", paper="Guo et al., ECCV 2018", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class DTP(Weighting):
    """Favours the difficult tasks, as focal loss favours difficult examples.

    `w_i = -(1 - p_i)^gamma log p_i`, where `p_i`, from 0 to 1, is the running average
    of how well task `i` is done. Without `logs` that is `exp(-L_i)` on each batch: for
    a cross-entropy, the geometric mean of the probability of the right class. With
    `logs`, it is one of the logs after each epoch, an accuracy say.

    Args:
        gamma: the focus on difficult tasks.
        momentum: how fast the average moves, from 0 to 1.
        logs: for each task the name of a log from 0 to 1, higher being better, such
            as `"income_accuracy"` or `"val_income_accuracy"`.

    Example:
    ```python
    model.compile("adam", balancing=balancing.DTP(gamma=0.5))
    ```

    Reference:
        Michelle Guo, Albert Haque, De-An Huang, Serena Yeung and Li Fei-Fei, "Dynamic
        Task Prioritization for Multitask Learning", ECCV 2018,
        <https://openaccess.thecvf.com/content_ECCV_2018/html/Michelle_Guo_Focus_on_the_ECCV_2018_paper.html>.

    Differences from the authors' code:
        There is no public code. The paper's measure is chosen by task; `exp(-L_i)`
        needs no choice. Its focal loss on examples is the task's loss, not this
        weighting.
    """

    def __init__(
        self,
        *,
        gamma: float = 1.0,
        momentum: float = 0.1,
        logs: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.momentum = momentum
        self.logs = None if logs is None else tuple(logs)
        self.performance = Performance(momentum, self.logs)

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.performance.build(num_tasks)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.performance.read(logs)

    def weigh(self, losses: Any, present: Any) -> Any:
        done = ops.clip(self.performance.update(losses, present), 1e-7, 1.0)
        weights = -((1.0 - done) ** self.gamma) * ops.log(done)
        return ops.where(present, weights, 0.0)
