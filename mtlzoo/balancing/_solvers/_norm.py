from typing import Any

from keras import ops

from mtlzoo.balancing._solvers._interior_point import minimize_nonnegative

_ACCURACY = 1e-6
_TOLERANCE = 1e-11
_MAX_ITERATIONS = 60


def minimize_norm_on_simplex(gramian: Any, linear: Any, radius: float) -> Any:
    """Minimise `linear . w + radius * sqrt(w' G w)` over the simplex.

    First by the interior-point method for smooth functions, with the kink of the norm
    smoothed by less and less: 8 to 12 iterations, if it gets there. Where it doesn't,
    which is mostly where the minimum lies near the kink, by the cone method.

    Args:
        gramian: float64 tensor of shape `(size, size)`, positive semidefinite, entries
            of order 1.
        linear: float64 tensor of shape `(size,)`.
        radius: positive.

    Returns:
        A tensor of shape `(size,)`.
    """
    size = linear.shape[0]

    def derivatives(w: Any, gap: Any) -> tuple[Any, Any]:
        # The norm as the barrier of its cone sees it at this distance from the end.
        slope = _times(gramian, w)
        root = ops.sqrt(gap**2 + radius**2 * ops.sum(w * slope) + 1e-30)
        smooth = (gap + root) / radius
        slope = slope / smooth
        outer = slope[:, None] * slope * (radius**2 / root)
        return linear + radius * slope, radius * gramian / smooth - outer

    start = ops.full((size,), 1.0 / size, "float64")
    smoothed = minimize_nonnegative(
        derivatives, start, fixed_sum=True, max_iterations=20
    )
    slope = _times(gramian, smoothed)
    norm = ops.sqrt(ops.maximum(ops.sum(smoothed * slope), 1e-30))
    slope = linear + radius * slope / norm
    # By how much the function might be above its minimum.
    excess = ops.sum(smoothed * slope) - ops.min(slope)
    return ops.cond(
        excess < _ACCURACY * (1.0 + ops.max(ops.abs(slope))),
        lambda: smoothed,
        lambda: _minimize_by_cones(gramian, linear, radius),
    )


