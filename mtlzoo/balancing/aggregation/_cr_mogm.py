from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator
from mtlzoo.balancing._get import get


@BALANCING.register("cr_mogm", paper="Zhou et al., NeurIPS 2022", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class CRMOGM(GramianAggregator):
    """Averages the weights of another aggregator over the steps.

    `w_t = momentum w_(t-1) + (1 - momentum) v_t`, where `v_t` are the weights that the
    other method gives at this step. The weights of a batch correlate with its
    gradients, which biases every such method; averaging takes the bias away. Starts at
    equal weights that sum to 1. A task that is absent keeps its average.

    Args:
        aggregator: the other method, one that works on the Gramian, or its name.
        momentum: how much of the average stays: 0 for the bare method, 1 for equal
            weights for ever.

    Example:
    ```python
    model.compile("adam", balancing=balancing.CRMOGM("cagrad"))
    ```

    Reference:
        Shiji Zhou, Wenpeng Zhang, Jiyan Jiang, Wenliang Zhong, Jinjie Gu and Wenwu Zhu,
        "On the Convergence of Stochastic Multi-Objective Gradient Manipulation and
        Beyond", NeurIPS 2022, <https://openreview.net/forum?id=ScwfQ7hdwyP>.

    Differences from the authors' code:
        The gradient mode, the loss normalisation and the heads are this wrapper's own
        arguments; those of the wrapped object have no effect.
    """

    def __init__(
        self, aggregator: Any = "mgda", *, momentum: float = 0.9, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        averaged = get(aggregator)
        if not isinstance(averaged, GramianAggregator):
            raise TypeError(
                "`aggregator` must be an aggregation that works on the Gramian, such "
                f"as 'mgda'. Received: {aggregator!r}."
            )
        self.aggregator = averaged
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(
                f"`momentum` must be from 0 to 1. Received: momentum={momentum}."
            )
        self.momentum = momentum

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.aggregator.build(num_tasks, block_sizes)
        self.average = self.state("average", (num_tasks,), initial=1.0 / num_tasks)

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        average = ops.cast(self.average, "float64")
        new = self.aggregator.weigh(gramian, losses, present)
        moved = self.momentum * average + (1.0 - self.momentum) * new
        moved = ops.where(present, moved, average)
        self.remember(self.average, moved)
        return moved
