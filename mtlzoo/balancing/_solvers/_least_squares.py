from typing import Any

from keras import ops

_RANK_TOLERANCE = 1e-7


def solve_least_squares(matrix: Any, right: Any) -> Any:
    """Return the shortest least-squares solution of `matrix x = right`.

    Args:
        matrix: float64 tensor of shape `(size, size)`, positive semidefinite.
        right: float64 tensor of shape `(size,)`.

    Returns:
        A tensor of shape `(size,)`.
    """
    values, vectors = ops.linalg.eigh(matrix)
    kept = values > _RANK_TOLERANCE * ops.max(values)
    inverse = ops.where(kept, 1.0 / ops.where(kept, values, 1.0), 0.0)
    components = ops.matmul(right[None], vectors)[0] * inverse
    return ops.matmul(vectors, components[:, None])[:, 0]
