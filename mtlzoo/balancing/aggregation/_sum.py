from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator


@BALANCING.register("sum", paper="the plain sum", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class Sum(GramianAggregator):
    """The sum of the gradients: the gradient of the summed loss.

    `w_i = 1`. The same update as `Equal` at a higher price, unless a loss normalisation
    comes with it: then it is the plain sum of normalised losses, for what is shared.

    Example:
    ```python
    model.compile("adam", balancing=balancing.Sum(normalization="log"))
    ```
    """

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        return ops.ones_like(losses)
