"""Data that doesn't fit gets an error that says what was expected, and what came."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import INPUTS, raw_inputs, two_task_data, two_task_model

import mtlzoo
from mtlzoo import tasks, trunks
from mtlzoo.errors import DataError, LabelError

JOB = mtlzoo.Categorical(["clerk", "nurse"])


def typed_model():
    return mtlzoo.build(
        "shared_bottom",
        inputs=INPUTS["vector"],
        tasks=[
            tasks.Binary("click"),
            tasks.Multiclass("kind", 3, missing=-1),
            tasks.Regression("price", shape=(2,)),
        ],
        trunk=trunks.MLP((4,)),
    )


def fit(y, model=None):
    x, _ = two_task_data(4)
    return (model or typed_model()).fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        ({"clik": [0, 1, 0, 1]}, "There is no task 'clik'. Labels may be given for: c"),
        ({}, "No labels were given"),
        (np.zeros(4), "Labels must be a dict keyed by task: click, kind, price"),
        ({"click": [0, 1]}, "as many rows as the inputs, 4. Received: 2"),
        ({"click": np.zeros((4, 2))}, r"must have shape \(rows, 1\) or \(rows,\)"),
        ({"kind": np.zeros((4, 3))}, r"\(rows,\) or \(rows, 1\). Received: \(4, 3\)"),
        ({"price": np.zeros(4)}, r"must have shape \(rows, 2\). Received: \(4,\)"),
        (
            {"click": [0, 1, 2, 1]},
            r"must be from 0 to 1\. Received: 2 in row 2\.$",
        ),
        ({"click": [0, -1, 0, 1]}, "If -1 marks a missing label, say so"),
        ({"kind": [0, 3, 0, 1]}, "from 0 to 2. Received: 3 in row 1. If labels count"),
        ({"kind": [0, 0.5, 0, 1]}, "class index from 0 to 2. Received: 0.5"),
        ({"price": np.full((4, 2), np.inf)}, "finite, or NaN where missing"),
        (
            {"click": ["yes", "no", "no", "no"]},
            r"must be numbers. Received: \['yes'.*labels == 'yes'",
        ),
    ],
)
def test_arrays_of_labels(y, match):
    with pytest.raises(LabelError, match=match):
        fit(y)


def test_labels_that_are_declared_missing_pass():
    fit({"kind": [0, -1, np.nan, 2]})


@pytest.mark.parametrize(
    ("y", "match"),
    [
        ({"clik": [0, 1, 0, 1]}, "There is no task 'clik'"),
        ({"price": np.zeros(4, "float32")}, r"must have shape \(rows, 2\)"),
        ({"kind": [0, 3, 0, 1]}, "Labels of task 'kind' .* class index from 0 to 2"),
        ({"click": [0.0, 5.0, 0.0, 1.0]}, "Labels of task 'click' .* from 0 to 1"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_datasets_of_labels(y, match, method):
    x, _ = two_task_data(4)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
    with pytest.raises(LabelError, match=match):
        getattr(typed_model(), method)(dataset, verbose=0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"b": None}, "Missing: b. Expected: a, b. Received: a"),
        ({"b": np.zeros((4, 2))}, r"'b' must have rows of shape \(3,\).*\(4, 2\)"),
        ({"b": np.zeros((3, 3))}, "same number of rows. Received: {'a': 4, 'b': 3}"),
        ({"b": 3.0}, r"'b' must hold one entry a row.*pass \[3.0\]"),
        ({"b": np.full((4, 3), "x")}, "'b' must hold numbers"),
        ({"b": np.zeros((0, 3)), "a": np.zeros((0, 4))}, "must have at least one row"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "predict", "representations"])
def test_arrays_of_inputs(change, match, method):
    x, y = two_task_data(4)
    x = {name: value for name, value in {**x, **change}.items() if value is not None}
    model = two_task_model()
    with pytest.raises(DataError, match=match):
        model.fit(x, y) if method == "fit" else getattr(model, method)(x)


def test_dataset_without_an_input():
    x, y = two_task_data(4)
    dataset = tf.data.Dataset.from_tensor_slices(({"a": x["a"]}, y)).batch(2)
    with pytest.raises(DataError, match="Missing: b"):
        two_task_model().fit(dataset, verbose=0)


def test_dataset_with_more_inputs_than_needed():
    x, y = two_task_data(4)
    dataset = tf.data.Dataset.from_tensor_slices(({**x, "c": x["a"]}, y)).batch(2)
    two_task_model().fit(dataset, verbose=0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"b": np.zeros((4, 2))}, r"'b' must have rows of shape \(3,\)"),
        ({"b": np.full((4, 3), "x")}, "'b' must have type float32. Received .* string"),
    ],
)
def test_datasets_of_inputs(change, match):
    x, y = two_task_data(4)
    dataset = tf.data.Dataset.from_tensor_slices(({**x, **change}, y)).batch(2)
    with pytest.raises(DataError, match=match):
        two_task_model().fit(dataset, verbose=0)


def test_dataset_without_batches():
    dataset = tf.data.Dataset.from_tensor_slices(two_task_data(4))
    with pytest.raises(DataError, match=r"single rows: input 'a'.*dataset.batch\(32\)"):
        two_task_model().fit(dataset, verbose=0)


def test_dataset_of_texts_as_labels():
    x, y = two_task_data(4)
    y = {**y, "click": np.full(4, "yes")}
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
    with pytest.raises(LabelError, match=r"'click' must be numbers.*gives texts"):
        two_task_model().fit(dataset, verbose=0)


def test_dataset_with_weights_of_an_unknown_task():
    x, y = two_task_data(4)
    weights = {"clik": np.ones(4)}
    dataset = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(2)
    with pytest.raises(LabelError, match="no task 'clik'"):
        two_task_model().fit(dataset, verbose=0)


def test_labels_beside_a_dataset():
    dataset = tf.data.Dataset.from_tensor_slices(two_task_data(4)).batch(2)
    with pytest.raises(ValueError, match="`y` should not be passed"):
        two_task_model().fit(dataset, two_task_data(4)[1], verbose=0)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_no_inputs(method):
    with pytest.raises(DataError, match=r"No inputs were given.*with: a, b"):
        getattr(two_task_model(), method)(None)


def batches(*parts):
    """Yield them for ever, as Keras wants it."""
    while True:
        yield parts


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_generators_take_what_arrays_do():
    x = {"job": np.array(["clerk", None, "nurse"], object)}
    y = {"late": [True, None, False]}
    model = mtlzoo.build(
        "shared_bottom", inputs={"job": JOB}, tasks=[tasks.Binary("late")]
    )
    options = {"steps": 1, "verbose": 0, "return_dict": True}
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    assert model.evaluate(batches(x, y), **options) == pytest.approx(expected)
    weights = {"late": [1.0, 1.0, 0.0]}
    expected = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    assert model.evaluate(batches(x, y, weights), **options) == pytest.approx(expected)
    expected = model.predict(x, verbose=0)["late"]
    for given in (batches(x, y), batches(x)):
        found = model.predict(given, steps=1, verbose=0)["late"]
        np.testing.assert_array_equal(found, expected)
    model.fit(batches(x, y), steps_per_epoch=2, verbose=0)
    with pytest.raises(LabelError, match=r"'late' .* from 0 to 1. Received: 5"):
        model.fit(batches(x, {"late": [1, 0, 5]}), steps_per_epoch=1, verbose=0)
    with pytest.raises(DataError, match="Missing: job"):
        model.predict(batches({"jobs": x["job"]}), steps=1, verbose=0)


def test_rows_of_different_lengths():
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"series": mtlzoo.features.Sequence((None, 1), mask_value=0.0)},
        tasks=[tasks.Binary("late")],
    )
    rows = [[[1.0], [2.0]], [[3.0]]]
    for given in (rows, tf.ragged.constant(rows, ragged_rank=1)):
        with pytest.raises(
            DataError, match=r"'series' must have rows of one shape.*pad"
        ):
            model.predict({"series": given}, verbose=0)


def test_inputs_by_position():
    x, _ = two_task_data(4)
    model = two_task_model()
    expected = model.predict(x, verbose=0)["buy"]
    for given in (list(x.values()), tuple(x.values())):
        np.testing.assert_array_equal(model.predict(given, verbose=0)["buy"], expected)
    for given in (x["a"], [x["a"]], [{"a": x["a"][0]}, {}, {}]):
        with pytest.raises(DataError, match=r"dict of arrays by name.*model: a, b\."):
            model.predict(given, verbose=0)


def test_the_only_input_needs_no_name():
    model = mtlzoo.build(
        "shared_bottom", inputs={"job": JOB}, tasks=[tasks.Binary("late")]
    )
    expected = model.predict({"job": ["clerk", "nurse"]}, verbose=0)["late"]
    for given in (["clerk", "nurse"], [np.array(["clerk", "nurse"])]):
        np.testing.assert_array_equal(model.predict(given, verbose=0)["late"], expected)


@pytest.mark.parametrize(
    "jobs",
    [
        np.array([b"clerk", b"nurse"]),
        np.array([b"clerk", b"nurse"], object),
        np.array([["clerk"], ["nurse"]]),
        tf.constant(["clerk", "nurse"]),
    ],
)
def test_texts_of_any_kind_are_looked_up(jobs):
    model = mtlzoo.build(
        "shared_bottom", inputs={"job": JOB}, tasks=[tasks.Binary("late")]
    )
    expected = model.predict({"job": ["clerk", "nurse"]}, verbose=0)["late"]
    assert expected[0] != expected[1]
    np.testing.assert_array_equal(
        model.predict({"job": jobs}, verbose=0)["late"], expected
    )


@pytest.mark.parametrize("kind", [np.array, tf.constant])
def test_scaled_photos_for_raw_ones(kind):
    """Cast to bytes, they would be black."""
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"photo": mtlzoo.Image((8, 8, 3))},
        tasks=[tasks.Binary("cat")],
        trunk=trunks.CNN((4,)),
    )
    photos = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype("float32")
    with pytest.raises(DataError, match=r"'photo' must .*uint8.* Received.*scale=1.0"):
        model.predict({"photo": kind(photos)}, verbose=0)
    resized = model.predict({"photo": kind(photos * 255)}, verbose=0)["cat"]
    raw = model.predict({"photo": (photos * 255).astype("uint8")}, verbose=0)["cat"]
    np.testing.assert_array_equal(resized, raw)


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (np.ones(3), r"'click' must be one a row.* shape \(4,\). Received: \(3,\)"),
        (np.ones((4, 2)), r"Received: \(4, 2\)"),
        ([1.0, -1.0, 1.0, 1.0], "finite and at least 0. Received: -1.0"),
        ([1.0, np.nan, 1.0, 1.0], "finite and at least 0. Received: nan"),
    ],
)
def test_sample_weights(weights, match):
    x, y = two_task_data(4)
    for given in (weights, {"click": weights}):
        with pytest.raises(LabelError, match=match):
            two_task_model().fit(x, y, sample_weight=given)


def test_validation_data_may_be_a_list():
    x, y = two_task_data(4)
    history = two_task_model().fit(x, y, validation_data=[x, y], verbose=0).history
    assert "val_click_loss" in history


def test_date_input_refuses_text():
    model = mtlzoo.build(
        "shared_bottom", inputs={"day": mtlzoo.Date()}, tasks=[tasks.Binary("late")]
    )
    with pytest.raises(DataError, match=r"'day' must hold numbers \(int64\)"):
        model.predict({"day": ["tomorrow"]})


@pytest.mark.parametrize("is_dataset", [False, True])
def test_labels_of_another_size_than_the_picture(is_dataset):
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"photo": (8, 8, 3)},
        tasks=[tasks.Dense("parts", 3), tasks.Dense("depth", channels=1)],
        trunk=trunks.CNN((4,)),
    )
    x = {"photo": np.zeros((2, 8, 8, 3), "float32")}
    whole = np.zeros((2, 8, 8))
    model.evaluate(x, {"parts": whole, "depth": whole}, verbose=0)
    for name in ("parts", "depth"):
        data = (x, {name: whole[:, :4]})
        if is_dataset:
            data = (tf.data.Dataset.from_tensor_slices(data).batch(2),)
        with pytest.raises(LabelError, match=rf"'{name}'.*\(rows, 8, 8.*, 4, 8\)"):
            model.evaluate(*data, verbose=0)


def test_sample_weights_of_an_unlabelled_task():
    x, y = two_task_data(4)
    weights = {"buy": np.ones(4)}
    with pytest.raises(LabelError, match="`sample_weight` has buy, which `y` hasn't"):
        two_task_model().fit(x, {"click": y["click"]}, sample_weight=weights)


def test_class_weight_belongs_to_a_task():
    x, y = two_task_data(4)
    with pytest.raises(LabelError, match="Class weights belong to a task"):
        two_task_model().fit(x, y, class_weight={0: 1.0})


def test_labels_needed_for_training():
    x, _ = two_task_data(4)
    with pytest.raises(LabelError, match="Labels must be a dict keyed by task"):
        two_task_model().fit(x, verbose=0)


def test_other_errors_pass_unchanged():
    def fail(epoch, logs):
        raise RuntimeError("mine")

    x, y = two_task_data(4)
    callback = keras.callbacks.LambdaCallback(on_epoch_end=fail)
    with pytest.raises(RuntimeError, match="mine"):
        two_task_model().fit(x, y, callbacks=[callback], verbose=0)


def test_every_example_input_is_accepted_as_array_and_dataset():
    for kind in INPUTS:
        x = raw_inputs(kind, 4)
        model = mtlzoo.build(
            "shared_bottom", inputs=INPUTS[kind], tasks=[tasks.Binary("answer")]
        )
        expected = model.predict(x, verbose=0)["answer"]
        dataset = tf.data.Dataset.from_tensor_slices(x).batch(2)
        np.testing.assert_allclose(
            model.predict(dataset, verbose=0)["answer"], expected, atol=1e-6
        )
