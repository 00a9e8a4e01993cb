import numpy as np
import pytest

from mtlzoo.datasets import load
from mtlzoo.datasets._synthetic import ALPHA, BETA, weight_vectors
from mtlzoo.errors import DataError


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("dimension", [2, 100])
def test_weight_vectors_have_the_cosine_asked_for(correlation, dimension):
    first, second = weight_vectors(np.random.default_rng(0), correlation, dimension)
    assert np.linalg.norm(first) == pytest.approx(0.3)
    assert np.linalg.norm(second) == pytest.approx(0.3)
    cosine = first @ second / 0.3**2
    assert cosine == pytest.approx(correlation, abs=1e-12)


def labels(**options):
    dataset = load("synthetic", **options)
    parts = [dataset.arrays(split)[1] for split in dataset.sizes]
    return [np.concatenate([y[name] for y in parts]) for name in ("y1", "y2")]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_correlate_more_as_the_tasks_relate_more(seed):
    found = [
        np.corrcoef(*labels(correlation=p, dimension=20, seed=seed))[0, 1]
        for p in (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
    ]
    assert found == sorted(found)
    np.testing.assert_allclose(found, [0.0, 0.23, 0.46, 0.71, 0.86, 0.97], atol=0.04)


def test_noise_has_the_variance_of_the_paper():
    """With p = 1 the tasks differ by two independent draws of noise."""
    first, second = labels(correlation=1.0)
    assert (first - second).var() == pytest.approx(0.02, rel=0.05)


def test_labels_follow_the_formula():
    dataset = load("synthetic", correlation=1.0, num_samples=4_000, dimension=3, seed=5)
    weights = weight_vectors(np.random.default_rng(5), 1.0, 3)[0]
    x, y = dataset.arrays("train")
    projected = x["x"] @ weights
    expected = projected + sum(
        np.sin(alpha * projected + beta)
        for alpha, beta in zip(ALPHA, BETA, strict=True)
    )
    error = y["y1"] - expected
    assert abs(error.mean()) < 0.01
    assert error.std() == pytest.approx(0.1, rel=0.05)


def test_constants_are_the_draws_of_the_reimplementation():
    draws = np.random.RandomState(1).normal(size=210)[200:]
    np.testing.assert_allclose([*ALPHA, *BETA], draws, atol=5e-5)


def test_options():
    dataset = load("synthetic", num_samples=500, dimension=7)
    assert dataset.sizes == {"train": 400, "validation": 50, "test": 50}
    assert dataset.inputs["x"].shape == (7,)


def test_seed_decides_the_data():
    assert (labels(num_samples=50)[0] == labels(num_samples=50)[0]).all()
    assert (labels(num_samples=50)[0] != labels(num_samples=50, seed=1)[0]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correlation": 1.5}, "must be from 0 to 1. Received: correlation=1.5"),
        ({"correlation": -0.5}, "must be from 0 to 1. Received: correlation=-0.5"),
        ({"dimension": 1}, "must be at least 2, .* Received: dimension=1"),
        ({"num_samples": 5}, "5 rows are too few"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(DataError, match=message):
        load("synthetic", **options)
