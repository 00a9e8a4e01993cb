from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting
from mtlzoo.balancing._checks import require_nonnegative
from mtlzoo.balancing._epoch_mean import EpochMean


@BALANCING.register("stch", paper="Lin et al., ICML 2024", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class STCH(Weighting):
    """Minimises the worst of the losses, smoothly, each relative to where it stood.

    `total = mu k log sum_i exp(log(L_i / z_i) / mu)` for `k` tasks, where `z_i` is the
    mean of the loss `L_i` over the last warm-up epoch: a smooth maximum of how each
    task compares to then. During the warm-up, `total = sum_i log L_i`. Losses must be
    at least 0.

    Args:
        mu: how smooth the maximum is; towards 0 it is the maximum itself.
        warmup_epochs: how many epochs come before, at least 1.

    Example:
    ```python
    model.compile("adam", balancing=balancing.STCH(mu=0.5, warmup_epochs=2))
    ```

    Reference:
        Xi Lin, Xiaoyuan Zhang, Zhiyuan Yang, Fei Liu, Zhenkun Wang and Qingfu Zhang,
        "Smooth Tchebycheff Scalarization for Multi-Objective Optimization", ICML 2024,
        <https://arxiv.org/abs/2402.19078>.

    Differences from the authors' code:
        There is none: the formula of the paper has no logarithm of the losses, but its
        code has.
    """

    def __init__(self, *, mu: float = 1.0, warmup_epochs: int = 4) -> None:
        super().__init__()
        if mu <= 0 or warmup_epochs < 1:
            raise ValueError(
                "`mu` must be above 0 and `warmup_epochs` at least 1. Received: "
                f"mu={mu}, warmup_epochs={warmup_epochs}."
            )
        self.mu = mu
        self.warmup_epochs = warmup_epochs
        self.epoch_losses = EpochMean()

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.epoch_losses.build(num_tasks)
        self.nadir = self.state("nadir", (num_tasks,))
        self.epochs = self.state("epochs")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.epochs.assign_add(1.0)
        means = self.epoch_losses.take(otherwise=self.nadir)
        warming_up = self.epochs <= float(self.warmup_epochs)
        self.nadir.assign(ops.where(warming_up, means, self.nadir))

    def weigh(self, losses: Any, present: Any) -> Any:
        logs = self._relative_logs(losses, present)
        shares = ops.softmax(ops.where(present, logs / self.mu, -1e9))
        count = ops.sum(ops.cast(present, losses.dtype))
        outer = ops.where(self._warm(), count * shares, ops.ones_like(losses))
        return ops.where(present, outer / (losses + 1e-20), 0.0)

    def total(self, losses: Any, present: Any) -> Any:
        losses = require_nonnegative(losses, "STCH")
        self.epoch_losses.add(losses, present)
        logs = self._relative_logs(losses, present)
        count = ops.sum(ops.cast(present, losses.dtype))
        smooth = ops.logsumexp(ops.where(present, logs / self.mu, -1e9))
        warm = self.mu * count * ops.where(count > 0, smooth, 0.0)
        plain = ops.sum(ops.log(ops.where(present, losses + 1e-20, 1.0)))
        return ops.where(self._warm(), warm, plain)

    def _warm(self) -> Any:
        return self.epochs >= float(self.warmup_epochs)

    def _relative_logs(self, losses: Any, present: Any) -> Any:
        nadir = ops.cast(self.nadir, losses.dtype)
        nadir = ops.where(nadir > 0, nadir, 1.0)
        return ops.log(ops.where(present, losses + 1e-20, 1.0) / nadir)
