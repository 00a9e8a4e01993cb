from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING, unknown_name
from mtlzoo.balancing._adam import Adam
from mtlzoo.balancing._base import Weighting
from mtlzoo.errors import TaskError, UnknownNameError


@BALANCING.register("auto_lambda", paper="Liu et al., TMLR 2022", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class AutoLambda(Weighting):
    """Learns the weights with which a step helps the tasks that matter, on other rows.

    `total = sum_i w_i L_i`, and the weights descend on `sum_p L_p(theta')`, where `p`
    are the primary tasks and `theta' = theta - rate grad sum_i w_i L_i(theta)` are the
    model's variables after a step of plain gradient descent. A task gets weight while
    learning it helps the primary ones: which tasks do is found out, and may change in
    the course of training.

    For that, each batch is split into two halves: a step on the one is judged by the
    other. The update itself is of the whole batch. The derivative with respect to each
    `w_i` costs, for any number of tasks, two passes forward and back and two forward,
    each on half a batch: a step takes about twice as long as the plain one.

    Args:
        primary: names of the tasks that matter; `None` for all. The others are
            auxiliary: they are learned as far as it helps.
        initial: every weight at the start. Weights act as the learning rate does.
        learning_rate: of Adam, for the weights.

    Raises:
        UnknownNameError: at compiling, the model has no such task.

    Example:
    ```python
    model.compile("adam", balancing=balancing.AutoLambda(primary=["income"]))
    ```

    Reference:
        Shikun Liu, Stephen James, Andrew J. Davison and Edward Johns, "Auto-Lambda:
        Disentangling Dynamic Task Relationships", TMLR 2022,
        <https://arxiv.org/abs/2202.03091>.

    Differences from the authors' code:
        They draw a second batch of the training data to judge by; here one batch is
        split. Their step ahead has the optimizer's momentum in it; here it has not, and
        the model's own penalties stand for weight decay. Weights stay at 0 or above:
        below, a task's head would be trained to be wrong. A weight stays as it is where
        its task, or every primary task, has no label.
    """

    looks_ahead = True

    def __init__(
        self,
        *,
        primary: Sequence[str] | None = None,
        initial: float = 0.1,
        learning_rate: float = 1e-4,
    ) -> None:
        super().__init__()
        if isinstance(primary, str) or (primary is not None and not primary):
            raise TaskError(
                "`primary` must be a list of task names, at least one, or None. "
                f"Received: primary={primary!r}."
            )
        if initial <= 0:
            raise ValueError(f"`initial` must be above 0. Received: initial={initial}.")
        self.primary = None if primary is None else tuple(primary)
        self.initial = initial
        self.learning_rate = learning_rate
        self.adam = Adam(learning_rate)
        self._goals: tuple[float, ...] | None = None

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.task_weights = self.state(
            "task_weights", (num_tasks,), initial=self.initial
        )
        self.adam.build(num_tasks)

    def see_tasks(self, names: Sequence[str]) -> None:
        for name in self.primary or ():
            if name not in names:
                raise UnknownNameError(unknown_name("task", name, names))
        if self.primary is not None:
            self._goals = tuple(float(name in self.primary) for name in names)

    def weigh(self, losses: Any, present: Any) -> Any:
        return ops.where(present, ops.cast(self.task_weights, losses.dtype), 0.0)

    def goals(self) -> Any:
        return ops.convert_to_tensor(self._goals or (1.0,) * self.num_tasks, "float32")

    def learn(self, slopes: Any, known: Any) -> None:
        self.adam.step(self.task_weights, slopes, known)
        self.task_weights.assign(ops.maximum(self.task_weights, 0.0))
