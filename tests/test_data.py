"""Data that doesn't fit gets an error that says what was expected, and what came."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import INPUTS, raw_inputs, two_task_data, two_task_model

import mtlzoo
from mtlzoo import tasks, trunks
from mtlzoo.errors import DataError, LabelError


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
        ({"click": [0, 1, 2, 1]}, "must be from 0 to 1.*missing=-1. Received: 2"),
        ({"click": [0, -1, 0, 1]}, "If -1 marks a missing label, say so"),
        ({"kind": [0, 3, 0, 1]}, "class index from 0 to 2. Received: 3"),
        ({"kind": [0, 0.5, 0, 1]}, "class index from 0 to 2. Received: 0.5"),
        ({"price": np.full((4, 2), np.inf)}, "finite, or NaN where missing"),
        ({"click": ["yes", "no", "no", "no"]}, "must be numbers. Received <U3: 'yes'"),
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


def test_date_input_refuses_text():
    model = mtlzoo.build(
        "shared_bottom", inputs={"day": mtlzoo.Date()}, tasks=[tasks.Binary("late")]
    )
    with pytest.raises(DataError, match=r"'day' must hold numbers \(int64\)"):
        model.predict({"day": ["tomorrow"]})


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
