from collections.abc import Sequence
from typing import Any

from keras import ops

from mtlzoo.balancing._base import Balancing
from mtlzoo.errors import TaskError


class Performance(Balancing):
    """How well each task is done, from 0 to 1: of each batch, or of each epoch's logs.

    Args:
        momentum: how fast the average over batches or epochs moves.
        logs: for each task the name of a log; `None` for `exp(-loss)` of the batch.
    """

    def __init__(self, momentum: float, logs: Sequence[str] | None) -> None:
        super().__init__()
        self.momentum = momentum
        self.names = logs

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        if self.names is not None and len(self.names) != num_tasks:
            raise TaskError(
                "`logs` must name one log a task. Received: "
                f"{list(self.names)} for {num_tasks} tasks."
            )
        self.average = self.state("average", (num_tasks,))
        self.seen = self.state("seen", (num_tasks,))

    def update(self, losses: Any, present: Any) -> Any:
        """Return the averages, this batch included where there are no `logs`."""
        if self.names is None:
            done = ops.cast(ops.exp(-ops.stop_gradient(losses)), "float32")
            self._move(ops.clip(done, 0.0, 1.0), present)
        return ops.cast(self.average, losses.dtype)

    def read(self, logs: dict[str, float]) -> None:
        """Take them from the logs of an epoch."""
        if self.names is None:
            return
        if unknown := [name for name in self.names if name not in logs]:
            raise TaskError(
                f"`logs` names {unknown}, which the logs don't have. Logs: "
                f"{sorted(logs)}."
            )
        done = ops.convert_to_tensor([logs[name] for name in self.names], "float32")
        self._move(done, ops.ones_like(done, dtype="bool"))

    def _move(self, done: Any, present: Any) -> None:
        moved = self.average + self.momentum * (done - self.average)
        moved = ops.where(self.seen > 0, moved, done)
        self.remember(self.average, ops.where(present, moved, self.average))
        self.seen.assign(ops.maximum(self.seen, ops.cast(present, "float32")))
