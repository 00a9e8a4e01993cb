from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def rows(gradients: Sequence[Sequence[Any]], shapes: Sequence[Any], scale: Any) -> Any:
    """Return the Jacobian's blocks from the gradients of each task.

    Args:
        gradients: for each task a list of gradients, `None` where it has none.
        shapes: of the gradients.
        scale: the loss scale that they are divided by.

    Returns:
        A list of float32 tensors of shape `(num_tasks, block_size)`.
    """

    def flat(gradient: Any, shape: Any) -> Any:
        if gradient is None:
            return tf.zeros(tf.reduce_prod(shape), "float32")
        gradient = tf.convert_to_tensor(gradient)  # embeddings have sparse ones
        return tf.cast(tf.reshape(gradient, [-1]), "float32") / scale

    return [
        tf.stack([flat(one[index], shape) for one in gradients])
        for index, shape in enumerate(shapes)
    ]


class GradientSum:
    """Weighted sums of gradients, by variable."""

    def __init__(self) -> None:
        self._parts: dict[int, list[Any]] = {}

    def add(self, variable: Any, gradient: Any, weight: Any = 1.0) -> None:
        """Add `weight` times a gradient, which may be `None` or sparse."""
        if gradient is None:
            return
        weight = tf.cast(weight, gradient.dtype)
        if isinstance(gradient, tf.IndexedSlices):
            gradient = tf.IndexedSlices(
                gradient.values * weight, gradient.indices, gradient.dense_shape
            )
        else:
            gradient = gradient * weight
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
