from typing import Any

from keras import ops

from mtlzoo.balancing._base import Balancing


class EpochMean(Balancing):
    """The mean of each task's loss over the batches of an epoch that have its
    labels.
    """

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.sums = self.state("sums", (num_tasks,))
        self.counts = self.state("counts", (num_tasks,))

    def add(self, losses: Any, present: Any) -> None:
        """Count one batch."""
        there = ops.cast(present, "float32")
        losses = ops.cast(ops.stop_gradient(losses), "float32")
        finite = ops.logical_and(present, ops.isfinite(losses))
        self.sums.assign_add(ops.where(finite, losses, 0.0))
        self.counts.assign_add(ops.where(finite, there, 0.0))

    def take(self, otherwise: Any) -> Any:
        """Return the means, `otherwise` where nothing was counted, and start anew."""
        counted = self.counts > 0
        means = self.sums / ops.maximum(self.counts, 1.0)
        means = ops.where(counted, means, otherwise)
        self.sums.assign(ops.zeros_like(self.sums))
        self.counts.assign(ops.zeros_like(self.counts))
        return means
