from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting


@BALANCING.register("equal", paper="the plain sum", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class Equal(Weighting):
    """The plain sum of the losses: what training without balancing does.

    `total = sum_i L_i`, where `L_i` is the loss of task `i`, multiplied by the task's
    `loss_weight`. It is the baseline that any other method has to beat; try it first.

    Example:
    ```python
    model.compile("adam", balancing="equal")
    ```
    """

    def weigh(self, losses: Any, present: Any) -> Any:
        return ops.cast(present, losses.dtype)
