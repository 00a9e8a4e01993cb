import datetime
import itertools

import numpy as np
import pytest

from mtlzoo.datasets import Dataset
from mtlzoo.errors import DataError, LabelError, TaskError, UnknownNameError
from mtlzoo.features import Categorical, Date, Numeric, infer
from mtlzoo.tasks import Binary, Multiclass, MultiLabel, Regression

ROWS = 40


def table(rows=ROWS):
    random = np.random.default_rng(0)
    x = {
        "age": random.normal(40, 10, rows),
        "job": random.choice(["clerk", "nurse"], rows),
    }
    y = {"rich": random.integers(0, 2, rows), "hours": random.normal(38, 5, rows)}
    return x, y


def make(x=None, y=None, **options):
    given_x, given_y = table()
    x, y = {**given_x, **(x or {})}, {**given_y, **(y or {})}
    options = {
        "inputs": {"age": Numeric(), "job": Categorical(["clerk", "nurse"])},
        "tasks": [Binary("rich"), Regression("hours")],
        **options,
    }
    return Dataset(
        "t", dict.fromkeys(["train", "validation", "test"], (x, y)), **options
    )


def batches(pipeline, key="age"):
    return [x[key].tolist() for x, _ in pipeline.as_numpy_iterator()]


def test_columns_that_are_neither_input_nor_task_are_left_out():
    x, y = make(x={"other": np.zeros(ROWS)}, y={"more": np.zeros(ROWS)}).arrays("test")
    assert list(x) == ["age", "job"]
    assert list(y) == ["rich", "hours"]


def test_arrays_have_the_types_of_the_contract():
    x, y = make().arrays("train")
    assert x["age"].dtype == "float32"
    assert x["job"].dtype.kind == "U"
    assert y["rich"].dtype == "int32"
    assert y["hours"].dtype == "float32"


def test_arrays_are_read_only():
    for columns in make().arrays("train"):
        for column in columns.values():
            with pytest.raises(ValueError, match="read-only"):
                column[0] = column[1]


def test_shapes_stand_for_features():
    dataset = make(inputs={"age": (), "job": Categorical(["clerk", "nurse"])})
    assert dataset.inputs["age"] == Numeric()


def test_dates_are_seconds():
    days = np.arange(ROWS).astype("datetime64[D]")
    dataset = make(x={"day": days}, inputs={"day": Date.from_values(days)})
    x, _ = dataset.arrays("train")
    assert x["day"][1] == datetime.timedelta(days=1).total_seconds()


def test_repr_says_what_is_in_it():
    assert repr(make()) == (
        "Dataset('t', train=40, validation=40, test=40, inputs=2, tasks=[rich, hours])"
    )


def test_training_order_changes_each_epoch_and_starts_anew_each_time():
    dataset = make().batched(16)
    pipeline = dataset.train
    first, second = batches(pipeline), batches(pipeline)
    assert [len(one) for one in first] == [16, 16, 8]
    assert first != second
    assert sorted(itertools.chain(*first)) == sorted(itertools.chain(*second))
    assert batches(dataset.train) == first
    assert batches(dataset.batched(16, shuffle_seed=1).train) != first
    assert batches(dataset.test) == batches(dataset.batched(16, shuffle_seed=1).test)


def test_inputs_and_labels_stay_together():
    dataset = make().batched(7)
    x, y = dataset.arrays("train")
    expected = dict(zip(x["age"].tolist(), y["hours"].tolist(), strict=True))
    for inputs, labels in dataset.train.as_numpy_iterator():
        for age, hours in zip(inputs["age"], labels["hours"], strict=True):
            assert expected[age.item()] == hours


def test_batched_leaves_the_data_set_as_it_is():
    dataset = make()
    assert dataset.batched(3).batch_size == 3
    assert dataset.batch_size == 256


def test_missing_labels_stay_missing():
    hours = np.where(np.arange(ROWS) % 2, np.nan, 38.0)
    kind = np.where(np.arange(ROWS) % 2, -1, 2)
    dataset = make(
        y={"hours": hours, "kind": kind},
        tasks=[Regression("hours"), Multiclass("kind", 3, missing=-1)],
    )
    _, y = dataset.arrays("train")
    assert np.isnan(y["hours"]).sum() == ROWS / 2
    assert (y["kind"] == -1).sum() == ROWS / 2


