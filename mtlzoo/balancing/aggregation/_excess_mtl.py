from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import Aggregator, combine, unreduced


@BALANCING.register("excess_mtl", paper="He et al., ICML 2024", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class ExcessMTL(Aggregator):
    """Weights losses by how far each still is from what it can reach.

    The excess risk of a task, its loss above the best attainable one, is estimated by
    `E_i = sum g_i^2 / sqrt(S_i)`, where `S_i` sums the squares of the task's gradients
    over all steps, entry by entry; relative to its first value it moves the weights,
    `w_i <- w_i exp(eta E_i / E_i(first))`, scaled to sum to the number of tasks. So
    label noise, which no training removes, does not attract weight. The weights weight
    the losses, heads included.

    It needs the tasks' gradients, so it works as an aggregation does. In
    `representation` mode `g_i` is the gradient of a bias at the representation: what is
    summed over steps must be of the same entries on each.

    Args:
        eta: step size of the weights.

    Example:
    ```python
    model.compile("adam", balancing="excess_mtl")
    ```

    Reference:
        Yifei He, Shiji Zhou, Guojun Zhang, Hyokun Yun, Yi Xu, Belinda Zeng, Trishul
        Chilimbi and Han Zhao, "Robust Multi-Task Learning with Excess Risks", ICML
        2024, <https://arxiv.org/abs/2402.02009>.

    Differences from the authors' code:
        There is none. The sums of squares take `num_tasks` times the shared variables'
        memory, in `representation` mode that of its channels.
    """

    compares_batches = True
    weighs_losses = True

    def __init__(self, *, eta: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.eta = eta

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.task_weights = self.state("task_weights", (num_tasks,), initial=1.0)
        self.first_risks = self.state("first_risks", (num_tasks,))
        self.squares = [
            self.state(f"squares_{index}", (num_tasks, size))
            for index, size in enumerate(block_sizes)
        ]

    def aggregate(
        self,
        jacobian: Any,
        losses: Any,
        present: Any,
        reduce: Callable[[Any], Any] = unreduced,
    ) -> tuple[list[Any], Any]:
        _, factors = self.normalize(losses, present)
        factors = ops.cast(factors, "float32")
        risks = ops.zeros((self.num_tasks,), "float32")
        for state, block in zip(
            self.squares, self.narrowed(jacobian, reduce), strict=True
        ):
            square = ops.square(ops.cast(block, "float32") * factors[:, None])
            total = state + square
            self.remember(state, total)
            risks = risks + ops.sum(square * ops.rsqrt(total + 1e-7), axis=-1)
        new = ops.logical_and(present, ops.equal(self.first_risks, 0.0))
        first = ops.where(new, risks, self.first_risks)
        self.remember(self.first_risks, first)
        relative = risks / ops.where(first > 0, first, 1.0)
        moved = self.task_weights * ops.exp(
            self.eta * ops.where(present, relative, 0.0)
        )
        moved = moved * (self.num_tasks / ops.sum(moved))
        self.remember(self.task_weights, moved)
        there = ops.where(present, moved, 0.0)
        count = ops.sum(ops.cast(present, "float32"))
        weights = there * ops.divide_no_nan(count, ops.sum(there)) * factors
        return combine(jacobian, weights), weights
