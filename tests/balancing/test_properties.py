"""What methods promise, on matrices zero, conflicting, dependent and badly scaled."""

import matrices
import numpy as np
import pytest
from aggregators import (
    GRAMIAN,
    LINEAR_UNDER_SCALING,
    NON_CONFLICTING,
    PERMUTATION_INVARIANT,
    runners,
)

from mtlzoo import balancing


@pytest.mark.parametrize("name", GRAMIAN)
def test_finite(name):
    for matrix in [*matrices.typical(), *matrices.scaled()]:
        assert np.isfinite(runners[name].update(matrix)).all()


@pytest.mark.parametrize("name", NON_CONFLICTING)
def test_conflicts_with_no_task_on_a_thousand_matrices(name):
    for matrix in [*matrices.typical(), *matrices.many(1000)]:
        gains = matrix @ runners[name].update(matrix)
        kept = np.linalg.norm(np.maximum(gains, 0.0))
        np.testing.assert_allclose(kept, np.linalg.norm(gains), atol=4e-4, rtol=4e-4)


@pytest.mark.parametrize("name", PERMUTATION_INVARIANT)
def test_order_of_the_tasks_does_not_matter(name):
    random = np.random.default_rng(0)
    for matrix in matrices.typical():
        expected = runners[name].update(matrix)
        for _ in range(2):
            found = runners[name].update(random.permutation(matrix))
            np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", LINEAR_UNDER_SCALING)
def test_linear_in_the_scale_of_each_gradient(name):
    random = np.random.default_rng(0)
    for matrix in matrices.typical():
        one, other = random.uniform(size=(2, len(matrix), 1))
        alpha, beta = random.uniform(size=2)
        update = runners[name].update
        expected = alpha * update(one * matrix) + beta * update(other * matrix)
        found = update((alpha * one + beta * other) * matrix)
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", GRAMIAN)
def test_absent_tasks_take_no_part(name):
    if "Grad" in name and "seed" in name:
        pytest.skip("the random orders of the others differ")
    random = np.random.default_rng(0)
    for _ in range(10):
        matrix = random.normal(size=(4, 8))
        present = random.permutation([True, False, True, False])
        held = np.where(present[:, None], matrix, 0.0)
        weights = runners[name].weights(held, present)
        expected = runners[name].weights(matrix[present])
        np.testing.assert_allclose(weights[~present], 0.0)
        np.testing.assert_allclose(weights[present], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", GRAMIAN)
def test_nothing_present_is_no_update(name):
    weights = runners[name].weights(np.zeros((4, 4)), [False] * 4)
    np.testing.assert_array_equal(weights, 0.0)


@pytest.mark.parametrize("name", GRAMIAN)
def test_overflown_gradients_give_nan_and_leave_the_state(name):
    aggregator = type(GRAMIAN[name]).from_config(GRAMIAN[name].get_config())
    aggregator.build(2)
    before = [np.array(one) for one in aggregator.variables]
    weights = aggregator.task_weights(
        np.array([[np.inf, 1.0], [1.0, 1.0]]), np.ones(2), np.array([True, True])
    )
    assert np.isnan(weights).all()
    for variable, value in zip(aggregator.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_pcgrad_of_two_tasks_is_twice_upgrad():
    random = np.random.default_rng(0)
    for _ in range(50):
        matrix = random.normal(size=(2, 4))
        found = runners["PCGrad(seed=1)"].update(matrix)
        expected = 2.0 * runners["UPGrad()"].update(matrix)
        np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("name", ["NashMTL()", "FairGrad()"])
def test_the_direction_does_not_change_when_a_loss_is_rescaled(name):
    random = np.random.default_rng(0)
    for matrix in matrices.many(50):
        if np.linalg.matrix_rank(matrix) < len(matrix):
            continue
        scales = np.exp(3.0 * random.normal(size=(len(matrix), 1)))
        one, other = (runners[name].update(one) for one in (matrix, scales * matrix))
        one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_stationary_only_where_the_gradients_are():
    random = np.random.default_rng(0)
    for _ in range(20):
        matrix = matrices.not_stationary(random, 4, 10, 4)
        for name in NON_CONFLICTING:
            assert np.linalg.norm(runners[name].update(matrix)) > 5e-3


def test_cagrad_with_c_0_is_the_mean():
    aggregator = balancing.CAGrad(c=0.0)
    aggregator.build(3)
    gramian = matrices.THREE @ matrices.THREE.T
    weights = aggregator.task_weights(gramian, np.ones(3), np.ones(3, bool))
    np.testing.assert_allclose(weights, 1 / 3)


def test_aligned_mtl_makes_a_jacobian_of_condition_number_1():
    weights = runners["AlignedMTL()"].weights(matrices.THREE)
    gramian = matrices.THREE @ matrices.THREE.T
    values, vectors = np.linalg.eigh(gramian)
    aligned = np.sqrt(values[0]) * vectors @ np.diag(values**-0.5) @ vectors.T
    np.testing.assert_allclose(weights, aligned @ np.ones(3) / 3)
