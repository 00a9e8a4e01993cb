"""What `BalancingLog` reports, against gradients taken by hand."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from toys import TASKS, data, toy

import mtlzoo
from mtlzoo import balancing
from mtlzoo.callbacks import BalancingLog

PAIRS = [("click", "price"), ("click", "hours"), ("price", "hours")]


def fit(model, *callbacks, epochs=1, batch_size=16, missing=False):
    x, y = data(missing=missing)
    return model.fit(
        x,
        y,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=list(callbacks),
        shuffle=False,
        verbose=0,
    ).history


def shared_gradients(model):
    x, y = data()
    shared = [
        one
        for one in model.trainable_variables
        if one.path.split("/")[0] in ("low", "high")
    ]
    with tf.GradientTape(persistent=True) as tape:
        losses = tf.unstack(model.task_losses(y, model(x, training=True))[0])
    return np.array(
        [
            np.concatenate(
                [
                    np.ravel(tape.gradient(loss, one, unconnected_gradients="zero"))
                    for one in shared
                ]
            )
            for loss in losses
        ]
    )


@pytest.mark.parametrize(
    ("method", "weights"),
    [
        (None, [1.0, 1.0, 1.0]),
        (balancing.Fixed([0.5, 2.0, 3.0]), [0.5, 2.0, 3.0]),
        (balancing.Uncertainty(), None),
        (balancing.Mean(), [1 / 3] * 3),
    ],
    ids=repr,
)
def test_values_are_those_of_gradients_taken_by_hand(method, weights):
    model = toy(method)
    rows = shared_gradients(model)
    norms = np.linalg.norm(rows, axis=1)
    cosines = rows @ rows.T / norms / norms[:, None]
    history = fit(model, log := BalancingLog(), batch_size=64)
    (record,) = log.records
    assert (record["epoch"], record["step"]) == (0, 0)
    for index, task in enumerate(TASKS):
        found = record[f"{task.name}_gradient_norm"]
        np.testing.assert_allclose(found, norms[index], rtol=1e-4)
        if weights:
            np.testing.assert_allclose(record[f"{task.name}_weight"], weights[index])
    for (i, j), pair in zip([(0, 1), (0, 2), (1, 2)], PAIRS, strict=True):
        found = record["_".join(pair) + "_gradient_cosine"]
        np.testing.assert_allclose(found, cosines[i, j], atol=1e-5)
    for name in record.keys() - {"epoch", "step"}:
        assert history[name] == [record[name]]


@pytest.mark.parametrize(
    "method",
    [
        "rlw",
        "famo",
        balancing.PCGrad(seed=1, gradients="representation"),
        balancing.SDMGrad(),
    ],
    ids=str,
)
def test_training_is_the_same_with_and_without(method):
    config = keras.saving.serialize_keras_object(balancing.get(method))
    found = []
    for callbacks in ([], [BalancingLog(every=2)]):
        model = toy(keras.saving.deserialize_keras_object(config))
        fit(model, *callbacks, epochs=2, missing=True)
        found.append([one.numpy() for one in model.variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-5)


def test_a_watched_step_leaves_running_averages_and_random_numbers():
    inputs = keras.Input((5,), name="age")
    hidden = keras.layers.Dense(8, name="low")(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(0.5)(hidden)
    outputs = {task.name: keras.layers.Dense(1)(hidden) for task in TASKS[1:]}
    network = keras.Model(inputs, outputs)
    found = []
    x, y = data()
    del y["click"]
    for callbacks in ([], [BalancingLog(every=1)]):
        keras.utils.set_random_seed(0)
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
        model = mtlzoo.MultiTaskModel.from_functional(copy, TASKS[1:])
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign([1, 2])
        model.fit(x, y, callbacks=callbacks, shuffle=False, verbose=0)
        found.append([one.numpy() for one in model.variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-5)


def test_the_interval_the_file_and_the_means(tmp_path):
    path = tmp_path / "logs" / "balancing.csv"
    model = toy("dwa")
    log = BalancingLog(every=3, csv=path)
    history = fit(model, log, epochs=2)
    assert [one["step"] for one in log.records] == [0, 3, 4, 7]
    assert [one["epoch"] for one in log.records] == [0, 0, 1, 1]
    name = "click_price_gradient_cosine"
    expected = [
        np.mean([one[name] for one in log.records if one["epoch"] == epoch])
        for epoch in range(2)
    ]
    np.testing.assert_allclose(history[name], expected)
    fit(model, log)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(one["step"]) for one in rows] == [0, 3, 4, 7, 8, 11]
    for row, record in zip(rows, log.records, strict=True):
        assert {key: float(value) for key, value in row.items()} == record


def test_a_task_without_labels_has_no_values(tmp_path):
    path = tmp_path / "balancing.csv"
    model = toy("equal")
    x, y = data()
    y["hours"][:16] = np.nan
    log = BalancingLog(every=2, csv=path)
    history = model.fit(
        x, y, batch_size=16, shuffle=False, verbose=0, callbacks=[log]
    ).history
    first, second = log.records
    for name in first:
        assert np.isnan(first[name]) == ("hours" in name)
        assert np.isfinite(second[name])
    assert history["hours_weight"] == [second["hours_weight"]]
    with path.open(newline="") as file:
        assert next(csv.DictReader(file))["hours_weight"] == ""


def test_events_for_tensorboard(tmp_path):
    fit(toy("mgda"), BalancingLog(every=2, tensorboard=tmp_path))
    (path,) = tmp_path.iterdir()
    found = {}
    for record in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
    assert found["balancing/click_weight"] == [0, 2]
    assert len(found) == 9


def test_after_fit_the_step_is_the_plain_one_also_after_an_interruption():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = toy("equal")
    fit(model, BalancingLog())
    assert model.balancing.observer is None
    with pytest.raises(KeyboardInterrupt):
        fit(model, BalancingLog(), Stop())
    fit(model)
    assert model.balancing.observer is None


def test_an_interval_of_no_steps():
    with pytest.raises(ValueError, match="`every` must be at least 1 step"):
        BalancingLog(every=0)
