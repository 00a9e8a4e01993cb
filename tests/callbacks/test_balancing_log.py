"""What `BalancingLog` reports, against gradients taken by hand."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from toys import TASKS, data, toy

import mtlzoo
from mtlzoo import balancing, tasks
from mtlzoo.callbacks import BalancingLog
from mtlzoo.errors import DataError, TaskError

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


class Stop(keras.callbacks.Callback):
    """Interrupts the training, as Ctrl-C does."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise KeyboardInterrupt


def steps_in(path):
    with path.open(newline="") as file:
        return [int(one["step"]) for one in csv.DictReader(file)]


def test_a_training_that_was_killed_goes_on_with_the_file(tmp_path):
    """As another process does it, with a callback of its own."""
    path = tmp_path / "balancing.csv"
    backup = tmp_path / "backup"

    def run(*more, epochs=2):
        model = toy()
        log = BalancingLog(every=1, csv=path)
        fit(model, log, keras.callbacks.BackupAndRestore(backup), *more, epochs=epochs)
        return log

    class StopLater(Stop):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 1:
                super().on_train_batch_end(batch, logs)

    with pytest.raises(KeyboardInterrupt):
        run(StopLater())
    assert steps_in(path) == [0, 1, 2, 3, 4, 5, 6]
    with path.open("a") as file:
        file.write("1,7")  # what a killed process may leave of a row
    log = run(epochs=3)
    assert [one["step"] for one in log.records] == [4, 5, 6, 7, 8, 9, 10, 11]
    assert steps_in(path) == list(range(12))
    # Another training begins at step 0, and has the file to itself.
    fit(toy(), BalancingLog(csv=path))
    assert steps_in(path) == [0]
    # So has one whose tasks are others.
    path.write_text("epoch,step,other_weight\n0,0,1.0\n")
    model = toy()
    fit(model)
    fit(model, BalancingLog(csv=path))
    assert steps_in(path) == [4]


def test_two_at_once():
    model = toy("uncertainty")
    often, seldom = BalancingLog(every=1), BalancingLog(every=2)
    fit(model, often, seldom, epochs=2)
    assert seldom.records == often.records[::2]
    assert [one["step"] for one in often.records] == list(range(8))
    assert all(np.isfinite(list(one.values())).all() for one in often.records)


def test_several_steps_an_execution():
    each, log = BalancingLog(every=1), BalancingLog(every=2)
    fit(toy("dwa"), each, batch_size=8, epochs=2)
    fit(toy("dwa", steps_per_execution=3), log, batch_size=8, epochs=2)
    # Of eight steps, three executions.
    assert [one["step"] for one in log.records] == [2, 5, 7, 10, 13, 15]
    for one in log.records:
        assert one == pytest.approx(each.records[one["step"]], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("accumulated", [None, 3])
def test_steps_are_counted_over_all_epochs(accumulated):
    """Also where the optimizer, which keeps gradients back, counts fewer."""
    optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=accumulated)
    model = toy(optimizer=optimizer)
    fit(model, log := BalancingLog(every=1), epochs=3)
    assert [one["step"] for one in log.records] == list(range(12))
    fit(model, log := BalancingLog())
    assert log.records[0]["step"] == 12


def test_what_is_freed_while_the_model_trains_is_seen():
    class Free(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.get_layer("low").trainable = True
                self.model.make_train_function()

    model = toy()
    for name in ("low", "high"):
        model.get_layer(name).trainable = False
    log = BalancingLog()
    fit(model, log, Free(), epochs=2)
    first, second = log.records
    assert np.isnan(first["click_gradient_norm"])
    assert second["click_gradient_norm"] > 0


@pytest.mark.parametrize("method", ["equal", "mgda"])
def test_gradients_that_overflow_are_not_known(method):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = toy(method)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    x, y = data()
    y["hours"] *= 1e4
    log = BalancingLog()
    model.fit(x, y, verbose=0, callbacks=[log])
    (record,) = log.records
    assert np.isnan(record["hours_gradient_norm"])
    assert np.isnan(record["click_hours_gradient_cosine"])
    assert record["click_gradient_norm"] > 0


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
    model = toy("equal")
    fit(model, log := BalancingLog(every=2))
    assert model.balancing.observer is None
    with pytest.raises(KeyboardInterrupt):
        fit(model, log, Stop())
    fit(model)
    assert model.balancing.observer is None
    fit(model, log)
    assert all(np.isfinite(list(one.values())).all() for one in log.records)


def regressions(*names):
    inputs = keras.Input((5,), name="age")
    hidden = keras.layers.Dense(4)(inputs)
    return mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, {name: keras.layers.Dense(1)(hidden) for name in names}),
        [tasks.Regression(name) for name in names],
    )


def test_models_that_it_can_not_watch():
    x, y = data()
    plain = keras.Sequential([keras.layers.Dense(1)])
    plain.compile("sgd", "mse")
    with pytest.raises(DataError, match="Received a Sequential, which knows of no"):
        plain.fit(x["age"], y["price"], callbacks=[BalancingLog()], verbose=0)

    labels = dict.fromkeys(("a", "b_c", "a_b", "c"), y["price"])
    with pytest.raises(TaskError, match="as 'a_b_c_gradient_cosine'"):
        regressions(*labels).fit(x, labels, callbacks=[BalancingLog()], verbose=0)

    fit(toy(), log := BalancingLog())
    with pytest.raises(DataError, match="records of a model with other tasks"):
        regressions("a").fit(x, {"a": y["price"]}, callbacks=[log], verbose=0)


def test_an_interval_of_no_steps():
    with pytest.raises(ValueError, match="`every` must be at least 1 step"):
        BalancingLog(every=0)
