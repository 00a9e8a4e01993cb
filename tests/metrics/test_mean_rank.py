import pytest

from mtlzoo.errors import DataError
from mtlzoo.metrics import mean_rank


def test_ranks_each_metric_in_its_own_direction():
    found = mean_rank(
        {"one": {"auc": 0.9, "mae": 3.0}, "two": {"auc": 0.8, "mae": 1.0}},
        {"auc": True, "mae": False},
    )
    assert found == {"one": 1.5, "two": 1.5}


def test_ties_share_the_mean_of_their_ranks():
    results = {
        "a": {"auc": 0.9},
        "b": {"auc": 0.9},
        "c": {"auc": 0.5},
        "d": {"auc": 0.9},
    }
    assert mean_rank(results, True) == {"a": 2.0, "b": 2.0, "d": 2.0, "c": 4.0}
    assert mean_rank(results, False) == {"c": 1.0, "a": 3.0, "b": 3.0, "d": 3.0}


def test_one_method_ranks_first():
    assert mean_rank({"only": {"auc": 0.5}}, True) == {"only": 1.0}


def test_published_nyuv2_table(nyuv2):
    found = mean_rank(nyuv2.results, nyuv2.higher_is_better)
    assert found == pytest.approx(nyuv2.mean_rank, abs=0.005)


@pytest.mark.parametrize(
    ("results", "higher", "message"),
    [
        ({}, True, "must hold a method"),
        ({"one": {}}, True, "method 'one' must hold at least one metric"),
        (
            {"one": {"a": 1.0}, "two": {"b": 1.0}},
            True,
            r"Only in method 'two': b\. Only in method 'one': a\.",
        ),
        (
            {"one": {"a": 1.0}, "two": {"a": float("nan")}},
            True,
            "'a' of method 'two' must be finite",
        ),
        (
            {"one": {"a": 1.0}},
            {"a": True, "b": True},
            r"Only in `higher_is_better`: b\. Only in the results: nothing\.",
        ),
    ],
)
def test_refuses(results, higher, message):
    with pytest.raises(DataError, match=message):
        mean_rank(results, higher)
