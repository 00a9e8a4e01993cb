from typing import Any

from keras import ops


def orthogonality(first: Any, second: Any) -> Any:
    """Return `||F^T S / n||_F^2`, 0 if no entry of `first` goes with one of `second`.

    The rows of the matrices `F` and `S` are the `n` rows, steps or pixels of the batch,
    by which the product is divided, so that the penalty doesn't grow with the batch.

    Args:
        first: tensor of shape `(batch, ..., width)`.
        second: tensor of shape `(batch, ..., another width)`.
    """
    first = ops.reshape(ops.cast(first, "float32"), (-1, first.shape[-1]))
    second = ops.reshape(ops.cast(second, "float32"), (-1, second.shape[-1]))
    rows = ops.cast(ops.shape(first)[0], "float32")
    product = ops.matmul(ops.transpose(first), second) / rows
    return ops.sum(ops.square(product))
