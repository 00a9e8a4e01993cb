from collections.abc import Callable
from typing import Any

from keras import ops

_TOLERANCE = 1e-11
_LEAST_GAP = 1e-14
_TINY = 1e-60
_MAX_ITERATIONS = 60


def minimize_nonnegative(
    derivatives: Callable[[Any, Any], tuple[Any, Any]],
    start: Any,
    *,
    total: Any = None,
) -> Any:
    """Minimise a convex function over `x >= 0`, and `total . x` fixed if given.

    Mehrotra's predictor-corrector primal-dual interior-point method. It takes 8 to 15
    iterations whatever the conditioning, a singular Hessian included, and treats all
    problems of a batch at once. The linear systems are scaled by `sqrt(x / s)`, `s` the
    multipliers of `x >= 0`, which leaves them with no eigenvalue below 1, so that no
    factorisation fails.

    Args:
        derivatives: function of `x` and of the mean complementarity, of shape
            `(..., 1)`, which goes to 0: by it a function with a kink can be smoothed.
            Returns the gradient, of shape `(..., size)`, and the Hessian, of shape
            `(..., size, size)`.
        start: float64 tensor of shape `(..., size)`, positive entries; `total . start`
            is the value that stays fixed.
        total: `None`, or a tensor of shape `(size,)`.

    Returns:
        The minimiser, of shape `(..., size)`.

    Reference:
        Sanjay Mehrotra, "On the implementation of a primal-dual interior point method",
        SIAM Journal on Optimization 1992.
    """
    size = start.shape[-1]
    identity = ops.eye(size, dtype="float64")

    def iterate(step: Any, x: Any, s: Any, y: Any, _: Any) -> tuple[Any, ...]:
        gap = ops.mean(x * s, axis=-1, keepdims=True)
        gradient, hessian = derivatives(x, gap)
        dual = s - gradient if total is None else s - gradient + y * total
        scale = ops.sqrt(x / s)
        matrix = (
            scale[..., :, None] * hessian * scale[..., None, :] + identity
        )

        def direction(target: Any) -> tuple[Any, Any, Any]:
            """Newton's step towards `x * s == target`."""
            right = scale * (dual + target / x - s)
            if total is None:
                dx = scale * ops.linalg.solve(matrix, right[..., None])[..., 0]
                dy = y
            else:
                both = ops.stack([right, scale * total], axis=-1)
                both = scale[..., None] * ops.linalg.solve(matrix, both)
                sums = ops.sum(both * total[..., None], axis=-2, keepdims=True)
                dy = -sums[..., 0] / sums[..., 1]
                dx = both[..., 0] + both[..., 1] * dy
            return dx, target / x - s - s * dx / x, dy

        dx, ds, _ = direction(ops.zeros_like(x))
        length = _step_length(x, dx, s, ds)
        affine = ops.mean((x + length * dx) * (s + length * ds), axis=-1, keepdims=True)
        centre = gap * (affine / gap) ** 3
        dx, ds, dy = direction(centre - dx * ds)
        length = 0.995 * _step_length(x, dx, s, ds)
        x = ops.maximum(x + length * dx, _TINY)
        s = ops.maximum(s + length * ds, _TINY)
        if total is not None:
            y = y + length * dy
        gap = ops.max(x * s)
        error = ops.maximum(gap, ops.max(ops.abs(dual)))
        # Beyond that, rounding is all that is left in `dual`.
        return step + 1, x, s, y, ops.where(gap > _LEAST_GAP, error, 0.0)

    gradient, _ = derivatives(start, ops.ones_like(start[..., :1]))
    multipliers = ops.maximum(ops.abs(gradient), 1e-2)
    state = (
        ops.zeros((), "int32"),
        start,
        multipliers,
        ops.zeros_like(start[..., :1]),
        ops.ones((), "float64"),
    )
    return ops.while_loop(
        lambda step, x, s, y, error: ops.logical_and(
            step < _MAX_ITERATIONS, error > _TOLERANCE
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
