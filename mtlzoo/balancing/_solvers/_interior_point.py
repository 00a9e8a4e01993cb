from collections.abc import Callable
from typing import Any

from keras import ops

_TOLERANCE = 1e-11
_LEAST_GAP = 1e-14
_TINY = 1e-60
_MAX_ITERATIONS = 60


def minimize_quadratic(
    hessian: Any, linear: Any, start: Any, *, fixed_sum: bool = False
) -> Any:
    """Minimise `x' H x / 2 + linear . x` over `x >= 0`, or over a simplex.

    Args:
        hessian: float64 tensor of shape `(size, size)`, positive semidefinite, entries
            of order 1.
        linear: float64 tensor of shape `(..., size)`.
        start: float64 tensor of shape `(..., size)`, positive.
        fixed_sum: whether the sum of `x` stays that of `start`.

    Returns:
        The minimiser, of shape `(..., size)`.
    """

    def derivatives(x: Any, gap: Any) -> tuple[Any, Any]:
        return linear + ops.matmul(x[..., None, :], hessian)[..., 0, :], hessian

    return minimize_nonnegative(derivatives, start, fixed_sum=fixed_sum)


def minimize_nonnegative(
    derivatives: Callable[[Any, Any], tuple[Any, Any]],
    start: Any,
    *,
    fixed_sum: bool = False,
    max_iterations: int = _MAX_ITERATIONS,
) -> Any:
    """Minimise a convex function over `x >= 0`, or over a simplex.

    Mehrotra's predictor-corrector primal-dual interior-point method. For a quadratic it
    takes 8 to 15 iterations whatever the conditioning, a singular Hessian included, and
    solves all problems of a batch at once. The linear systems are scaled by
    `sqrt(x / s)`, `s` the multipliers of `x >= 0`, which leaves them with no eigenvalue
    below 1, so that no factorisation fails.

    Args:
        derivatives: function of `x` and of the mean of `x * s`, of shape `(..., 1)`,
            which goes to 0 and by which a kink may be smoothed. Returns the gradient,
            of shape `(..., size)`, and the Hessian, `(..., size, size)`.
        start: float64 tensor of shape `(..., size)`, positive.
        fixed_sum: whether the sum of `x` stays that of `start`.
        max_iterations: after which it stops in any case.

    Returns:
        The minimiser, of shape `(..., size)`.

    Reference:
        Sanjay Mehrotra, "On the implementation of a primal-dual interior point method",
        SIAM Journal on Optimization 1992.
    """
    identity = ops.eye(start.shape[-1], dtype="float64")

    def iterate(step: Any, x: Any, s: Any, y: Any, _: Any) -> tuple[Any, ...]:
        gap = ops.mean(x * s, axis=-1, keepdims=True)
        gradient, hessian = derivatives(x, gap)
        dual = s - gradient + y
        # Bounded, so that rounding leaves the identity in place.
        scale = ops.sqrt(ops.minimum(x / s, 1e12))
        matrix = scale[..., :, None] * hessian * scale[..., None, :] + identity

        def direction(target: Any) -> tuple[Any, Any, Any]:
            """Newton's step towards `x * s == target`."""
            right = scale * (dual + target / x - s)
            if fixed_sum:
                both = ops.stack([right, scale], axis=-1)
                both = scale[..., None] * ops.linalg.solve(matrix, both)
                sums = ops.sum(both, axis=-2)
                dy = -sums[..., :1] / sums[..., 1:]
                dx = both[..., 0] + both[..., 1] * dy
            else:
                dx = scale * ops.linalg.solve(matrix, right[..., None])[..., 0]
                dy = ops.zeros_like(y)
            return dx, target / x - s - s * dx / x, dy

        dx, ds, _ = direction(ops.zeros_like(x))
        length = _step_length(x, dx, s, ds)
        ahead = ops.mean((x + length * dx) * (s + length * ds), axis=-1, keepdims=True)
        dx, ds, dy = direction(gap * (ahead / gap) ** 3 - dx * ds)
        length = 0.995 * _step_length(x, dx, s, ds)
        x = ops.maximum(x + length * dx, _TINY)
        s = ops.maximum(s + length * ds, _TINY)
        gap = ops.max(x * s)
        error = ops.maximum(gap, ops.max(ops.abs(dual)))
        # Beyond that, rounding is all that is left in `dual`.
        error = ops.where(gap > _LEAST_GAP, error, 0.0)
        return step + 1, x, s, y + length * dy, error

    gradient, _ = derivatives(start, ops.ones_like(start[..., :1]))
    state = (
        ops.zeros((), "int32"),
        start,
        ops.maximum(ops.abs(gradient), 1e-2),
        ops.zeros_like(start[..., :1]),
        ops.ones((), "float64"),
    )
    return ops.while_loop(
        lambda step, x, s, y, error: ops.logical_and(
            step < max_iterations, error > _TOLERANCE
        ),
        iterate,
        state,
    )[1]


def _step_length(x: Any, dx: Any, s: Any, ds: Any) -> Any:
    """Return the longest step, up to 1, that keeps `x` and `s` nonnegative."""
    ratio = ops.maximum(
        ops.max(-dx / x, axis=-1, keepdims=True),
        ops.max(-ds / s, axis=-1, keepdims=True),
    )
    return 1.0 / ops.maximum(ratio, 1.0)
