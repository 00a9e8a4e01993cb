from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import mean_weights
from mtlzoo.balancing._solvers import project_onto_simplex
from mtlzoo.balancing.aggregation._double_sampling import DoubleSampling

_INNER_STEPS = 20
_MOMENTUM = 0.5


@BALANCING.register("sdmgrad", paper="Xiao et al., NeurIPS 2023", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class SDMGrad(DoubleSampling):
    """MGDA regularised towards the mean gradient, with true double sampling.

    The weights `w` minimise `||g_w + lambda g_0||^2 / 2` over the simplex, where
    `g_w = sum_i w_i g_i` and `g_0` is the mean gradient, and the update is
    `(g_w + lambda g_0) / (1 + lambda)`. The slope `J_1 J_2' (w + lambda / k)`, with `k`
    tasks, takes its two Jacobians from independent rows, so that it is unbiased;
    the update comes from a third set. 20 projected steps with momentum 0.5 are taken a
    batch, from where the last batch left the weights.

    Each batch is split into three parts of equal size for that; up to two rows over
    take no part. Choose a batch three times as large. In `representation` mode `J_1`
    and `J_2` are gradients of a bias at the representation, since gradients of the
    representations of different rows have no inner product.

    Args:
        regularization: `lambda`; towards infinity the update is the mean.
        learning_rate: of the weights, for a Gramian scaled to a mean norm of 1.

    Example:
    ```python
    model.compile("adam", balancing=balancing.SDMGrad(regularization=0.3))
    ```

    Reference:
        Peiyao Xiao, Hao Ban and Kaiyi Ji, "Direction-oriented Multi-objective Learning:
        Simple and Provable Stochastic Algorithms", NeurIPS 2023,
        <https://arxiv.org/abs/2305.18409>.

    Differences from the authors' code:
        Theirs writes the three samples' gradients into one buffer, so that all three
        are the last one and nothing is sampled twice. Here they are three. The weights
        are carried on from batch to batch, as in the paper's algorithm.
    """

    def __init__(
        self,
        *,
        regularization: float = 0.3,
        learning_rate: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if regularization < 0:
            raise ValueError(
                "`regularization` must be at least 0. Received: "
                f"regularization={regularization}."
            )
        self.regularization = regularization
        self.learning_rate = learning_rate

    def move(self, weights: Any, cross: Any, present: Any) -> Any:
        mean = self._mean(present)
        # The mean of the norms, as far as independent rows tell it.
        norms = ops.sqrt(ops.abs(ops.diagonal(cross)) + 1e-4)
        cross = cross / ops.sum(norms * mean) ** 2

        def descend(_: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
            weights, velocity = state
            point = weights + self.regularization * mean
            slope = ops.matmul(cross, point[:, None])[:, 0]
            velocity = _MOMENTUM * velocity + slope
            moved = weights - self.learning_rate * velocity
            return project_onto_simplex(moved, present), velocity

        weights, _ = ops.fori_loop(
            0, _INNER_STEPS, descend, (weights, ops.zeros_like(weights))
        )
        return weights

    def used(self, weights: Any, present: Any) -> Any:
        weights = weights + self.regularization * self._mean(present)
        return weights / (1.0 + self.regularization)

    @staticmethod
    def _mean(present: Any) -> Any:
        return ops.cast(mean_weights(present), "float32")
