from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from keras import ops

from mtlzoo.balancing._aggregator import Aggregator, combine, unreduced


class DoubleSampling(Aggregator):
    """An aggregator whose weights follow gradients on independent rows.

    Each batch is split into three parts. The products of the first two parts' gradients
    are an unbiased estimate of the Gramian, from which the weights move on; the update
    is of the third part.
    """

    compares_batches = True
    num_samples = 3

    def build(self, num_tasks: int, block_sizes: Any = ()) -> None:
        super().build(num_tasks, block_sizes)
        self.task_weights = self.state(
            "task_weights", (num_tasks,), initial=1.0 / num_tasks
        )

    def aggregate(
        self,
        jacobian: Any,
        losses: Any,
        present: Any,
        reduce: Callable[[Any], Any] = unreduced,
    ) -> tuple[list[Any], Any]:
        first, second, third = jacobian
        _, factors = self.normalize(losses, present)
        scale = ops.cast(factors, "float32")
        first, second = (self.narrowed(one, reduce) for one in (first, second))
        cross = ops.cast(_cross_gramian(first, second), "float32")
        cross = scale[:, None] * cross * scale
        weights = ops.where(present, self.task_weights, 0.0)
        weights = self.move(weights, cross, present)
        self.remember(self.task_weights, ops.where(present, weights, self.task_weights))
        weights = self.used(weights, present) * scale
        return combine(third, weights), weights

    @abstractmethod
    def move(self, weights: Any, cross: Any, present: Any) -> Any:
        """Return the next weights, on the simplex.

        Args:
            weights: tensor of shape `(num_tasks,)`; 0 for absent tasks.
            cross: tensor of shape `(num_tasks, num_tasks)`: the inner products of two
                parts' gradients, loss normalisation included.
            present: boolean tensor of shape `(num_tasks,)`.
        """

    def used(self, weights: Any, present: Any) -> Any:
        """Return the weights of the update that follow from those on the simplex."""
        return weights


def _cross_gramian(first: Any, second: Any) -> Any:
    products = [
        ops.matmul(one, ops.transpose(other))
        for one, other in zip(first, second, strict=True)
    ]
    return sum(products[1:], products[0])
