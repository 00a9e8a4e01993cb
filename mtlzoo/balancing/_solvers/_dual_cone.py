from typing import Any

from keras import ops

from mtlzoo.balancing._solvers._interior_point import minimize_quadratic

_TOLERANCE = 1e-9
_FIRST_ORDER_MOVES = 100
_MOVES_A_CHECK = 4
_RIDGE = 1e-10


def project_onto_dual_cone(correlations: Any, weights: Any) -> Any:
    """Return the weights of the projections of weighted sums onto the dual cone.

    The dual cone holds the updates that conflict with no row of the Jacobian. For unit
    rows with inner products `C`, the projection of the combination with weights `u` is
    the one with weights `v >= u` that minimises `v' C v`; then `C v >= 0`.

    Accelerated projected gradient with adaptive restarts solves all rows of `weights`
    at once and is enough where the gradients are far from dependent, as those of
    networks are; what it leaves unsolved goes to the interior-point method.

    Args:
        correlations: float64 tensor of shape `(num_tasks, num_tasks)`, positive
            semidefinite with ones on the diagonal.
        weights: float64 tensor of shape `(num_updates, num_tasks)`.

    Returns:
        A tensor of shape `(num_updates, num_tasks)`.

    Reference:
        Brendan O'Donoghue and Emmanuel Candès, "Adaptive Restart for Accelerated
        Gradient Schemes", Foundations of Computational Mathematics 2015.
    """
    size = correlations.shape[-1]
    correlations = correlations + _RIDGE * ops.eye(size, dtype="float64")
    # Scaled so that the steps below need no thought about units.
    unit = ops.max(ops.abs(weights), axis=-1, keepdims=True)
    unit = ops.where(unit > 0, unit, 1.0)
    linear = ops.matmul(weights / unit, correlations)
    step_size = 1.0 / _largest_eigenvalue(correlations)

    def move(added: Any, ahead: Any, age: Any) -> tuple[Any, ...]:
        gradient = ops.matmul(ahead, correlations) + linear
        new = ops.maximum(ahead - step_size * gradient, 0.0)
        change = new - added
        residual = ahead - new
        uphill = ops.sum(residual * change, axis=-1, keepdims=True) > 0
        age = ops.where(uphill, 0.0, age)
        return new, new + age / (age + 3.0) * change, age + 1.0, residual

    def iterate(step: Any, added: Any, ahead: Any, age: Any, _: Any) -> tuple[Any, ...]:
        # Several at a time: going round the loop costs as much as a move.
        for _ in range(_MOVES_A_CHECK):
            added, ahead, age, residual = move(added, ahead, age)
        error = ops.max(ops.abs(residual)) / step_size
        return step + _MOVES_A_CHECK, added, ahead, age, error

    start = ops.zeros_like(weights)
    _, added, _, _, error = ops.while_loop(
        lambda step, added, ahead, age, error: ops.logical_and(
            step < _FIRST_ORDER_MOVES, error > _TOLERANCE
        ),
        iterate,
        (
            ops.zeros((), "int32"),
            start,
            start,
            ops.zeros_like(unit),
            ops.ones((), "float64"),
        ),
    )
    added = ops.cond(
        error > _TOLERANCE,
        lambda: minimize_quadratic(correlations, linear, ops.ones_like(weights)),
        lambda: added,
    )
    return weights + unit * added


def _largest_eigenvalue(matrix: Any) -> Any:
    """Return an upper bound of it, seldom far off, for a positive semidefinite matrix.

    A norm of the eighth power is at most the largest eigenvalue's times the number of
    rows, of which the eighth root is taken.
    """
    power = matrix
    for _ in range(3):
        power = ops.matmul(power, power)
    return ops.max(ops.sum(ops.abs(power), axis=-1)) ** 0.125
