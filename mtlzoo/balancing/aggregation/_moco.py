from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import (
    Aggregator,
    combine,
    gramian_of,
    invert,
    unreduced,
)
from mtlzoo.balancing._solvers import project_onto_simplex


@BALANCING.register("moco", paper="Fernando et al., ICLR 2023", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class MoCo(Aggregator):
    """MGDA with tracked gradients, which takes the bias of the batches away.

    Each step `t` moves a tracked gradient a task, `y_i <- y_i - beta_t (y_i - g_i)`,
    and the weights by one step towards MGDA's, `w <- P(w - gamma_t (Y Y' + rho I) w)`,
    where `P` projects onto the simplex; the update is `sum_i w_i y_i`. `g_i` is the
    task's gradient scaled to the length `L_i` of its loss. A task that is absent keeps
    what is tracked and takes no part.

    Args:
        beta: how fast the tracked gradients move.
        gamma: how fast the weights move.
        rho: pulls the weights together.
        beta_decay: `beta_t = beta / t^beta_decay`.
        gamma_decay: `gamma_t = gamma / t^gamma_decay`.

    Example:
    ```python
    model.compile("adam", balancing=balancing.MoCo(beta=0.99, beta_decay=0.0))
    ```

    Reference:
        Heshan Fernando, Han Shen, Miao Liu, Subhajit Chaudhury, Keerthiram Murugesan
        and Tianyi Chen, "Mitigating Gradient Bias in Multi-objective Learning: A
        Provably Convergent Approach", ICLR 2023,
        <https://openreview.net/forum?id=dLAYGdKTi2>.

    Differences from the authors' code:
        The weights are projected onto the simplex, as in the paper; the code takes a
        softmax of them. What is tracked takes `num_tasks` times the shared variables'
        memory. There is no `representation` mode: nothing of one batch's
        representations could be tracked on the next.
    """

    modes = ("parameters",)
    modes_because = (
        "It follows each task's gradient from batch to batch, and the entries of a "
        "representation's gradient belong to the rows of one batch."
    )

    def __init__(
        self,
        *,
        beta: float = 0.5,
        gamma: float = 0.1,
        rho: float = 0.0,
        beta_decay: float = 0.5,
        gamma_decay: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.beta = beta
        self.gamma = gamma
        self.rho = rho
        self.beta_decay = beta_decay
        self.gamma_decay = gamma_decay

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.steps = self.state("steps")
        self.task_weights = self.state(
            "task_weights", (num_tasks,), initial=1.0 / num_tasks
        )
        self.tracked = [
            self.state(f"tracked_{index}", (num_tasks, size))
            for index, size in enumerate(block_sizes)
        ]

    def aggregate(
        self,
        jacobian: Any,
        losses: Any,
        present: Any,
        reduce: Callable[[Any], Any] = unreduced,
    ) -> tuple[list[Any], Any]:
        losses, _ = self.normalize(losses, present)
        squares = [ops.sum(ops.square(block), axis=-1) for block in jacobian]
        norms = ops.sqrt(sum(squares[1:], squares[0]))
        # A normalisation's factors cancel: what remains of it is the scaled loss.
        scale = invert(norms) * ops.cast(ops.abs(losses), norms.dtype)
        self.steps.assign_add(1.0)
        beta = self.beta * self.steps ** (-self.beta_decay)
        gamma = self.gamma * self.steps ** (-self.gamma_decay)
        blocks = []
        for state, block in zip(self.tracked, jacobian, strict=True):
            tracked = ops.cast(state, block.dtype)
            moved = tracked - ops.cast(beta, block.dtype) * (
                tracked - scale[:, None] * block
            )
            moved = ops.where(present[:, None], moved, tracked)
            self.remember(state, moved)
            blocks.append(ops.where(present[:, None], moved, 0.0))
        gramian = ops.cast(gramian_of(blocks), "float32")
        old = ops.where(present, self.task_weights, 0.0)
        slope = ops.matmul(gramian, old[:, None])[:, 0] + self.rho * old
        weights = project_onto_simplex(old - gamma * slope, present)
        self.remember(self.task_weights, ops.where(present, weights, self.task_weights))
        return combine(blocks, weights), weights
