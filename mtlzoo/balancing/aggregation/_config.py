from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, correlations, invert
from mtlzoo.balancing._solvers import solve_least_squares


@BALANCING.register("config", paper="Liu et al., ICLR 2025", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class ConFIG(GramianAggregator):
    """The direction at one angle to all gradients, as long as they agree with it.

    With `u_i = g_i / ||g_i||`, the direction is `v / ||v||` for `v = U^+ 1`, whose
    products with all `u_i` are equal; its length is `sum_i g_i . v / ||v||`. Unless the
    gradients depend on each other, it conflicts with none of them.

    Example:
    ```python
    model.compile("adam", balancing="config")
    ```

    Reference:
        Qiang Liu, Mengyu Chu and Nils Thuerey, "ConFIG: Towards Conflict-free Training
        of Physics Informed Neural Networks", ICLR 2025,
        <https://arxiv.org/abs/2408.11104>.

    Differences from the authors' code:
        The pseudo-inverse is taken of the cosines of the gradients, a matrix as small
        as there are tasks. Their variant with momentum is not here.
    """

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        cosines, norms = correlations(gramian, present)
        ones = ops.cast(norms > 0, "float64")
        weights = solve_least_squares(cosines, ones)
        products = ops.matmul(cosines, weights[:, None])[:, 0]
        square = ops.sum(weights * products)
        length = ops.sum(norms * products) * invert(square)
        return length * weights * invert(norms)
