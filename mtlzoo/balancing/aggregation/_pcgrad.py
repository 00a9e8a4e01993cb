from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, invert


@BALANCING.register("pcgrad", paper="Yu et al., NeurIPS 2020", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class PCGrad(GramianAggregator):
    """Takes out of each gradient what conflicts with the others, then sums.

    For each task `i`, for the other tasks `j` in random order: where `g_i . g_j < 0`,
    `g_i <- g_i - (g_i . g_j) / ||g_j||^2 g_j`, with the running `g_i` and the original
    `g_j`. The update is the sum of the results. With two tasks it conflicts with none
    of them; with more it may, since a later projection can undo an earlier one.

    Args:
        seed: of the random orders; `None` draws one.

    Example:
    ```python
    model.compile("adam", balancing=balancing.PCGrad(gradients="representation"))
    ```

    Reference:
        Tianhe Yu, Saurabh Kumar, Abhishek Gupta, Sergey Levine, Karol Hausman and
        Chelsea Finn, "Gradient Surgery for Multi-Task Learning", NeurIPS 2020,
        <https://arxiv.org/abs/2001.06782>.

    Differences from the authors' code:
        The projections are done on coefficients, for all `i` at once, so they cost
        nothing a parameter. Only shared variables are combined.
    """

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        size = self.num_tasks
        drawn = keras.random.uniform((size, size), seed=self.seed_generator)
        orders = ops.transpose(ops.argsort(drawn, axis=-1))
        identity = ops.eye(size, dtype="float64")
        inverse = invert(ops.diagonal(gramian))

        def project(step: Any, coefficients: Any, products: Any) -> tuple[Any, ...]:
            others = ops.take(orders, step, axis=0)
            chosen = ops.take(identity, others, axis=0)
            chosen = chosen * ops.cast(others != ops.arange(size), "float64")[:, None]
            product = ops.sum(products * chosen, axis=-1)
            amount = -ops.minimum(product, 0.0) * ops.take(inverse, others)
            rows = ops.take(gramian, others, axis=0)
            return (
                step + 1,
                coefficients + amount[:, None] * chosen,
                products + amount[:, None] * rows,
            )

        _, coefficients, _ = ops.while_loop(
            lambda step, coefficients, products: step < size,
            project,
            (ops.zeros((), "int32"), identity, gramian),
        )
        return ops.sum(ops.where(present[:, None], coefficients, 0.0), axis=0)
