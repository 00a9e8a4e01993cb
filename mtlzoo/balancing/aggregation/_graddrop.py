from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import Aggregator, unreduced


@BALANCING.register("graddrop", paper="Chen et al., NeurIPS 2020", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class GradDrop(Aggregator):
    """Lets one sign win in each entry of the update, at random.

    For each entry of the gradients `g_i`, the sign's purity is
    `P = (1 + sum_i g_i / sum_i |g_i|) / 2`. With `U` uniform in `[0, 1]`, the positive
    parts are kept where `P > U`, the negative ones where `P < U`, and what is kept is
    summed. Entries on which the tasks agree stay as they are.

    Args:
        leak: the part of what is dropped that passes anyway, from 0 to 1.
        seed: of the draws; `None` draws one.

    Example:
    ```python
    model.compile("adam", balancing=balancing.GradDrop(gradients="representation"))
    ```

    Reference:
        Zhao Chen, Jiquan Ngiam, Yanping Huang, Thang Luong, Henrik Kretzschmar, Yuning
        Chai and Dragomir Anguelov, "Just Pick a Sign: Optimizing Deep Multitask Models
        with Gradient Sign Dropout", NeurIPS 2020, <https://arxiv.org/abs/2010.06808>.

    Differences from the authors' code:
        Theirs is a layer on the representation, multiplies by the sign of its input and
        sums the purity over the batch. Here each entry has its own purity: of a shared
        variable, or of one row's representation.
    """

    def __init__(
        self, *, leak: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= leak <= 1.0:
            raise ValueError(f"`leak` must be from 0 to 1. Received: leak={leak}.")
        self.leak = leak
        self.seed = seed

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    def aggregate(
        self,
        jacobian: Any,
        losses: Any,
        present: Any,
        reduce: Callable[[Any], Any] = unreduced,
    ) -> tuple[list[Any], Any]:
        _, factors = self.normalize(losses, present)
        return [self._drop(block, factors) for block in jacobian], factors

    def _drop(self, block: Any, factors: Any) -> Any:
        if self.normalization is not None:
            block = block * ops.cast(factors, block.dtype)[:, None]
        total = ops.sum(block, axis=0)
        size = ops.sum(ops.abs(block), axis=0)
        purity = 0.5 + 0.5 * ops.divide_no_nan(total, size)
        drawn = keras.random.uniform(
            ops.shape(total), dtype="float32", seed=self.seed_generator
        )
        positive = 0.5 * (size + total)
        kept = ops.where(
            purity > ops.cast(drawn, purity.dtype), positive, total - positive
        )
        return (1.0 - self.leak) * kept + self.leak * total
