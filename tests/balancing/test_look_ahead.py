"""Slopes of the losses in a method's weights, against derivatives of the whole step."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import two_task_data, two_task_model
from toys import TASKS, data, toy

import mtlzoo
from mtlzoo import balancing, transfer, trunks
from mtlzoo.balancing._look_ahead import look_ahead
from mtlzoo.errors import TaskError, UnknownNameError


class Recorder(balancing.AutoLambda):
    """Keeps what it is told, and learns nothing."""

    def learn(self, slopes, known):
        self.told = np.array(slopes), np.array(known)


def recorder(optimizer=None, primary=None):
    method = Recorder(primary=primary)
    model = toy(method, optimizer or keras.optimizers.SGD(0.3))
    method.task_weights.assign([0.4, 0.2, 1.5])
    return model


def told(model, x, y, sample_weight=None):
    x, y = ({k: tf.constant(v) for k, v in one.items()} for one in (x, y))
    look_ahead(model, (x, y, sample_weight), lambda _: contextlib.nullcontext())
    return model.balancing.told


def exact(model, x, y, goals, rate=0.3):
    """Differentiate through the step, with second derivatives."""
    halves = [
        [{k: tf.constant(v[start::2]) for k, v in one.items()} for one in (x, y)]
        for start in (0, 1)
    ]
    variables = model.trainable_variables

    def losses(values, part):
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            predictions = model(part[0], training=True)
            return model.task_losses(part[1], predictions, count=False)[0]

    weights = tf.constant(model.balancing.task_weights)
    here = [tf.constant(one) for one in variables]
    with tf.GradientTape() as outer:
        outer.watch(weights)
        with tf.GradientTape() as inner:
            inner.watch(here)
            total = tf.reduce_sum(weights * losses(here, halves[0]))
        step = inner.gradient(total, here)
        ahead = [one - rate * change for one, change in zip(here, step, strict=True)]
        goal = tf.reduce_sum(goals * losses(ahead, halves[1]))
    return outer.gradient(goal, weights).numpy()


@pytest.mark.parametrize("primary", [None, ["click"], ["hours", "price"]])
@pytest.mark.parametrize("missing", [False, True])
def test_slopes_are_those_of_the_losses_after_the_step(primary, missing):
    model = recorder(primary=primary)
    x, y = data(missing=missing)
    slopes, known = told(model, x, y)
    goals = [float(primary is None or one.name in primary) for one in TASKS]
    expected = exact(model, x, y, goals)
    assert known.all()
    # The losses are float32, and one is as large as 60: their differences are coarse.
    np.testing.assert_allclose(slopes, expected, atol=1e-3 * np.abs(expected).max())


def one_weight(optimizer):
    """Two tasks that share one weight `a` and predict `a x`."""
    inputs = keras.Input((1,), name="age")
    shared = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(inputs)
    outputs = {
        name: keras.layers.Rescaling(1.0, name=name)(shared)
        for name in ("price", "hours")
    }
    return mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, outputs),
        TASKS[1:],
        balancing=Recorder(primary=["price"], initial=1.0),
        optimizer=optimizer,
    )


ONE_WEIGHT_DATA = (
    {"age": np.array([[1.0], [2.0]], "float32")},
    {
        "price": np.array([0.0, 4.0], "float32"),
        "hours": np.array([2.0, -7.0], "float32"),
    },
)


@pytest.mark.parametrize("scaled", [False, True])
def test_slopes_by_hand(scaled):
    optimizer = keras.optimizers.SGD(0.1)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = one_weight(optimizer)
    # Losses are squares. On the first row the slopes in `a = 1` are 2 (1 - 0) = 2 and
    # 2 (1 - 2) = -2, so a step leaves it where it is. There `price` has, on the second
    # row, the slope 2 * 2 (2 - 4) = -8.
    slopes, known = told(model, *ONE_WEIGHT_DATA)
    np.testing.assert_allclose(slopes, [0.1 * 8 * 2, -0.1 * 8 * 2], rtol=1e-3)
    assert known.all()


def test_learning_rates_of_each_layer_count():
    model = two_task_model(balancing=Recorder(), optimizer=keras.optimizers.SGD(0.1))
    x, y = two_task_data()
    plain, _ = told(model, x, y)
    rates = transfer.layerwise_learning_rates(model, 0.1, 1.0, optimizer="sgd")
    model.compile(rates, balancing=Recorder())
    layered, _ = told(model, x, y)
    np.testing.assert_allclose(layered, plain, rtol=1e-2)


def test_what_has_no_labels_is_not_known():
    x, y = ONE_WEIGHT_DATA
    model = one_weight(keras.optimizers.SGD(0.1))
    slopes, known = told(model, x, {**y, "hours": np.array([np.nan, 1.0], "float32")})
    assert known.tolist() == [True, False]
    assert slopes[1] == 0
    slopes, known = told(model, x, {**y, "price": np.array([1.0, np.nan], "float32")})
    assert known.tolist() == [False, False]
    np.testing.assert_array_equal(slopes, 0.0)


def test_xla_compiles_it():
    found = []
    for jit_compile in (False, True):
        model = toy(balancing.AutoLambda(learning_rate=0.01), jit_compile=jit_compile)
        x, y = data()
        model.fit(x, y, batch_size=32, shuffle=False, verbose=0)
        found.append([one.numpy() for one in model.variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_batch_of_one_row_leaves_the_weights_alone():
    model = toy("auto_lambda")
    x, y = data(rows=1)
    before = model.balancing.task_weights.numpy()
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()
    np.testing.assert_array_equal(model.balancing.task_weights, before)


def test_sample_weights_count():
    model = recorder()
    x, y = data()
    rows = np.arange(64) % 4 < 2  # a half of each half
    weighted, _ = told(model, x, y, tf.constant(rows.astype("float32")))
    alone, _ = told(model, *({k: v[rows] for k, v in one.items()} for one in (x, y)))
    np.testing.assert_allclose(weighted, alone, atol=1e-3 * np.abs(alone).max())


def test_nothing_changes_but_the_weighting():
    """Neither the running averages of layers nor the states of random numbers."""
    model = two_task_model(
        architecture="mtan",
        inputs={"photo": (8, 8, 3)},
        trunk=trunks.CNN((4,), dropout=0.5),
        balancing="auto_lambda",
    )
    before = [np.array(one) for one in model.variables]
    x = {"photo": tf.ones((16, 8, 8, 3))}
    _, y = two_task_data()
    look_ahead(model, (x, y, None), lambda _: contextlib.nullcontext())
    learned = {id(one) for one in model.balancing.variables}
    for old, one in zip(before, model.variables, strict=True):
        assert np.array_equal(old, one) == (id(one) not in learned), one.path


def test_layers_see_the_labels_of_the_half_that_they_see():
    """Its losses are of labels, and of predictions inside the model."""
    model = two_task_model(architecture="escm2_dr", balancing="auto_lambda")
    x, y = two_task_data(15)
    assert np.isfinite(model.fit(x, y, batch_size=15, verbose=0).history["loss"]).all()
    assert not np.allclose(model.balancing.task_weights, 0.1, rtol=1e-6)


def test_mixed_precision_with_loss_scaling():
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.05), initial_scale=2.0**30
    )
    model = toy(balancing.AutoLambda(initial=1.0, learning_rate=0.01), optimizer)
    x, y = data()
    history = model.fit(x, y, batch_size=16, epochs=8, verbose=0).history
    assert float(optimizer.dynamic_scale) < 2.0**30  # the first steps overflow
    assert np.isfinite(model.balancing.task_weights).all()
    assert history["loss"][-1] < history["loss"][0]


def test_variables_in_half_precision_are_too_coarse():
    keras.config.set_dtype_policy("bfloat16")
    with pytest.raises(ValueError, match=r"must be float32\. Received: bfloat16"):
        toy("auto_lambda")


def test_what_opposes_the_primary_task_loses_its_weight():
    """Two tasks read one number: the other's labels are the same, or the opposite."""
    x = {"age": np.random.default_rng(0).normal(size=(256, 1)).astype("float32")}
    price = 3.0 * x["age"][:, 0]
    found = []
    for sign in (1.0, -1.0):
        model = one_weight(keras.optimizers.SGD(0.01))
        method = balancing.AutoLambda(primary=["price"], learning_rate=0.01)
        model.compile(keras.optimizers.SGD(0.01), balancing=method)
        model.fit(x, {"price": price, "hours": sign * price}, verbose=0)
        found.append(method.task_weights.numpy())
    assert found[0][1] > 0.12
    assert found[1][1] < 0.08


def test_wrong_arguments():
    with pytest.raises(UnknownNameError, match="Did you mean 'click'"):
        toy(balancing.AutoLambda(primary=["clic"]))
    for primary in ("click", []):
        with pytest.raises(TaskError, match="must be a list of task names"):
            balancing.AutoLambda(primary=primary)
    with pytest.raises(ValueError, match="`initial` must be above 0"):
        balancing.AutoLambda(initial=0.0)