def test_class_names_become_indices():
    names = np.array(["low", "high"] * (ROWS // 2))
    task = Multiclass("level", ["low", "mid", "high"])
    _, y = make(y={"level": names}, tasks=[task]).arrays("train")
    assert y["level"][:4].tolist() == [0, 2, 0, 2]
    assert y["level"].dtype == "int32"


def test_class_names_that_are_missing_become_nan():
    names = np.array(["low", None] * (ROWS // 2), object)
    _, y = make(
        y={"level": names}, tasks=[Multiclass("level", ["low", "high"])]
    ).arrays("train")
    np.testing.assert_array_equal(y["level"][:2], [0.0, np.nan])


def test_large_integers_are_kept_where_they_are_no_index():
    _, y = make(y={"hours": np.full(ROWS, 2**40)}).arrays("train")
    assert y["hours"][0] == 2.0**40


def test_labels_of_several_values_a_row():
    tags = np.eye(3, dtype="int64")[np.arange(ROWS) % 3]
    _, y = make(y={"tags": tags}, tasks=[MultiLabel("tags", 3)]).arrays("train")
    assert y["tags"].shape == (ROWS, 3)


def test_label_among_the_inputs_by_name():
    x, _ = table()
    x["rich"] = np.ones(ROWS)
    with pytest.raises(
        DataError, match=r"'rich' .* is the label column of task 'rich'"
    ):
        make(x=x, inputs=infer(x))


def test_label_among_the_inputs_by_the_column_it_was_made_from():
    with pytest.raises(DataError, match=r"'job' .* is the label column of task 'rich'"):
        make(label_columns={"rich": "job"})


def test_label_among_the_inputs_by_its_values():
    _, y = table()
    for name in y:
        with pytest.raises(DataError, match=f"'copy' .* labels of task '{name}' under"):
            make(x={"copy": y[name]}, inputs={"copy": (), "age": ()})


def test_constant_columns_are_no_copies():
    zeros = np.zeros(ROWS)
    make(x={"age": zeros}, y={"rich": zeros})


def test_label_columns_of_an_unknown_task():
    with pytest.raises(DataError, match="no task 'poor' in `label_columns`"):
        make(label_columns={"poor": "income"})


def test_splits_must_be_the_three():
    with pytest.raises(DataError, match="needs the splits train, validation, test"):
        Dataset("t", {"train": table()}, inputs={"age": ()}, tasks=[Binary("rich")])


def test_unknown_split():
    with pytest.raises(
        UnknownNameError, match=r"no split 'tests' of data set 't'. Did"
    ):
        make().arrays("tests")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"inputs": {}}, DataError, "needs at least one input"),
        (
            {"inputs": {"hours-per-week": ()}},
            DataError,
            "rename it, such as .hours_per_week",
        ),
        ({"inputs": {"height": ()}}, DataError, "no input 'height' of `train`"),
        ({"tasks": [Binary("poor")]}, DataError, "no label 'poor' of `train`"),
        ({"tasks": []}, TaskError, "At least 1 task is needed"),
        ({"inputs": {"job": ()}}, DataError, r"'job' must hold numbers \(float32\)"),
        ({"inputs": {"age": (3,)}}, DataError, r"'age' must have shape \(3,\)"),
        (
            {"x": {"age": np.zeros(3)}},
            DataError,
            "same number of rows, at least one. Received: {'age': 3,",
        ),
        (
            {"y": {"rich": np.full(ROWS, 2)}},
            LabelError,
            r"'rich' \(Binary\) must be from 0 to 1. Received: 2 in row 0",
        ),
        (
            {"y": {"rich": np.array(["yes"] * ROWS)}},
            LabelError,
            r"'rich' must be numbers. Received: \['yes'",
        ),
        (
            {"y": {"rich": np.zeros((ROWS, 2))}},
            LabelError,
            r"'rich' \(Binary\) must have shape",
        ),
        (
            {
                "y": {"rich": np.array(["yes"] * ROWS)},
                "tasks": [Multiclass("rich", ["yess", "no"])],
            },
            LabelError,
            "no class 'yes' of task 'rich'. Did you mean 'yess'",
        ),
    ],
)
def test_refuses(options, error, message):
    with pytest.raises(error, match=message):
        make(**options)


def test_empty_splits():
    x, y = table(0)
    splits = dict.fromkeys(["train", "validation", "test"], (x, y))
    with pytest.raises(DataError, match=r"at least one. Received: {'age': 0"):
        Dataset("t", splits, inputs={"age": ()}, tasks=[Regression("hours")])


def test_batch_size_below_one():
    with pytest.raises(DataError, match=r"must be at least 1. Received: batch_size=0"):
        make().batched(0)


def test_subset_has_fewer_training_rows():
    dataset = make()
    half, quarter = dataset.subset(ROWS // 2), dataset.subset(ROWS // 4)
    assert half.sizes == {**dataset.sizes, "train": ROWS // 2}
    (x, y), (half_x, half_y) = dataset.arrays("train"), half.arrays("train")
    at = [np.flatnonzero(x["age"] == age)[0] for age in half_x["age"]]
    np.testing.assert_array_equal(y["hours"][at], half_y["hours"])
    assert set(quarter.arrays("train")[0]["age"]) < set(half_x["age"])
    other = dataset.subset(ROWS // 2, seed=1).arrays("train")[0]["age"]
    assert set(other) != set(half_x["age"])
    seen = np.concatenate([batch["age"] for batch, _ in half.train])
    assert sorted(seen) == sorted(half_x["age"])


@pytest.mark.parametrize("rows", [0, ROWS + 1])
def test_subset_of_rows_that_there_are_not(rows):
    with pytest.raises(DataError, match=f"must be from 1 to {ROWS}, .* rows={rows}"):
        make().subset(rows)


def test_only_some_tasks():
    dataset = make()
    (x, y), (only_x, only_y) = (
        one.arrays("test") for one in (dataset, dataset.only(["hours"]))
    )
    assert list(only_y) == ["hours"]
    assert [task.name for task in dataset.only(["hours"]).spec["tasks"]] == ["hours"]
    np.testing.assert_array_equal(only_y["hours"], y["hours"])
    assert only_x.keys() == x.keys()
    _, batch = next(iter(dataset.only(["hours"]).train))
    assert list(batch) == ["hours"]
    assert [task.name for task in dataset.tasks] == list(y)


def test_only_tasks_that_there_are_not():
    with pytest.raises(UnknownNameError, match=r"no task 'hour' of data set .*. Did"):
        make().only(["hour"])
