from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._adam import Adam
from mtlzoo.balancing._base import Weighting
from mtlzoo.balancing._checks import require_nonnegative
from mtlzoo.errors import TaskError


@BALANCING.register("famo", paper="Liu et al., NeurIPS 2023", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class FAMO(Weighting):
    """Lets all losses fall at the same rate, at the cost of one more forward pass.

    `total = c sum_i z_i log D_i` with `z = softmax(w)`, `D_i = L_i - minimum_i + 1e-8`
    and `1 / c = sum_i z_i / D_i`, held constant. After the update the losses on the
    same batch tell how fast each fell, and the logits `w` descend on that: the gradient
    is `J' (log D - log D')`, with `J` the Jacobian of the softmax and `D'` after the
    update.

    Args:
        learning_rate: of Adam, for the logits.
        weight_decay: of the logits; pulls the weights together.
        minimums: the lowest value of each loss, one a task; `None` for zeros.

    Example:
    ```python
    model.compile("adam", balancing=balancing.FAMO(weight_decay=0.01))
    ```

    Reference:
        Bo Liu, Yihao Feng, Peter Stone and Qiang Liu, "FAMO: Fast Adaptive Multitask
        Optimization", NeurIPS 2023, <https://arxiv.org/abs/2306.03792>.

    Differences from the authors' code:
        Their trainer clips the model's gradients to norm 1: use the optimizer's
        `global_clipnorm`. A task without labels takes no part in either pass.
    """

    uses_losses_after = True

    def __init__(
        self,
        *,
        learning_rate: float = 0.025,
        weight_decay: float = 1e-3,
        minimums: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.minimums = None if minimums is None else tuple(map(float, minimums))
        self.adam = Adam(learning_rate, weight_decay)

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        if self.minimums is not None and len(self.minimums) != num_tasks:
            raise TaskError(
                "`minimums` of FAMO must hold one number a task. Received: "
                f"{len(self.minimums)} for {num_tasks} tasks."
            )
        self.logits = self.state("logits", (num_tasks,))
        self.logs_before = self.state("logs_before", (num_tasks,))
        self.adam.build(num_tasks)

    def weigh(self, losses: Any, present: Any) -> Any:
        shares = self._shares(present, losses.dtype)
        relative = shares / self._excess(losses, present)
        return relative / ops.maximum(ops.sum(relative), 1e-30)

    def total(self, losses: Any, present: Any) -> Any:
        excess = require_nonnegative(
            self._excess(losses, present), "FAMO, which measures from `minimums`,"
        )
        shares = self._shares(present, losses.dtype)
        logs = ops.log(excess)
        self.remember(self.logs_before, ops.stop_gradient(logs))
        scale = ops.stop_gradient(ops.sum(shares / excess))
        return ops.sum(shares * logs) / ops.maximum(scale, 1e-30)

    def after_step(self, losses: Any, present: Any) -> None:
        logs = ops.cast(ops.log(self._excess(losses, present)), "float32")
        fall = ops.where(present, self.logs_before - logs, 0.0)
        shares = self._shares(present, "float32")
        self.adam.step(self.logits, shares * (fall - ops.sum(shares * fall)))

    def _shares(self, present: Any, dtype: Any) -> Any:
        logits = ops.cast(self.logits, dtype)
        return ops.where(present, ops.softmax(ops.where(present, logits, -1e9)), 0.0)

    def _excess(self, losses: Any, present: Any) -> Any:
        if self.minimums is not None:
            losses = losses - ops.convert_to_tensor(self.minimums, losses.dtype)
        return ops.where(present, losses + 1e-8, 1.0)
