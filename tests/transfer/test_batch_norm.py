"""Batch normalisation by the statistics of another domain."""

import keras
import numpy as np
import pytest
from domains import domain, small_model, stream

import mtlzoo
from mtlzoo import tasks
from mtlzoo.errors import DataError, OptionError
from mtlzoo.transfer import reestimate_batch_norm


def model_with_batch_norm(trainable=True):
    inputs = keras.Input((4,), name="age")
    norm = keras.layers.BatchNormalization(name="norm", trainable=trainable)
    hidden = keras.layers.Dropout(0.5, name="drop")(norm(inputs))
    hidden = keras.layers.Dense(3, name="dense")(hidden)
    hidden = keras.layers.BatchNormalization(name="second")(hidden)
    output = keras.layers.Dense(1, activation="sigmoid", name="click")(hidden)
    return mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, {"click": output}), [tasks.Binary("click")]
    )


@pytest.mark.parametrize("trainable", [True, False])
def test_statistics_are_those_of_all_rows(trainable):
    model = model_with_batch_norm(trainable)
    x, _ = domain(rows=50, shift=3.0).arrays("train")
    kernel = model.get_layer("dense").get_weights()
    reestimate_batch_norm(model, x, batch_size=16)
    norm = model.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, x["age"].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, x["age"].var(axis=0), rtol=1e-3)
    # Nothing else has changed.
    np.testing.assert_array_equal(model.get_layer("dense").get_weights()[0], kernel[0])
    assert (norm.momentum, norm.trainable) == (0.99, trainable)
    assert model.get_layer("drop").rate == 0.5


def test_one_batch_gives_the_second_layer_what_it_sees_in_inference():
    model = model_with_batch_norm()
    x, _ = domain(rows=64, shift=3.0).arrays("train")
    reestimate_batch_norm(model, x, batch_size=64)
    seen = keras.Model(model.inputs, model.get_layer("dense").output)
    seen = seen.predict(x["age"], verbose=0)
    second = model.get_layer("second")
    np.testing.assert_allclose(second.moving_mean, seen.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(second.moving_variance, seen.var(axis=0), rtol=1e-2)


def test_takes_pipelines_with_labels():
    model = model_with_batch_norm()
    data = domain(rows=33, shift=3.0)  # 16 + 16 + 1: one row alone is left out
    ordered = data.batched(16).validation
    reestimate_batch_norm(model, ordered)
    x, _ = data.arrays("validation")
    expected = x["age"][:32].mean(axis=0)
    np.testing.assert_allclose(model.get_layer("norm").moving_mean, expected, rtol=1e-4)


class TestRefusals:
    def test_no_batch_norm(self):
        with pytest.raises(OptionError, match="has no BatchNormalization layer"):
            reestimate_batch_norm(small_model(stream()), {"age": np.zeros((4, 4))})

    def test_too_few_rows_leave_the_model_as_it_was(self):
        model = model_with_batch_norm()
        before = model.get_weights()
        with pytest.raises(DataError, match="at least two rows"):
            reestimate_batch_norm(model, {"age": np.ones((1, 4))})
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_other_inputs(self):
        with pytest.raises(DataError, match="Missing: age"):
            reestimate_batch_norm(model_with_batch_norm(), {"height": np.zeros(4)})
