"""Affinities against steps made by hand, and the groups that follow from them."""

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from toys import TASKS, data, toy

import mtlzoo
from mtlzoo import metrics
from mtlzoo.errors import DataError
from mtlzoo.metrics import _suggest_groups

NAMES = [task.name for task in TASKS]


def by_hand(model, x, y, rate):
    shared = [
        one
        for one in model.trainable_variables
        if one.path.split("/")[0] in ("low", "high")
    ]

    def losses():
        return model.task_losses(y, model(x), count=False)[0]

    found = np.zeros((3, 3))
    for index in range(3):
        with tf.GradientTape() as tape:
            before = losses()
            loss = before[index]
        kept = [tf.identity(one.value) for one in shared]
        gradients = tape.gradient(loss, shared, unconnected_gradients="zero")
        for one, gradient in zip(shared, gradients, strict=True):
            one.assign_sub(rate * gradient)
        found[index] = 1.0 - losses() / before
        for one, value in zip(shared, kept, strict=True):
            one.assign(value)
    return found


def test_values_are_those_of_steps_by_hand_and_the_model_stays_as_it_was():
    model = toy()
    x, y = data()
    expected = by_hand(model, x, y, 0.05)  # the optimizer's rate
    before = [one.numpy() for one in model.variables]
    found = metrics.affinity(model, (x, y))
    assert list(found) == NAMES
    array = np.array([[found[i][j] for j in NAMES] for i in NAMES])
    np.testing.assert_allclose(array, expected, atol=1e-5)
    assert (np.diagonal(array) > 0).all()
    for one, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(one, value)


def test_batches_are_averaged_and_tasks_without_labels_left_out():
    model = toy()
    x, y = data()
    y["hours"][:32] = np.nan
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
    found = metrics.affinity(model, batches, learning_rate=0.01)
    halves = [
        metrics.affinity(model, batches.skip(index).take(1), learning_rate=0.01)
        for index in range(2)
    ]
    assert np.isnan(halves[0]["click"]["hours"])
    assert found["click"]["hours"] == pytest.approx(halves[1]["click"]["hours"])
    mean = np.mean([one["click"]["price"] for one in halves])
    assert found["click"]["price"] == pytest.approx(mean)


def test_what_has_no_affinity():
    inputs = keras.Input((5,), name="age")
    outputs = {task.name: keras.layers.Dense(1)(inputs) for task in TASKS[1:]}
    model = mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, outputs), TASKS[1:]
    )
    x, y = data()
    del y["click"]
    with pytest.raises(DataError, match="share no trainable variable"):
        metrics.affinity(model, (x, y))
    empty = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).take(0)
    with pytest.raises(DataError, match="at least one batch"):
        metrics.affinity(toy(), empty)


@pytest.mark.parametrize("rate", [0.0, -0.1, float("nan"), float("inf")])
def test_a_step_of_no_size(rate):
    with pytest.raises(DataError, match="`learning_rate` must be above 0"):
        metrics.affinity(toy(), data(), learning_rate=rate)


def test_what_it_can_not_be_measured_with():
    x, y = data()
    with pytest.raises(DataError, match="Received a Sequential, which knows of no"):
        metrics.affinity(keras.Sequential(), (x, y))
    inputs = tf.data.Dataset.from_tensor_slices(x).batch(8)
    for wrong in (x, [x, y], (x,), inputs):
        with pytest.raises(DataError, match=r"`data` must be a tf.data.Dataset of"):
            metrics.affinity(toy(), wrong)


def test_copies_of_a_task_are_told_from_what_is_not_related():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 10)).astype("float32")
    one, other = np.tanh(x @ random.normal(size=(10, 2))).T.astype("float32")
    labels = {"one": one, "noise": random.normal(size=2000), "copy": one, "two": other}
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"x": (10,)},
        tasks=[mtlzoo.tasks.Regression(name) for name in labels],
        trunk=mtlzoo.trunks.MLP((16,)),
        head=mtlzoo.heads.Tower(()),
        optimizer=keras.optimizers.Adam(0.01),
    )
    model.fit({"x": x}, labels, epochs=2, batch_size=64, verbose=0)
    found = metrics.affinity(model, ({"x": x}, labels), learning_rate=0.01)
    related = min(found["one"]["copy"], found["copy"]["one"])
    others = [
        found[i][j]
        for i, j in itertools.permutations(labels, 2)
        if {i, j} != {"one", "copy"}
    ]
    assert related > 5 * max(others)
    assert ["one", "copy"] in metrics.suggest_groups(found, 3)


def test_importing_the_package_does_not_load_tensorflow():
    code = "import sys, mtlzoo.metrics; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def table(array):
    names = [f"task_{index}" for index in range(len(array))]
    return {
        i: dict(zip(names, row, strict=True))
        for i, row in zip(names, array, strict=True)
    }


def value(groups, found):
    return sum(
        np.mean([found[i][j] for i in group if i != j])
        for group in groups
        for j in group
        if len(group) > 1
    )


@pytest.mark.parametrize("num_groups", [1, 2, 3, 9])
def test_the_groups_are_the_best_of_all(num_groups):
    random = np.random.default_rng(0)
    for _ in range(3):
        found = table(random.normal(size=(5, 5)))
        groups = metrics.suggest_groups(found, num_groups)
        assert sorted(itertools.chain.from_iterable(groups)) == list(found)
        assert len(groups) <= num_groups
        best = -np.inf
        for labels in itertools.product(range(min(num_groups, 5)), repeat=5):
            parts = [
                [name for name, one in zip(found, labels, strict=True) if one == label]
                for label in range(5)
            ]
            best = max(best, value(parts, found))
        assert value(groups, found) == pytest.approx(best)


def test_many_tasks_that_form_blocks():
    blocks = np.arange(15) % 3
    random = np.random.default_rng(0)
    effects = np.where(blocks[:, None] == blocks, 0.1, -0.1)
    found = table(effects + 0.01 * random.normal(size=effects.shape))
    assert len(found) > _suggest_groups.EXACT
    groups = metrics.suggest_groups(found, 3)
    assert groups == [[f"task_{i}" for i in range(b, 15, 3)] for b in range(3)]


def test_groups_of_what_cannot_be_grouped():
    with pytest.raises(DataError, match="`affinity` must hold at least one task"):
        metrics.suggest_groups({}, 2)
    found = table(np.zeros((3, 3)))
    with pytest.raises(DataError, match="`num_groups` must be at least 1"):
        metrics.suggest_groups(found, 0)
    found["task_0"]["task_1"] = float("nan")
    with pytest.raises(DataError, match="must be finite"):
        metrics.suggest_groups(found, 2)
    del found["task_0"]["task_1"]
    with pytest.raises(DataError, match="must have the same metrics"):
        metrics.suggest_groups(found, 2)
