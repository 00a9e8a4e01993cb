import subprocess
import sys

import pytest

from mtlzoo.errors import DataError
from mtlzoo.metrics import delta_m


def test_is_the_mean_relative_change_in_percent():
    # 10 % more of what should be high, 10 % less of what should be low.
    found = delta_m(
        {"auc": 0.99, "mae": 1.8},
        {"auc": 0.90, "mae": 2.0},
        {"auc": True, "mae": False},
    )
    assert found == pytest.approx(-10.0)


@pytest.mark.parametrize(("higher", "expected"), [(True, -10.0), (False, 10.0)])
def test_one_direction_holds_for_all_metrics(higher, expected):
    found = delta_m({"a": 1.1, "b": 2.2}, {"a": 1.0, "b": 2.0}, higher)
    assert found == pytest.approx(expected)


def test_equal_results_give_zero():
    assert delta_m({"a": 0.3}, {"a": 0.3}, True) == 0.0


def test_order_of_metrics_does_not_matter():
    directions = {"mae": False, "auc": True}
    one = delta_m({"auc": 0.8, "mae": 3.0}, {"mae": 2.0, "auc": 0.9}, directions)
    two = delta_m({"mae": 3.0, "auc": 0.8}, {"auc": 0.9, "mae": 2.0}, directions)
    assert one == pytest.approx(two)


def test_published_nyuv2_table(nyuv2):
    """Each row agrees within the table's rounding, save one that is off in print."""
    for method, published in nyuv2.delta_m.items():
        found = delta_m(
            nyuv2.results[method], nyuv2.single_task, nyuv2.higher_is_better
        )
        # IMTL-G's printed -0.76 doesn't follow from the metrics printed beside it.
        expected = -0.60 if method == "IMTL-G" else published
        assert found == pytest.approx(expected, abs=0.011), method


@pytest.mark.parametrize(
    ("results", "single", "higher", "message"),
    [
        ({}, {"a": 1.0}, True, "`results` must hold at least one metric"),
        ({"a": 1.0}, {}, True, "`single_task_results` must hold at least one metric"),
        (
            {"a": 1.0, "b": 1.0},
            {"a": 1.0, "c": 1.0},
            True,
            r"Only in `results`: b\. Only in `single_task_results`: c\.",
        ),
        (
            {"a": 1.0},
            {"a": 1.0},
            {"b": True},
            r"Only in `higher_is_better`: b\. Only in the results: a\.",
        ),
        ({"a": 1.0}, {"a": 0.0}, True, r"'a' .* must be above 0.* Received: 0\.0"),
        ({"r2": 0.1}, {"r2": -0.1}, True, r"'r2' .* must be above 0.* Received: -0\.1"),
        (
            {"a": float("nan")},
            {"a": 1.0},
            True,
            "'a' of `results` must be finite. Received: nan",
        ),
        (
            {"a": 1.0},
            {"a": float("inf")},
            True,
            "'a' of `single_task_results` must be finite. Received: inf",
        ),
    ],
)
def test_refuses(results, single, higher, message):
    with pytest.raises(DataError, match=message):
        delta_m(results, single, higher)


def test_needs_no_framework():
    code = (
        "import sys, mtlzoo.metrics; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
