from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, invert


@BALANCING.register("gradvac", paper="Wang et al., ICLR 2021", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class GradVac(GramianAggregator):
    """Pulls each pair of gradients towards the cosine they usually have, then sums.

    For each task `i`, for the other tasks `j` in random order: with `rho` the cosine of
    the running `g_i` and the original `g_j`, and `target` its running average over the
    steps, where `rho < target`,

    `g_i <- g_i + ||g_i|| (target sqrt(1 - rho^2) - rho sqrt(1 - target^2)) /
    (||g_j|| sqrt(1 - target^2)) g_j`,

    which makes their cosine `target`; then `target <- (1 - beta) target + beta rho`.
    Targets start at 0, where this is PCGrad.

    Args:
        beta: how fast the targets move, from 0 to 1.
        seed: of the random orders; `None` draws one.

    Example:
    ```python
    model.compile("adam", balancing=balancing.GradVac(beta=0.01))
    ```

    Reference:
        Zirui Wang, Yulia Tsvetkov, Orhan Firat and Yuan Cao, "Gradient Vaccine:
        Investigating and Improving Multi-task Optimization in Massively Multilingual
        Models", ICLR 2021, <https://arxiv.org/abs/2010.05874>.

    Differences from the authors' code:
        There is none; as in LibMTL, `beta` is 0.5 by default (the paper's own task has
        0.01) and there is one target a pair of tasks, not one a layer.
    """

    def __init__(
        self, *, beta: float = 0.5, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= beta <= 1.0:
            raise ValueError(f"`beta` must be from 0 to 1. Received: beta={beta}.")
        self.beta = beta
        self.seed = seed

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.targets = self.state("targets", (num_tasks, num_tasks))

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        size = self.num_tasks
        drawn = keras.random.uniform((size, size), seed=self.seed_generator)
        orders = ops.transpose(ops.argsort(drawn, axis=-1))
        identity = ops.eye(size, dtype="float64")
        norms = ops.sqrt(ops.diagonal(gramian))
        inverse = invert(norms)
        both = ops.cast(present[:, None] & present, "float64") * (1.0 - identity)

        def pull(
            step: Any, coefficients: Any, products: Any, squares: Any, targets: Any
        ) -> tuple[Any, ...]:
            others = ops.take(orders, step, axis=0)
            chosen = ops.take(identity, others, axis=0) * both
            product = ops.sum(products * chosen, axis=-1)
            length = ops.sqrt(ops.maximum(squares, 0.0))
            shrink = ops.take(inverse, others)
            cosine = ops.clip(product * invert(length) * shrink, -1.0, 1.0)
            target = ops.sum(targets * chosen, axis=-1)
            slack = ops.sqrt(ops.maximum(1.0 - target**2, 1e-12))
            sine = ops.sqrt(ops.maximum(1.0 - cosine**2, 0.0))
            amount = length * (target * sine - cosine * slack) * shrink / slack
            amount = ops.where(cosine < target, amount, 0.0) * ops.sum(chosen, axis=-1)
            rows = ops.take(gramian, others, axis=0)
            squares = squares + 2.0 * amount * product
            squares = squares + (amount * ops.take(norms, others)) ** 2
            moved = self.beta * (cosine - target)
            return (
                step + 1,
                coefficients + amount[:, None] * chosen,
                products + amount[:, None] * rows,
                squares,
                targets + moved[:, None] * chosen,
            )

        _, coefficients, _, _, targets = ops.while_loop(
            lambda step, *state: step < size,
            pull,
            (
                ops.zeros((), "int32"),
                identity,
                gramian,
                ops.diagonal(gramian),
                ops.cast(self.targets, "float64"),
            ),
        )
        self.remember(self.targets, targets)
        return ops.sum(ops.where(present[:, None], coefficients, 0.0), axis=0)
