from typing import Any

import keras

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._aggregator import GramianAggregator, mean_weights


@BALANCING.register("mean", paper="the plain mean", kind="aggregation")
@keras.saving.register_keras_serializable("mtlzoo")
class Mean(GramianAggregator):
    """The mean of the gradients of the tasks that are present.

    `w_i = 1 / k`, where `k` tasks have labels in the batch. What is shared then moves
    as far whatever the number of tasks, also where that differs between batches.

    Example:
    ```python
    model.compile("adam", balancing="mean")
    ```
    """

    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        return mean_weights(present)
