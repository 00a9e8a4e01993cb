from typing import Any

from keras import ops

_TOLERANCE = 1e-12
_MAX_ITERATIONS = 100


def minimize_power_barrier(matrix: Any, scale: Any, exponent: float) -> Any:
    """Solve `matrix x = scale * x ** -exponent` for `x > 0`.

    This is where the gradient of a strictly convex function vanishes, `x' matrix x / 2`
    plus a barrier. Newton's method finds it in 5 to 10 iterations; each takes the best
    of several step lengths, tried at once.

    Args:
        matrix: float64 tensor of shape `(size, size)`, positive semidefinite.
        scale: float64 tensor of shape `(size,)`, positive; the diagonal of `matrix`
            makes `x = 1` the solution without the other entries.
        exponent: positive; 1 for the logarithmic barrier.

    Returns:
        A tensor of shape `(size,)`.
    """
    lengths = ops.convert_to_tensor(
        [[1.0], [0.7], [0.4], [0.2], [0.1], [0.03], [0.01], [0.0]], "float64"
    )
    power = 1.0 - exponent

    def value(x: Any) -> Any:
        barrier = ops.log(x) if power == 0.0 else (x**power - 1.0) / power
        quadratic = 0.5 * ops.sum(x * ops.matmul(x, matrix), axis=-1)
        return quadratic - ops.sum(scale * barrier, axis=-1)

    def iterate(step: Any, x: Any, _: Any) -> tuple[Any, ...]:
        pull = scale * x**-exponent
        gradient = ops.matmul(matrix, x[:, None])[:, 0] - pull
        # In units of x, where the barrier's part of the Hessian is a plain diagonal.
        hessian = x[:, None] * matrix * x + ops.diag(exponent * pull * x)
        relative = -ops.linalg.solve(hessian, (x * gradient)[:, None])[:, 0]
        furthest = 0.95 / ops.maximum(ops.max(-relative), 0.95)
        tried = x * (1.0 + furthest * lengths * relative)
        values = value(tried)
        values = ops.where(ops.isfinite(values), values, float("inf"))
        best = ops.argmin(values)
        decrement = ops.max(ops.abs(relative))
        # Near the solution the values agree to the last digit: trust Newton there.
        best = ops.where(decrement < 1e-4, 0, best)
        return step + 1, ops.take(tried, best, axis=0), decrement

    return ops.while_loop(
        lambda step, x, decrement: ops.logical_and(
            step < _MAX_ITERATIONS, decrement > _TOLERANCE
        ),
        iterate,
        (ops.zeros((), "int32"), ops.ones_like(scale), ops.ones((), "float64")),
    )[1]
