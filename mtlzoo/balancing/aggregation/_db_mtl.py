from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import Aggregator, combine, invert, unreduced


@BALANCING.register("db_mtl", paper="Lin et al., 2023", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class DualBalancing(Aggregator):
    """Dual balancing: logarithms of losses, and gradients of one length.

    Each loss becomes `log(L_i)`. Of the gradients of these a running average is kept,
    `b_i <- g_i + momentum / t^decay (b_i - g_i)` at step `t`, and the update is `sum_i
    (max_j ||b_j|| / ||b_i||) b_i`. So no task dominates by the scale of its loss or of
    its gradient. A task that is absent keeps its average and takes no part.

    Args:
        momentum: how much of the average stays, at least 0 and below 1. `None` for 0.9,
            and for 0 in `representation` mode: there gradients are of the rows of a
            batch, and can't be averaged over batches.
        decay: power of the step by which `momentum` shrinks.
        normalization: of the losses.
        heads: a weighting for what is not shared; by default the paper's, whose
            logarithms hold for heads too.

    Example:
    ```python
    model.compile("adam", balancing="db_mtl")
    ```

    Reference:
        Baijiong Lin, Weisen Jiang, Feiyang Ye, Yu Zhang, Pengguang Chen, Ying-Cong
        Chen, Shu Liu and James Kwok, "Dual-Balancing for Multi-Task Learning", 2023,
        <https://arxiv.org/abs/2308.12029>.

    Differences from the authors' code:
        There is none. The averages take `num_tasks` times the shared variables' memory,
        unless `momentum` is 0. Theirs has no `representation` mode.
    """

    def __init__(
        self,
        *,
        momentum: float | None = None,
        decay: float = 0.0,
        normalization: Any = "log",
        heads: Any = "scale_invariant",
        **kwargs: Any,
    ) -> None:
        super().__init__(normalization=normalization, heads=heads, **kwargs)
        if momentum is not None and not 0.0 <= momentum < 1.0:
            raise ValueError(
                "`momentum` must be at least 0 and below 1. Received: "
                f"momentum={momentum}."
            )
        by_parameters = self.gradients == "parameters"
        if momentum and not by_parameters:
            raise ValueError(
                "`momentum` averages gradients over batches, and the entries of a "
                "representation's gradient belong to the rows of one batch. Received: "
                f"momentum={momentum}, gradients={self.gradients!r}. Leave `momentum` "
                "out, or use gradients='parameters'."
            )
        self.momentum = momentum
        self.decay = decay
        default = 0.9 if by_parameters else 0.0
        self._stays = default if momentum is None else momentum

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.steps = self.state("steps")
        self.averages = [
            self.state(f"average_{index}", (num_tasks, size))
            for index, size in enumerate(block_sizes)
            if self._stays > 0
        ]

    def aggregate(
        self,
        jacobian: Any,
        losses: Any,
        present: Any,
        reduce: Callable[[Any], Any] = unreduced,
    ) -> tuple[list[Any], Any]:
        _, factors = self.normalize(losses, present)
        self.steps.assign_add(1.0)
        stay = self._stays * self.steps ** (-self.decay)
        blocks = []
        for index, block in enumerate(jacobian):
            block = block * ops.cast(factors, block.dtype)[:, None]
            if self.averages:
                average = ops.cast(self.averages[index], block.dtype)
                block = block + ops.cast(stay, block.dtype) * (average - block)
                kept = ops.where(present[:, None], block, average)
                self.remember(self.averages[index], kept)
            blocks.append(block)
        squares = [ops.sum(ops.square(block), axis=-1) for block in blocks]
        norms = ops.sqrt(reduce(sum(squares[1:], squares[0])))
        norms = ops.where(present, norms, 0.0)
        weights = ops.max(norms) * invert(norms)
        return combine(blocks, weights), weights * ops.cast(factors, weights.dtype)
