from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting
from mtlzoo.errors import TaskError


@BALANCING.register("fixed", paper="weights of your own", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class Fixed(Weighting):
    """Weights of your own, which you may change while the model trains.

    `total = sum_i w_i L_i`. The weights are in the variable `task_weights`, of shape
    `(num_tasks,)`: assign to it, from a callback say, and nothing is compiled anew.

    Args:
        weights: one a task, in their order; `None` for ones.

    Raises:
        TaskError: at compiling, the number of weights is not that of the tasks.

    Example:
    ```python
    model.compile("adam", balancing=balancing.Fixed([1.0, 0.2]))
    model.balancing.task_weights.assign([1.0, 0.1])
    ```
    """

    def __init__(self, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.initial_weights = None if weights is None else tuple(map(float, weights))

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        initial = self.initial_weights or (1.0,) * num_tasks
        if len(initial) != num_tasks:
            raise TaskError(
                f"Fixed needs one weight a task. Received: {len(initial)} weights for "
                f"{num_tasks} tasks."
            )
        self.task_weights = self.state("task_weights", (num_tasks,))
        self.task_weights.assign(initial)

    def weigh(self, losses: Any, present: Any) -> Any:
        weights = ops.cast(self.task_weights, losses.dtype)
        return ops.where(present, weights, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {"weights": self.initial_weights}

    def __repr__(self) -> str:
        shown = "" if self.initial_weights is None else list(self.initial_weights)
        return f"Fixed({shown})"
