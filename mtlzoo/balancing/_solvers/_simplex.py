from typing import Any

from keras import ops


def project_onto_simplex(point: Any, present: Any) -> Any:
    """Return the nearest weights that are nonnegative, sum to 1 and are 0 if absent.

    Args:
        point: tensor of shape `(size,)`.
        present: boolean tensor of shape `(size,)`: which entries may be above 0.

    Returns:
        A tensor of shape `(size,)`; zeros where nothing is present.

    Reference:
        John Duchi et al., "Efficient Projections onto the l1-Ball for Learning in High
        Dimensions", ICML 2008.
    """
    lowest = ops.where(present, point, -float("inf"))
    ordered = ops.flip(ops.sort(lowest))
    counts = ops.cast(ops.arange(1, point.shape[0] + 1), point.dtype)
    sums = ops.cumsum(ops.where(ops.isfinite(ordered), ordered, 0.0))
    shifts = (sums - 1.0) / counts
    kept = ops.sum(ops.cast(ordered > shifts, "int32"))
    shift = ops.take(shifts, ops.maximum(kept - 1, 0))
    return ops.where(present, ops.maximum(point - shift, 0.0), 0.0)