def _minimize_by_cones(gramian: Any, linear: Any, radius: float) -> Any:
    """Solve the same as a cone problem.

    Minimise `linear . w + radius * t` with `w >= 0`, `sum(w) = 1` and
    `t >= ||L' w||`, where `G = L L'`. A primal-dual interior-point method with
    Nesterov-Todd scaling solves it in 10 to 20 iterations, also where the minimum is at
    the kink of the norm. Both the start and every iterate are feasible, so all that has
    to go to 0 is the complementarity.

    Reference:
        Lieven Vandenberghe, "The CVXOPT linear and quadratic cone program solvers",
        2010, <https://www.seas.ucla.edu/~vandenbe/publications/coneprog.pdf>.
    """
    size = linear.shape[0]
    eigenvalues, vectors = ops.linalg.eigh(gramian)
    # Rows of `cone` map (w, t) to (t, L' w), which must lie in the second-order cone.
    root = ops.transpose(vectors * ops.sqrt(ops.maximum(eigenvalues, 0.0)))
    top = ops.expand_dims(ops.one_hot(size, size + 1, dtype="float64"), 0)
    cone = ops.concatenate([top, ops.pad(root, [[0, 0], [0, 1]])], axis=0)
    minkowski = _minkowski(size)
    ones = ops.pad(ops.ones((size,), "float64"), [[0, 1]])

    ridge = 1e-14 * ops.eye(size + 1, dtype="float64")

    def iterate(step: Any, w: Any, t: Any, zw: Any, zt: Any, last: Any, _: Any) -> Any:
        x = ops.concatenate([w, t])
        s = _times(cone, x)
        gap = (ops.sum(w * zw) + ops.sum(s * zt)) / (size + 2)
        # After a long step aim far ahead, after a short one back to the middle.
        target = ops.where(last > 0.9, 0.02 * gap, 0.2 * gap)

        norm_s, norm_z = _cone_norm(s, minkowski), _cone_norm(zt, minkowski)
        unit_s, unit_z = s / norm_s, zt / norm_z
        middle = unit_s + minkowski * unit_z
        middle = minkowski * middle / ops.sqrt(2.0 + 2.0 * ops.sum(unit_s * unit_z))
        ratio = norm_z / norm_s

        def scaled(v: Any) -> Any:
            return ratio * (2.0 * middle * ops.sum(middle * v) - minkowski * v)

        seen = _times(ops.transpose(cone), middle)
        matrix = ratio * (
            2.0 * seen[:, None] * seen
            - ops.matmul(ops.transpose(cone) * minkowski, cone)
        ) + ops.diag(ops.pad(zw / w, [[0, 1]]))
        push_w = target / w - zw
        push_t = target * minkowski * s / norm_s**2 - zt
        right = ops.pad(push_w, [[0, 1]]) + _times(ops.transpose(cone), push_t)
        # A unit diagonal, so that no pivot is lost beside others.
        unit = ops.rsqrt(ops.diagonal(matrix))
        both = ops.stack([unit * right, unit * ones], axis=-1)
        matrix = unit[:, None] * matrix * unit + ridge
        both = unit[:, None] * ops.linalg.solve(matrix, both)
        sums = ops.sum(both * ones[:, None], axis=0)
        dx = both[:, 0] - both[:, 1] * sums[0] / sums[1]
        ds = _times(cone, dx)
        dzw = push_w - zw * dx[:size] / w
        dzt = push_t - scaled(ds)

        furthest = ops.maximum(
            ops.maximum(ops.max(-dx[:size] / w), ops.max(-dzw / zw)),
            ops.maximum(_exit(s, ds, minkowski), _exit(zt, dzt, minkowski)),
        )
        length = 0.98 / ops.maximum(furthest, 0.98)
        return (
            step + 1,
            w + length * dx[:size],
            t + length * dx[size:],
            zw + length * dzw,
            zt + length * dzt,
            length,
            gap,
        )

    start = ops.full((size,), 1.0 / size, "float64")
    norm = ops.sqrt(ops.sum(_times(root, start) ** 2))
    state = (
        ops.zeros((), "int32"),
        start,
        ops.reshape(norm + 1.0, (1,)),
        linear - ops.min(linear) + 1.0,
        radius * ops.one_hot(0, size + 1, dtype="float64"),
        ops.ones((), "float64"),
        ops.ones((), "float64"),
    )
    return ops.while_loop(
        lambda step, w, t, zw, zt, last, gap: ops.logical_and(
            step < _MAX_ITERATIONS, gap > _TOLERANCE
        ),
        iterate,
        state,
    )[1]


def _times(matrix: Any, vector: Any) -> Any:
    return ops.matmul(matrix, vector[:, None])[:, 0]


def _minkowski(size: int) -> Any:
    """Return the diagonal `(1, -1, ..., -1)`."""
    return 2.0 * ops.one_hot(0, size + 1, dtype="float64") - 1.0


def _cone_norm(v: Any, minkowski: Any) -> Any:
    """Return `sqrt(v0^2 - |v1|^2)`: how deep in the cone `v` lies."""
    return ops.sqrt(_cone_square(v, minkowski))


def _cone_square(v: Any, minkowski: Any) -> Any:
    # At the boundary rounding may take it below 0.
    return ops.maximum(ops.sum(minkowski * v * v), 1e-15 * v[0] ** 2)


def _exit(v: Any, dv: Any, minkowski: Any) -> Any:
    """Return the inverse of the step at which `v` leaves the cone; 0 for never."""
    a = ops.sum(minkowski * dv * dv)
    b = ops.sum(minkowski * v * dv)
    c = _cone_square(v, minkowski)
    discriminant = b * b - a * c
    inverse = (-b + ops.sqrt(ops.maximum(discriminant, 0.0))) / c
    return ops.where(discriminant < 0.0, 0.0, inverse)
