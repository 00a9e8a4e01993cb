from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from mtlzoo.balancing._base import Balancing, Weighting
from mtlzoo.balancing._get import get
from mtlzoo.balancing.normalization import get as get_normalization
from mtlzoo.errors import TaskError

MODES = ("parameters", "representation")


def unreduced(value: Any) -> Any:
    """Return `value`: the sum over replicas where there is one."""
    return value


class Aggregator(Balancing):
    """Combines the gradients of the tasks into one update of what they share.

    A Jacobian is a list of blocks, each of shape `(num_tasks, block_size)`: the tasks'
    gradients with respect to one shared variable, or to one tensor at which the graph
    leaves the shared part, flattened. It is never copied into one matrix.

    What is not shared has one task's gradient only, and gets it: weighted by the method
    where its paper weights the losses themselves, else by `heads`.

    Args:
        gradients: `"parameters"` for gradients of the shared variables, exact, one
            backward pass a task; `"representation"` for gradients of the tensors where
            the graph leaves the shared part, for about the cost of one plain step. Not
            every method has both.
        normalization: brings the losses to one scale before their gradients are
            combined: `None`, `"log"`, `"first_step"`, `"running_average"` or an object
            of `mtlzoo.balancing.normalization`.
        heads: a weighting, or its name, for what is not shared. `None` weighs each
            task as the method's paper does.
    """

    min_tasks = 2

    modes: ClassVar[Sequence[str]] = MODES
    """The values of `gradients` that the method can work with."""

    modes_because: ClassVar[str] = ""
    """Why it can't work with the others, for the message to who asks for one."""

    compares_batches: ClassVar[bool] = False
    """Whether it looks at `narrowed` gradients, the same entries on any batch."""

    weighs_losses: ClassVar[bool] = False
    """Whether the paper weights the losses, so that the weights hold for heads too."""

    num_samples: ClassVar[int] = 1
    """Into how many independent parts a batch is split, each with a Jacobian."""

    def __init__(
        self,
        *,
        gradients: str = "parameters",
        normalization: Any = None,
        heads: Any = None,
    ) -> None:
        super().__init__()
        if gradients not in self.modes:
            allowed = " or ".join(map(repr, self.modes))
            raise ValueError(
                f"`gradients` of {type(self).__name__} must be {allowed}. "
                f"Received: gradients={gradients!r}. {self.modes_because}".rstrip()
            )
        self.gradients = gradients
        self.normalization = get_normalization(normalization)
        self.heads = None if heads is None else get(heads)
        if not isinstance(self.heads, Weighting | None):
            raise TypeError(
                "`heads` must be a weighting, such as 'uncertainty'. Received: "
                f"heads={heads!r}."
            )
        if self.heads and (self.heads.uses_losses_after or self.heads.looks_ahead):
            raise ValueError(
                "`heads` must be a weighting that needs the losses of a step alone, "
                f"and {type(self.heads).__name__} tries steps out. Received: "
                f"heads={heads!r}. Choose another, such as 'uncertainty', or use it as "
                "the balancing of the whole model."
            )

    def build(self, num_tasks: int, block_sizes: Sequence[int] = ()) -> None:
        """Make the state.

        Args:
            num_tasks: how many tasks there are.
            block_sizes: the sizes of the Jacobian's blocks, in `parameters` mode. In
                `representation` mode those depend on the batch, and these are the
                numbers of channels, for methods that compare batches.
        """
        if num_tasks < self.min_tasks:
            raise TaskError(
                f"{type(self).__name__} combines the gradients of at least "
                f"{self.min_tasks} tasks. Received: num_tasks={num_tasks}. With one "
                "task, leave `balancing` out."
            )
        self.num_tasks = num_tasks
        self.block_sizes = tuple(block_sizes)
        for part in (self.normalization, self.heads):
            if part is not None and not part.built:
                part.build(num_tasks)

    def see_tasks(self, names: Sequence[str]) -> None:
        if self.heads is not None:
            self.heads.see_tasks(names)

    def on_epoch_begin(self, epoch: int) -> None:
        if self.heads is not None:
            self.heads.on_epoch_begin(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.heads is not None:
            self.heads.on_epoch_end(epoch, logs)

    @abstractmethod
    def aggregate(
        self,
        jacobian: Any,
        losses: Any,
        present: Any,
        reduce: Callable[[Any], Any] = unreduced,
    ) -> tuple[list[Any], Any]:
        """Return the update, and update the method's state.

        Args:
            jacobian: list of blocks, each of shape `(num_tasks, block_size)`, whose
                rows are 0 for absent tasks. A list of `num_samples` such lists where
                the method needs more than one.
            losses: tensor of shape `(num_tasks,)`; 0 for absent tasks.
            present: boolean tensor of shape `(num_tasks,)`: which tasks have at least
                one label in the batch.
            reduce: sums a tensor over replicas, where each holds rows of its own.

        Returns:
            A list of tensors of shape `(block_size,)`, and the weights of the tasks, of
            shape `(num_tasks,)`.
        """

    def narrowed(
        self, jacobian: Sequence[Any], reduce: Callable[[Any], Any]
    ) -> list[Any]:
        """Return gradients that can be compared with those on other rows.

        In `parameters` mode they are the Jacobian itself. A gradient of a
        representation has entries for each row; in that mode they are the gradients of
        one number a channel, added on all rows and at all positions: of a bias at the
        place where the graph leaves the shared part.

        Args:
            jacobian: list of blocks, each of shape `(num_tasks, block_size)`.
            reduce: sums a tensor over replicas.

        Returns:
            A list of tensors of shape `(num_tasks, size)`, with the `size`s of
            `block_sizes`.
        """
        if self.gradients == "parameters":
            return list(jacobian)
        return [
            reduce(ops.sum(ops.reshape(block, (self.num_tasks, -1, size)), axis=1))
            for block, size in zip(jacobian, self.block_sizes, strict=True)
        ]

    def normalize(self, losses: Any, present: Any) -> tuple[Any, Any]:
        """Return the normalised losses, and what their gradients are multiplied by.

        Both have the shape `(num_tasks,)` and are 0 for absent tasks.
        """
        there = ops.cast(present, losses.dtype)
        if self.normalization is None:
            return losses, there
        losses, factors = self.normalization.normalize(losses, present)
        return losses * there, factors * there


class GramianAggregator(Aggregator):
    """An aggregator that needs of the gradients only their inner products.

    The update is `sum_i w_i g_i`, where `g_i` is the gradient of task `i` and the
    weights `w` follow from the Gramian `G`, `G_ij = g_i . g_j`.
    """

    def aggregate(
        self,
        jacobian: Any,
        losses: Any,
        present: Any,
        reduce: Callable[[Any], Any] = unreduced,
    ) -> tuple[list[Any], Any]:
        weights = self.task_weights(reduce(gramian_of(jacobian)), losses, present)
        return combine(jacobian, weights), weights

    def task_weights(self, gramian: Any, losses: Any, present: Any) -> Any:
        """Return the weights of the tasks' gradients, loss normalisation included.

        Args:
            gramian: tensor of shape `(num_tasks, num_tasks)`.
            losses: tensor of shape `(num_tasks,)`; 0 for absent tasks.
            present: boolean tensor of shape `(num_tasks,)`.

        Returns:
            A tensor of shape `(num_tasks,)`, 0 for absent tasks. Where `gramian` is not
            finite, as when gradients overflow under a loss scale, NaN, and the state
            stays as it is.
        """
        dtype = keras.backend.standardize_dtype(gramian.dtype)
        # What rounding leaves of a Gramian may have negative eigenvalues; this is more.
        rounding = (1e-15 if dtype == "float64" else 1e-6) * ops.eye(
            self.num_tasks, dtype="float64"
        )

        def solve() -> Any:
            normalized, factors = self.normalize(losses, present)
            factors = ops.cast(factors, "float64")
            scaled = factors[:, None] * ops.cast(gramian, "float64") * factors
            scaled = scaled * (1.0 + rounding)
            there = ops.cast(present, "float64")
            weights = self.weigh(scaled, ops.cast(normalized, "float64"), present)
            return ops.cast(weights * factors * there, dtype)

        return ops.cond(
            ops.all(ops.isfinite(gramian)),
            solve,
            lambda: ops.full((self.num_tasks,), float("nan"), dtype),
        )

    @abstractmethod
    def weigh(self, gramian: Any, losses: Any, present: Any) -> Any:
        """Return the weights of the tasks.

        Args:
            gramian: float64 tensor of shape `(num_tasks, num_tasks)`, of the gradients
                of the normalised losses; rows and columns of absent tasks are 0.
            losses: float64 tensor of shape `(num_tasks,)`, normalised.
            present: boolean tensor of shape `(num_tasks,)`.

        Returns:
            A float64 tensor of shape `(num_tasks,)`; entries of absent tasks don't
            matter.
        """


def gramian_of(jacobian: Sequence[Any]) -> Any:
    """Return the inner products of the tasks' gradients, `(num_tasks, num_tasks)`."""
    products = [ops.matmul(block, ops.transpose(block)) for block in jacobian]
    return sum(products[1:], products[0])


def combine(jacobian: Sequence[Any], weights: Any) -> list[Any]:
    """Return the weighted sum of the tasks' gradients, a block at a time."""
    return [
        ops.matmul(ops.cast(weights, block.dtype)[None], block)[0] for block in jacobian
    ]


def correlations(gramian: Any, present: Any) -> tuple[Any, Any]:
    """Return the cosines between the gradients, and the gradients' norms.

    A task that is absent or whose gradient is 0 counts as orthogonal to all others.

    Args:
        gramian: float64 tensor of shape `(num_tasks, num_tasks)`.
        present: boolean tensor of shape `(num_tasks,)`.

    Returns:
        Tensors of shape `(num_tasks, num_tasks)`, with ones on the diagonal, and
        `(num_tasks,)`.
    """
    norms = ops.sqrt(ops.diagonal(gramian))
    norms = ops.where(present, norms, 0.0)
    inverse = invert(norms)
    identity = ops.eye(norms.shape[0], dtype="float64")
    return inverse[:, None] * gramian * inverse * (1 - identity) + identity, norms


def invert(values: Any) -> Any:
    """Return `1 / values`, and 0 where a value is 0."""
    return ops.where(values > 0, 1.0 / ops.where(values > 0, values, 1.0), 0.0)


def mean_weights(present: Any) -> Any:
    """Return the float64 weights of the mean over the present tasks."""
    there = ops.cast(present, "float64")
    return there / ops.maximum(ops.sum(there), 1.0)
