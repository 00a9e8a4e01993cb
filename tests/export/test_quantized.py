"""A copy with int8 weights: small, near the model, and served as any other."""

import keras
import numpy as np
import pytest
from examples import raw_inputs, two_task_data, two_task_model
from offers import check_offer

from mtlzoo import export, trunks
from mtlzoo.errors import ExportError


@pytest.fixture(scope="module")
def models():
    model = two_task_model(trunk=trunks.MLP((256, 256)))
    return model, export.quantized(model)


def test_takes_about_a_quarter_and_hardly_differs(models, tmp_path):
    model, small = models
    x = raw_inputs("vector", rows=64)
    expected = model.predict(x, verbose=0)
    for name, values in small.predict(x, verbose=0).items():
        assert 0 < np.max(np.abs(values - expected[name])) < 0.05
    found = check_offer(small, x, tmp_path / "1")
    assert {"serving_default", "task_buy", "classify_click"} < set(found)
    files = (tmp_path / "1" / "variables").iterdir()
    assert sum(path.stat().st_size for path in files) < 0.3 * 4 * model.count_params()


def test_is_a_model_that_can_be_evaluated(models):
    model, small = models
    assert type(small) is type(model)
    assert [task.name for task in small.tasks] == ["click", "buy"]
    x, y = two_task_data()
    before = model.evaluate(x, y, verbose=0, return_dict=True)
    after = small.evaluate(x, y, verbose=0, return_dict=True)
    assert after["click_loss"] == pytest.approx(before["click_loss"], rel=0.05)


def test_the_model_stays_as_it_is(models):
    assert {one.dtype for one in models[0].get_weights()} == {np.dtype("float32")}


class Unknown(keras.layers.Layer):
    """A layer that Keras can't make again."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, inputs):
        return inputs * self.scale


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: keras.layers.Rescaling(2.0), "no layer whose weights can be int8"),
        (lambda: Unknown(2.0), r"Can't copy .*register_keras_serializable"),
    ],
)
def test_refusals(layer, message):
    x = keras.Input((3,), name="x")
    with pytest.raises(ExportError, match=message):
        export.quantized(keras.Model({"x": x}, {"y": layer()(x)}))
