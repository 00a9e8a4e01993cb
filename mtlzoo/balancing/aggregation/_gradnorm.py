from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._adam import Adam
from mtlzoo.balancing._aggregator import GramianAggregator, mean_weights


@BALANCING.register("gradnorm", paper="Chen et al., ICML 2018", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class GradNorm(GramianAggregator):
    """Learns loss weights that let all tasks train at the same rate.

    With `G_i = w_i ||g_i||` the norm of task `i`'s weighted gradient and `r_i = (L_i /
    L_i(0)) / mean_j (L_j / L_j(0))` its relative loss, the weights descend on `sum_i
    |G_i - mean_j(G_j) r_i^alpha|`, the target held constant: a task that lags behind
    gets a larger gradient. `w = k softmax(v)` for `k` tasks, so the weights are
    positive and sum to `k`. They weight the losses, heads included. `L_i(0)` is the
    loss on the first batch that has the task's labels.

    It needs the norms of the tasks' gradients, so it works as an aggregation does.

    Args:
        alpha: how strongly a task that lags behind is favoured; 0 equalises the norms.
        learning_rate: of Adam, for `v`.

    Example:
    ```python
    model.compile("adam", balancing=balancing.GradNorm(gradients="representation"))
    ```

    Reference:
        Zhao Chen, Vijay Badrinarayanan, Chen-Yu Lee and Andrew Rabinovich, "GradNorm:
        Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks",
        ICML 2018, <https://arxiv.org/abs/1711.02257>.

    Differences from the authors' code:
        The paper takes the gradients of the last shared layer and rescales the weights
        after each step; here they are of all that is shared, and a softmax keeps the
        sum. The gradient of the objective follows from the norms in closed form,
        without a second derivative of the network.
    """

    weighs_losses = True

    def __init__(
        self, *, alpha: float = 1.5, learning_rate: float = 0.01, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.adam = Adam(learning_rate)

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.logits = self.state("logits", (num_tasks,))
        self.first_losses = self.state("first_losses", (num_tasks,))
        self.adam.build(num_tasks)

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        new = ops.logical_and(present, ops.equal(self.first_losses, 0.0))
        first = ops.where(new, ops.cast(losses, "float32"), self.first_losses)
        self.remember(self.first_losses, first)

        mean = mean_weights(present)
        count = ops.sum(ops.cast(present, "float64"))
        logits = ops.cast(self.logits, "float64")
        shares = ops.softmax(ops.where(present, logits, -1e30))
        weights = count * shares
        norms = ops.sqrt(ops.diagonal(gramian))
        ratios = losses / ops.where(present, ops.cast(first, "float64"), 1.0)
        rates = ratios / ops.maximum(ops.sum(ratios * mean), 1e-12)
        rates = ops.maximum(rates, 0.0) ** self.alpha
        target = ops.sum(weights * norms * mean) * rates
        slope = ops.sign(weights * norms - target) * norms
        # Through the softmax.
        slope = weights * (slope - ops.sum(shares * slope))
        self.adam.step(self.logits, slope)
        return weights
