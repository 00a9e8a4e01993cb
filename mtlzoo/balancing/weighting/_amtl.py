from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting
from mtlzoo.balancing._checks import require_nonnegative
from mtlzoo.balancing._performance import Performance
from mtlzoo.errors import TaskError


@BALANCING.register("amtl", paper="Yun and Cho, ICCV 2023", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class AMTL(Weighting):
    """Weights tasks by how far each is from what it reaches when trained alone.

    `a_i = (1 - p_i / (margin q_i))^2`, where `p_i`, from 0 to 1, is how well task `i`
    is done now and `q_i` how well a model of this task alone does it; `w = k a /
    sum(a)` for `k` tasks. `total` is the weighted geometric mean of the losses,
    `exp(sum_i w_i log(L_i) / k)`, or their weighted sum. `p_i` is `exp(-L_i)` on each
    batch, or, with `logs`, one of the logs after each epoch, such as an accuracy.

    Args:
        targets: `q_i`, one a task; `None` for ones.
        margin: how far above the targets a multi-task model may get.
        mean: `"geometric"` or `"arithmetic"`.
        logs: for each task the name of a log from 0 to 1, higher being better.

    Example:
    ```python
    model.compile("adam", balancing=balancing.AMTL(targets=[0.86, 0.72]))
    ```

    Reference:
        Hayoung Yun and Hanjoo Cho, "Achievement-based Training Progress Balancing for
        Multi-Task Learning", ICCV 2023,
        <https://openaccess.thecvf.com/content/ICCV2023/html/Yun_Achievement-Based_Training_Progress_Balancing_for_Multi-Task_Learning_ICCV_2023_paper.html>.

    Differences from the authors' code:
        Theirs measures accuracy on the validation data after each epoch: give its names
        as `logs` for that.
    """

    def __init__(
        self,
        *,
        targets: Sequence[float] | None = None,
        margin: float = 1.05,
        mean: str = "geometric",
        logs: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if mean not in ("geometric", "arithmetic"):
            raise ValueError(
                f"`mean` must be 'geometric' or 'arithmetic'. Received: mean={mean!r}."
            )
        self.targets = None if targets is None else tuple(map(float, targets))
        self.margin = margin
        self.mean = mean
        self.logs = None if logs is None else tuple(logs)
        self.performance = Performance(1.0, self.logs)

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        if self.targets is not None and len(self.targets) != num_tasks:
            raise TaskError(
                "`targets` of AMTL must hold one number a task. Received: "
                f"{len(self.targets)} for {num_tasks} tasks."
            )
        self.performance.build(num_tasks)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.performance.read(logs)

    def weigh(self, losses: Any, present: Any) -> Any:
        done = self.performance.update(losses, present)
        targets = self.targets or (1.0,) * self.num_tasks
        reach = self.margin * ops.convert_to_tensor(targets, losses.dtype)
        left = ops.maximum(1.0 - done / reach, 1e-6) ** 2
        left = ops.where(present, left, 0.0)
        count = ops.sum(ops.cast(present, losses.dtype))
        return count * ops.divide_no_nan(left, ops.sum(left))

    def total(self, losses: Any, present: Any) -> Any:
        weights = ops.stop_gradient(self.weigh(losses, present))
        if self.mean == "arithmetic":
            return ops.sum(weights * losses)
        losses = require_nonnegative(losses, "AMTL")
        logs = ops.log(ops.where(present, losses + 1e-12, 1.0))
        count = ops.sum(ops.cast(present, losses.dtype))
        mean = ops.divide_no_nan(ops.sum(weights * logs), count)
        return ops.where(count > 0, ops.exp(mean), 0.0)
