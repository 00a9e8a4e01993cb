"""The two gradient modes, on a model where they must agree."""

import keras
import numpy as np
import pytest
from toys import data, toy

import mtlzoo
from mtlzoo import balancing, tasks
from mtlzoo.errors import TaskError

NAMES = ("price", "hours", "stars")


@keras.saving.register_keras_serializable("test")
class Shift(keras.layers.Layer):
    """Adds one learned number to each channel."""

    def build(self, input_shape):
        self.bias = self.add_weight(shape=input_shape[-1:], initializer="zeros")

    def call(self, inputs):
        return inputs + self.bias


def shifted(method, shape):
    """Return a model whose tasks share a bias, at the place where they part."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape, name="x")
    hidden = Shift()(inputs)
    outputs = {
        name: keras.layers.Dense(1, name=name)(
            keras.layers.Flatten()(keras.layers.Activation("tanh")(hidden))
        )
        for name in NAMES
    }
    return mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, outputs),
        [tasks.Regression(name) for name in NAMES],
        balancing=method,
        optimizer=keras.optimizers.SGD(0.01),
    )


def shifted_data(shape, rows=48):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, *shape)).astype("float32")
    y = {name: (1 + 9 * (name == "hours")) * random.normal(size=rows) for name in NAMES}
    y["stars"][: rows // 4] = np.nan
    return {"x": x}, y


@pytest.mark.parametrize("shape", [(4,), (3, 5, 2)], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda mode: balancing.ExcessMTL(gradients=mode, eta=0.5),
        lambda mode: balancing.MoDo(gradients=mode, gamma=0.5),
        lambda mode: balancing.SDMGrad(gradients=mode, normalization="log"),
    ],
    ids=["excess_mtl", "modo", "sdmgrad"],
)
def test_what_compares_batches_sees_the_gradients_of_a_bias(make, shape):
    x, y = shifted_data(shape)
    found = []
    for mode in ("parameters", "representation"):
        model = shifted(make(mode), shape)
        model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0)
        weights = model.balancing.task_weights.numpy()
        assert np.ptp(weights) > 0.05
        found.append([one.numpy() for one in model.variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


def test_dual_balancing_makes_the_representations_gradients_equally_long():
    """Of one row, the representation's gradient is the bias's."""
    x, y = shifted_data((4,), rows=1)
    y["stars"][:] = 1.0
    found = []
    for mode in ("parameters", "representation"):
        method = balancing.DualBalancing(gradients=mode, momentum=0.0)
        model = shifted(method, (4,))
        model.fit(x, y, epochs=3, verbose=0)
        found.append([one.numpy() for one in model.variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)
    assert balancing.DualBalancing(gradients="representation").momentum is None


def test_what_is_frozen_later_is_no_longer_looked_at():
    """Of two tensors at which the graph leaves the shared part, one is learned."""
    model = toy(balancing.MoDo(gradients="representation"))
    method = model.balancing
    assert sorted(method.block_sizes) == [6, 8]
    x, y = data(rows=48)
    model.fit(x, y, batch_size=12, verbose=0)
    model.get_layer("low").trainable = False
    model.fit(x, y, batch_size=12, verbose=0)
    assert model.balancing is method
    assert method.block_sizes == (6,)


def test_channels_must_be_known():
    inputs = keras.Input((None,), name="x")
    scaled = Scale()(inputs)
    outputs = {
        name: keras.layers.Dense(1, name=name)(keras.ops.sum(scaled, -1, keepdims=True))
        for name in NAMES
    }
    with pytest.raises(TaskError, match=r"number must be known\. .*\(None, None\)"):
        mtlzoo.MultiTaskModel.from_functional(
            keras.Model(inputs, outputs),
            [tasks.Regression(name) for name in NAMES],
            balancing=balancing.MoDo(gradients="representation"),
        )


@keras.saving.register_keras_serializable("test")
class Scale(keras.layers.Layer):
    """Multiplies by one learned number."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        return inputs * self.factor
