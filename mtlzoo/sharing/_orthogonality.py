from typing import Any

from keras import ops


def orthogonality(first: Any, second: Any) -> Any:
    """Return `||F^T S / n||_F^2`: from 0, nothing in common, to 1.

    The rows of the matrices `F` and `S` are the `n` rows, steps or pixels of the batch,
    each scaled to unit length. So neither the size of the batch nor the scale of the
    features changes the penalty.

    Args:
        first: tensor of shape `(batch, ..., width)`.
        second: tensor of shape `(batch, ..., another width)`.

    Reference: Konstantinos Bousmalis, George Trigeorgis, Nathan Silberman, Dilip
    Krishnan, Dumitru Erhan, *Domain Separation Networks*, NeurIPS 2016,
    <https://arxiv.org/abs/1608.06019>.
    """
    first, second = _unit_rows(first), _unit_rows(second)
    rows = ops.cast(ops.shape(first)[0], "float32")
    product = ops.matmul(ops.transpose(first), second) / rows
    return ops.sum(ops.square(product))


def _unit_rows(tensor: Any) -> Any:
    rows = ops.reshape(ops.cast(tensor, "float32"), (-1, tensor.shape[-1]))
    # Within the root, since the gradient of a norm is none at 0.
    lengths = ops.sqrt(ops.sum(ops.square(rows), axis=-1, keepdims=True) + 1e-12)
    return rows / lengths
