"""What the table of reviews says of predictions."""

import numpy as np
import pytest

import mtlzoo
from mtlzoo.benchmarks import _minilm_reviews
from mtlzoo.benchmarks.review_scores import scores, table
from mtlzoo.tasks import Binary, Multiclass, Ordinal

LABELS = {
    "rating": np.array([4, 4, 0, 2]),
    "recommended": np.array([1, 1, 0, 0]),
    "department": np.array([0, 0, 1, -1]),
}


@pytest.fixture
def data():
    part = ({"text": np.array(["a b", "a c", "b", "c"])}, LABELS)
    return mtlzoo.datasets.Dataset(
        "reviews",
        dict.fromkeys(("train", "validation", "test"), part),
        inputs={"text": mtlzoo.Text(["a", "b", "c"], length=2)},
        tasks=[
            Ordinal("rating", 5),
            Binary("recommended"),
            Multiclass("department", 6, missing=-1),
        ],
    )


def right():
    return {
        "rating": np.eye(5)[LABELS["rating"]],
        "recommended": LABELS["recommended"][:, None].astype("float32"),
        "department": np.eye(6)[LABELS["department"]],
    }


def test_scores():
    assert list(scores(LABELS, right()).values()) == [0, 1, 1, 1, 1]
    wrong = {**right(), "rating": np.eye(5)[[3, 4, 4, 2]]}
    found = scores(LABELS, wrong)
    assert found["rating: levels off"] == pytest.approx(5 / 4)
    assert found["rating: accuracy"] == 0.5


def test_a_constant_is_what_is_most_frequent(data):
    found = scores(LABELS, _minilm_reviews._constant(data))
    assert found["rating: accuracy"] == 0.5
    assert found["recommended: AUC"] == 0.5
    # A missing label counts nowhere.
    assert found["department: accuracy"] == pytest.approx(2 / 3)


def test_delta_m_is_against_each_task_alone(data):
    half = {**right(), "rating": np.eye(5)[[3, 3, 0, 2]]}
    worse = {**right(), "rating": np.eye(5)[[3, 3, 1, 3]]}
    rows = {
        "base: each task alone": [half, half],
        "base: all tasks": [worse, half],
        "constant": [right()],
    }
    lines = table(data, rows)
    alone, together, constant = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]
    )
    assert alone[1] == "0.500 ± 0.000"
    assert alone[-1] == ""
    # Twice as many levels off in one seed of two, of three metrics.
    assert together[-1] == "+16.67 ± 23.57"
    assert constant[1] == "0.000"
    assert constant[-1] == ""
