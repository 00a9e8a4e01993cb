from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def is_one(scale: Any) -> bool:
    """Whether a loss scale is 1, known when the step is traced."""
    return bool(tf.get_static_value(scale) == 1.0)


class Rows:
    """The Jacobian's blocks, written a task at a time.

    Each gradient is copied into its row at once, so that the Jacobian is all that is
    held; stacking would hold every gradient twice.

    Args:
        num_tasks: the number of rows.
        shapes: of the gradients, one a block.
        scale: the loss scale that gradients are divided by.
        by_xla: whether XLA compiles the step. It has no updates in place, and makes
            those of scattering so by itself.

    Attributes:
        blocks: float32 tensors of shape `(num_tasks, block_size)`.
    """

    def __init__(
        self, num_tasks: int, shapes: Sequence[Any], scale: Any, *, by_xla: bool
    ) -> None:
        sizes = [tf.stack([num_tasks, tf.reduce_prod(one)]) for one in shapes]
        self.blocks = [
            tf.zeros(size)
            if by_xla
            # Zeros of a known shape would be a constant, and be copied.
            else tf.raw_ops.Empty(shape=size, dtype="float32", init=True)
            for size in sizes
        ]
        self._by_xla = by_xla
        self._divisor = None if is_one(scale) else scale

    def write(self, task: int, gradients: Sequence[Any]) -> None:
        """Fill the rows of a task; `None` is a gradient of zeros."""
        for index, gradient in enumerate(gradients):
            if gradient is None:
                continue
            gradient = tf.convert_to_tensor(gradient)  # embeddings have sparse ones
            row = tf.cast(tf.reshape(gradient, [1, -1]), "float32")
            if self._divisor is not None:
                row = row / self._divisor
            block = self.blocks[index]
            if self._by_xla:
                block = tf.tensor_scatter_nd_update(block, [[task]], row)
            else:
                block = tf.raw_ops.InplaceUpdate(x=block, i=[task], v=row)
            self.blocks[index] = block


class GradientSum:
    """Weighted sums of gradients, by variable."""

    def __init__(self) -> None:
        self._parts: dict[int, list[Any]] = {}

    def add(self, variable: Any, gradient: Any, weight: Any = 1.0) -> None:
        """Add `weight` times a gradient, which may be `None` or sparse."""
        if gradient is None:
            return
        if isinstance(weight, float) and weight == 1.0:
            pass  # a copy less
        elif isinstance(gradient, tf.IndexedSlices):
            gradient = tf.IndexedSlices(
                gradient.values * tf.cast(weight, gradient.dtype),
                gradient.indices,
                gradient.dense_shape,
            )
        else:
            gradient = gradient * tf.cast(weight, gradient.dtype)
        self._parts.setdefault(id(variable), []).append(gradient)

    def pairs(self, variables: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Return the sums, `None` where nothing was added, with their variables."""
        found = []
        for variable in variables:
            parts = self._parts.get(id(variable), [])
            if len(parts) > 1:
                total = tf.add_n([tf.convert_to_tensor(one) for one in parts])
                found.append((total, variable))
            else:
                found.append((parts[0] if parts else None, variable))
        return found
