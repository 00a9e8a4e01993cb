import numpy as np
import pytest

from mtlzoo.datasets import from_frame
from mtlzoo.datasets._split import split_rows
from mtlzoo.errors import DataError
from mtlzoo.features import Categorical, Date, Numeric
from mtlzoo.tasks import Binary, Multiclass, Regression

ROWS = 100


def columns():
    random = np.random.default_rng(0)
    return {
        "age": random.integers(18, 90, ROWS),
        "job": random.choice(["clerk", "nurse"], ROWS),
        "member": random.random(ROWS) < 0.5,
        "joined": np.arange(ROWS).astype("datetime64[D]"),
        "rich": random.integers(0, 2, ROWS),
        "hours": random.normal(38, 5, ROWS),
    }


TASKS = [Binary("rich"), Regression("hours")]


def test_inputs_are_all_columns_that_are_no_label():
    dataset = from_frame(columns(), tasks=TASKS)
    kinds = {key: type(feature) for key, feature in dataset.inputs.items()}
    assert kinds == {
        "age": Numeric,
        "job": Categorical,
        "member": Categorical,
        "joined": Date,
    }
    assert dataset.sizes == {"train": 80, "validation": 10, "test": 10}


def test_inputs_may_be_some_columns():
    dataset = from_frame(columns(), tasks=TASKS, inputs=["job", "age"])
    assert list(dataset.inputs) == ["job", "age"]


def test_inputs_may_be_features_and_shapes():
    job = Categorical(["clerk"])
    dataset = from_frame(columns(), tasks=TASKS, inputs={"age": (), "job": job})
    assert dataset.inputs == {"age": Numeric(), "job": job}


def test_label_columns_are_left_out_by_default():
    dataset = from_frame(columns(), tasks=TASKS, label_columns={"rich": "job"})
    assert "job" not in dataset.inputs


def test_tasks_may_be_made_from_training_rows():
    table = columns()
    seen = {}

    def tasks(train):
        seen.update(train)
        return [Regression.from_values("hours", train["hours"])]

    dataset = from_frame(table, tasks=tasks)
    _, y = dataset.arrays("train")
    np.testing.assert_allclose(seen["hours"], y["hours"], rtol=1e-6)
    assert dataset.tasks[0].mean == pytest.approx(y["hours"].mean(), rel=1e-5)
    assert dataset.tasks[0].mean != pytest.approx(table["hours"].mean(), rel=1e-5)


def test_every_row_is_in_one_split():
    table = {**columns(), "number": np.arange(ROWS)}
    dataset = from_frame(table, tasks=TASKS, seed=3)
    parts = [dataset.arrays(split)[0]["number"] for split in dataset.sizes]
    assert sorted(np.concatenate(parts)) == list(range(ROWS))


def test_seed_decides_the_split():
    table = {**columns(), "number": np.arange(ROWS)}

    def training_rows(seed):
        dataset = from_frame(table, tasks=TASKS, seed=seed)
        return dataset.arrays("train")[0]["number"].tolist()

    assert training_rows(0) == training_rows(0)
    assert training_rows(0) != training_rows(1)


def test_split_is_the_same_on_every_machine():
    rows = split_rows(10, (0.6, 0.2, 0.2), seed=0)
    assert rows["train"].tolist() == [3, 2, 1, 8, 6, 0]
    assert rows["validation"].tolist() == [7, 4]
    assert rows["test"].tolist() == [5, 9]


def test_pandas_frame():
    pandas = pytest.importorskip("pandas")
    table = columns()
    frame = pandas.DataFrame(table)
    frame["score"] = pandas.array([None, 3] * (ROWS // 2), dtype="Int64")
    frame["level"] = pandas.Categorical(["low", "high"] * (ROWS // 2))
    frame["count"] = pandas.array([1, 2] * (ROWS // 2), dtype="Int64")
    dataset = from_frame(frame, tasks=[*TASKS, Multiclass("level", ["low", "high"])])
    plain = from_frame(table, tasks=TASKS)
    x, y = dataset.arrays("test")
    expected_x, expected_y = plain.arrays("test")
    for key in expected_x:
        np.testing.assert_array_equal(x[key], expected_x[key])
    for key in expected_y:
        np.testing.assert_array_equal(y[key], expected_y[key])
    assert isinstance(dataset.inputs["score"], Numeric)
    assert np.isnan(x["score"]).any()
    assert isinstance(dataset.inputs["count"], Numeric)
    assert set(y["level"]) == {0, 1}


def test_frame_that_has_columns_but_no_items():
    class Frame:
        """As polars has it."""

        def __init__(self, table):
            self.table = table

        @property
        def columns(self):
            return list(self.table)

        def __getitem__(self, key):
            return self.table[key]

    dataset = from_frame(Frame(columns()), tasks=TASKS)
    assert dataset.inputs == from_frame(columns(), tasks=TASKS).inputs


def test_label_named_as_an_input():
    with pytest.raises(
        DataError, match=r"'rich' .* is the label column of task 'rich'"
    ):
        from_frame(columns(), tasks=TASKS, inputs=["age", "rich"])


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ([1, 2], {}, "must be a data frame or a dict of arrays. Received: list"),
        ({}, {}, "must have columns, all of the same number of rows"),
        ({"a": [1, 2], "b": [1]}, {}, r"Received: {'a': 2, 'b': 1}"),
        (columns(), {"inputs": ["agee"]}, "no column 'agee'. Did you mean 'age'"),
        (columns(), {"split": (0.5, 0.5)}, r"three positive fractions.*\(0.5, 0.5\)"),
        (columns(), {"split": (0.8, 0.2, 0.0)}, "three positive fractions"),
        (columns(), {"split": (0.8, 0.1, 0.2)}, "three positive fractions"),
        (columns(), {"split": (0.98, 0.019, 0.001)}, "100 rows are too few"),
        (
            {key: column[:2] for key, column in columns().items()},
            {},
            "2 rows are too few",
        ),
    ],
)
def test_refuses(frame, options, message):
    with pytest.raises(DataError, match=message):
        from_frame(frame, **{"tasks": TASKS, **options})
