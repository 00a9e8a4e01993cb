"""Every solver against its optimality conditions, on matrices of all kinds."""

import functools

import matrices
import numpy as np
import pytest
import tensorflow as tf
from aggregators import runners

from mtlzoo.balancing import _solvers


def unit_rows(matrix):
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(norms > 0, norms, 1.0)


def cases(count=150):
    return [*matrices.typical(), *matrices.many(count, seed=1)]


def test_mgda_is_optimal():
    for matrix in [
        *cases(),
        *(matrices.normal(np.random.default_rng(0), 50, 100, 50),),
    ]:
        gramian = matrix @ matrix.T
        gramian = gramian / max(np.diagonal(gramian).max(), 1e-300)
        weights = runners["MGDA()"].weights(matrix)
        slope = gramian @ weights
        slack = slope - weights @ slope
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(), 1.0)
        assert slack.min() > -1e-8
        assert np.abs(slack * weights).max() < 1e-8


def test_projection_onto_the_dual_cone_is_optimal():
    functions = functools.cache(
        lambda size: tf.function(_solvers.project_onto_dual_cone, autograph=False)
    )
    for matrix in cases():
        rows = unit_rows(matrix)
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, 1.0)
        start = np.eye(len(rows))
        found = functions(len(rows))(tf.constant(cosines), tf.constant(start)).numpy()
        gains = found @ cosines
        added = found - start
        assert added.min() >= -1e-12
        assert gains.min() > -1e-6
        assert np.abs(added * gains).max() < 1e-6


@pytest.mark.parametrize("c", [0.1, 0.5, 1.0, 2.0, 10.0])
def test_cagrad_is_optimal(c):
    functions = functools.cache(
        lambda size: tf.function(
            lambda *arguments: _solvers.minimize_norm_on_simplex(*arguments, c),
            autograph=False,
        )
    )
    for matrix in cases(60):
        mean = matrix.mean(axis=0)
        if np.linalg.norm(mean) < 1e-6:
            continue
        rows = matrix / np.linalg.norm(mean)
        mean = rows.mean(axis=0)
        weights = functions(len(rows))(rows @ rows.T, rows @ mean).numpy()
        combined = weights @ rows
        value = combined @ mean + c * np.linalg.norm(combined)
        # The dual: the worst-off task's gain from the update that the weights give.
        norm = np.linalg.norm(combined)
        if norm < 1e-4:
            continue  # at the kink the update is 0, and so is the value
        worst = (rows @ (mean + c * combined / norm)).min()
        assert weights.min() > -1e-9
        np.testing.assert_allclose(weights.sum(), 1.0, atol=1e-8)
        assert value - worst < 3e-4 * (1 + abs(value))


@pytest.mark.parametrize("name", ["NashMTL()", "FairGrad()", "FairGrad(alpha=2.0)"])
def test_bargaining_solutions_solve_their_equation(name):
    exponent = 0.5 if "2.0" in name else 1.0
    solvable = [one for one in cases() if np.linalg.matrix_rank(one) == len(one)]
    # So are all with an update that serves every task, dependent gradients or not.
    random = np.random.default_rng(0)
    for shape in ((4, 3, 2), (20, 10, 5), (20, 10, 1), (40, 30, 10)):
        solvable.append(matrices.not_stationary(random, *shape))
    for matrix in solvable:
        gramian = matrix @ matrix.T
        weights = runners[name].weights(matrix)
        residual = (gramian @ weights) * weights**exponent
        # Nash-MTL's weights are scaled for the length of the update.
        residual = residual / (residual.mean() if exponent == 1 else 1.0)
        np.testing.assert_allclose(residual, 1.0, atol=1e-6)


def test_imtl_g_has_equal_projections():
    for matrix in cases():
        if np.linalg.matrix_rank(matrix) < len(matrix):
            continue
        update = runners["IMTLG()"].update(matrix)
        projections = unit_rows(matrix) @ update
        scale = np.abs(projections).max()
        np.testing.assert_allclose(
            projections / scale, projections[0] / scale, atol=1e-5
        )


def test_projection_onto_the_simplex():
    point = np.array([0.5, 2.0, -1.0, 1.9])
    everywhere = _solvers.project_onto_simplex(tf.constant(point), tf.ones(4, "bool"))
    np.testing.assert_allclose(everywhere, [0, 0.55, 0, 0.45])
    some = _solvers.project_onto_simplex(
        tf.constant(point), tf.constant([True, False, True, False])
    )
    np.testing.assert_allclose(some, [1, 0, 0, 0])
    none = _solvers.project_onto_simplex(tf.constant(point), tf.zeros(4, "bool"))
    np.testing.assert_allclose(none, np.zeros(4))
