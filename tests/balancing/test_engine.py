"""Aggregations in `fit`: the updates against gradients taken by hand."""

import re
import sys
from pathlib import Path

import fresh
import keras
import numpy as np
import pytest
import replicas
import tensorflow as tf
from toys import TASKS, data, functional, toy

import mtlzoo
from mtlzoo import balancing, tasks
from mtlzoo.errors import DataError, TaskError

MODES = ("parameters", "representation")


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


def weights(model):
    return [one.numpy() for one in model.trainable_variables]


def fit(model, missing=True, epochs=1, **options):
    x, y = data(missing=missing)
    return model.fit(
        x, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0, **options
    )


def assert_same(one, other, **tolerance):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, **{"atol": 1e-6, "rtol": 1e-5, **tolerance})


@pytest.mark.parametrize("gradients", MODES)
@pytest.mark.parametrize("missing", [False, True])
def test_sum_is_the_plain_step(gradients, missing):
    plain, summed = toy(), toy(balancing.Sum(gradients=gradients))
    first, second = fit(plain, missing, epochs=2), fit(summed, missing, epochs=2)
    assert_same(weights(plain), weights(summed))
    assert first.history.keys() == second.history.keys()
    for name in first.history:
        np.testing.assert_allclose(
            first.history[name], second.history[name], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("gradients", MODES)
def test_sum_is_the_plain_step_with_penalties_and_activity_losses(gradients):
    def model(method):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((5,), name="age")
        hidden = keras.layers.Dense(
            4, kernel_regularizer="l2", activity_regularizer="l2", name="hidden"
        )(inputs)
        one = keras.layers.Dense(3, activity_regularizer="l2", name="one")(hidden)
        outputs = {
            "price": keras.layers.Dense(1, name="price")(one),
            "hours": keras.layers.Dense(1, name="hours")(hidden),
        }
        return mtlzoo.MultiTaskModel.from_functional(
            keras.Model(inputs, outputs),
            TASKS[1:],
            balancing=method,
            optimizer=keras.optimizers.SGD(0.01),
        )

    x, y = data()
    del y["click"]
    plain, summed = model(None), model(balancing.Sum(gradients=gradients))
    logs = [
        one.fit(x, y, batch_size=16, shuffle=False, verbose=0).history
        for one in (plain, summed)
    ]
    assert_same(weights(plain), weights(summed))
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-5)


def by_hand(model, x, y):
    """Return each task's gradients of all variables."""
    found = []
    for task in model.tasks:
        with tf.GradientTape() as tape:
            losses, _ = model.task_losses(y, model(x, training=True))
            loss = losses[model.tasks.index(task)]
        found.append(
            tape.gradient(loss, model.trainable_variables, unconnected_gradients="zero")
        )
    return [[np.array(one) for one in row] for row in found]


def test_the_gradient_of_a_task_does_not_pass_the_heads_of_others():
    model = toy()
    x, y = data()
    with tf.GradientTape() as tape:
        losses, _ = model.separate_losses(y, model(x, training=True))
    found = tape.gradient(losses[0], model.trainable_variables)
    assert {
        variable.path.split("/")[0]
        for variable, gradient in zip(model.trainable_variables, found, strict=True)
        if gradient is not None
    } == {"low", "high", "click"}


def test_parameters_mode_combines_the_shared_variables_alone():
    model = toy(balancing.MGDA(), keras.optimizers.SGD(1.0))
    x, y = data(missing=True)
    before = weights(model)
    gradients = by_hand(model, x, y)
    fit_one = model.fit(x, y, batch_size=64, shuffle=False, verbose=0)
    assert np.isfinite(fit_one.history["loss"]).all()
    moved = [old - new for old, new in zip(before, weights(model), strict=True)]

    shared = [
        name.path.split("/")[0] in ("low", "high") for name in model.trainable_variables
    ]
    rows = [
        np.concatenate([g.ravel() for g, one in zip(row, shared, strict=True) if one])
        for row in gradients
    ]
    method = balancing.MGDA()
    method.build(3)
    matrix = np.array(rows, "float64")
    alpha = method.task_weights(matrix @ matrix.T, np.ones(3), np.ones(3, bool))
    for index, one in enumerate(shared):
        share = np.array(alpha) if one else np.ones(3)
        expected = sum(a * row[index] for a, row in zip(share, gradients, strict=True))
        np.testing.assert_allclose(moved[index], expected, atol=1e-5)


def test_representation_mode_weighs_by_the_gradients_of_the_cut_tensors():
    model = toy(balancing.MGDA(gradients="representation"), keras.optimizers.SGD(1.0))
    x, y = data()
    before = weights(model)
    gradients = by_hand(model, x, y)
    low, high = model.get_layer("low"), model.get_layer("high")
    names = [task.name for task in TASKS]
    with tf.GradientTape(persistent=True) as tape:
        bottom = low(x["age"])
        tape.watch(bottom)
        top = high(tf.stop_gradient(bottom))
        tape.watch(top)
        predictions = {
            "click": model.get_layer("click")(top),
            "price": model.get_layer("price")(top),
            "hours": model.get_layer("hours")(bottom),
        }
        losses = tf.unstack(model.task_losses(y, predictions)[0])
    rows = [
        np.concatenate(
            [
                np.ravel(tape.gradient(loss, one, unconnected_gradients="zero"))
                for one in (bottom, top)
            ]
        )
        for loss in losses
    ]
    method = balancing.MGDA()
    method.build(3)
    matrix = np.array(rows, "float64")
    alpha = method.task_weights(matrix @ matrix.T, np.ones(3), np.ones(3, bool))
    alpha = np.array(alpha)

    model.fit(x, y, batch_size=64, shuffle=False, verbose=0)
    for index, variable in enumerate(model.trainable_variables):
        layer = variable.path.split("/")[0]
        share = alpha if layer in ("low", "high") else np.ones(3)
        if layer in names:
            assert np.count_nonzero([np.any(row[index]) for row in gradients]) == 1
        expected = sum(a * row[index] for a, row in zip(share, gradients, strict=True))
        moved = before[index] - variable.numpy()
        np.testing.assert_allclose(moved, expected, atol=1e-4)


@pytest.mark.parametrize("gradients", MODES)
def test_heads_have_a_weighting_of_their_own(gradients):
    heads = balancing.Fixed([0.0, 2.0, 1.0])
    method = balancing.Sum(gradients=gradients, heads=heads)
    plain, model = toy(), toy(method)
    start = {one.path: one.numpy() for one in model.trainable_variables}
    x, y = data()
    for one in (plain, model):
        one.fit(x, y, batch_size=64, verbose=0)
    factors = {"click": 0.0, "price": 2.0, "low": 1.0, "high": 1.0, "hours": 1.0}
    for one, other in zip(
        plain.trainable_variables, model.trainable_variables, strict=True
    ):
        factor = factors[one.path.split("/")[0]]
        np.testing.assert_allclose(
            other.numpy() - start[other.path],
            factor * (one.numpy() - start[one.path]),
            atol=1e-6,
        )


@pytest.mark.parametrize("gradients", MODES)
def test_learned_weights_of_heads_are_trained(gradients):
    model = toy(balancing.Mean(gradients=gradients, heads="uncertainty"))
    fit(model, epochs=2)
    assert np.abs(model.balancing.heads.log_variances.numpy()).min() > 1e-4


def test_weightings_of_heads_see_the_epochs_end():
    model = toy(balancing.MGDA(heads="dwa"))
    history = fit(model, missing=False, epochs=2).history
    for index, task in enumerate(TASKS):
        expected = history[f"{task.name}_loss"]
        heads = model.balancing.heads
        np.testing.assert_allclose(heads.before_last[index], expected[0], rtol=1e-5)
        np.testing.assert_allclose(heads.last[index], expected[1], rtol=1e-5)


def test_weightings_of_heads_see_the_tasks_and_the_logs():
    method = balancing.DTP(logs=[f"{task.name}_los" for task in TASKS])
    with pytest.raises(TaskError, match="which the logs don't have"):
        fit(toy(balancing.Sum(heads=method)))


@pytest.mark.parametrize("name", ["auto_lambda", "famo"])
def test_heads_have_no_weighting_that_tries_steps_out(name):
    with pytest.raises(ValueError, match="tries steps out"):
        balancing.Sum(heads=name)


@pytest.mark.parametrize("gradients", MODES)
def test_an_absent_task_changes_nothing(gradients):
    model = toy(balancing.NashMTL(gradients=gradients))
    x, y = data()
    before = {one.path: one.numpy() for one in model.trainable_variables}
    del y["hours"]
    y["price"][:] = np.nan
    model.fit(x, y, batch_size=16, verbose=0)
    for one in model.trainable_variables:
        moved = not np.array_equal(one.numpy(), before[one.path])
        assert moved == (one.path.split("/")[0] in ("low", "high", "click"))
        assert np.isfinite(one.numpy()).all()


@pytest.mark.parametrize("gradients", MODES)
def test_mixed_precision_with_loss_scaling(gradients):
    keras.config.set_dtype_policy("mixed_float16")
    method = balancing.MGDA(gradients=gradients, normalization="running_average")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.05), initial_scale=2.0**30
    )
    model = toy(method, optimizer)
    history = fit(model, epochs=8).history
    scale = float(optimizer.dynamic_scale)
    assert scale < 2.0**30  # the first steps overflow, and are skipped
    assert all(np.isfinite(one.numpy()).all() for one in model.variables)
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("gradients", MODES)
def test_a_loss_scale_changes_nothing(gradients):
    found = []
    for factor in (None, 128.0):
        optimizer = keras.optimizers.SGD(0.05, loss_scale_factor=factor)
        model = toy(balancing.NashMTL(gradients=gradients), optimizer)
        fit(model)
        found.append(weights(model))
    assert_same(*found)


@pytest.mark.parametrize(
    "options",
    [
        {"clipnorm": 0.1},
        {"global_clipnorm": 0.1},
        {"clipvalue": 0.01},
        {"gradient_accumulation_steps": 2},
        {"use_ema": True, "ema_overwrite_frequency": 2},
        {"weight_decay": 0.1},
    ],
    ids=str,
)
def test_options_of_optimizers_work_as_in_the_plain_step(options):
    found = []
    for method in (None, balancing.Sum()):
        model = toy(method, keras.optimizers.SGD(0.05, **options))
        fit(model, missing=False)
        found.append(weights(model))
    assert_same(*found)


@pytest.mark.parametrize(
    "name",
    [
        "Adam",
        "Lion",
        "Muon",
        *map(
            slow,
            (
                "Adadelta",
                "Adafactor",
                "Adagrad",
                "AdamW",
                "Adamax",
                "Ftrl",
                "Lamb",
                "Nadam",
                "RMSprop",
                "SGD",
            ),
        ),
    ],
)
def test_every_optimizer(name):
    model = toy(balancing.UPGrad(), getattr(keras.optimizers, name)(1e-3))
    before = weights(model)
    fit(model)
    assert all(
        np.any(old != new) for old, new in zip(before, weights(model), strict=True)
    )


def test_learned_weights_do_not_decay_and_other_exclusions_stay():
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = toy("uncertainty", optimizer)
    optimizer.build(model.trainable_variables)
    decays = {
        one.name: optimizer._use_weight_decay(one)
        for one in optimizer._trainable_variables
    }
    assert not decays["log_variances"]
    assert not decays["bias"]
    assert decays["kernel"]


@pytest.mark.parametrize(
    "method",
    [
        balancing.DWA(),
        balancing.AutoLambda(primary=["click"]),
        balancing.FAMO(),
        balancing.RLW(seed=3),
        slow(balancing.STCH(warmup_epochs=1)),
        slow(balancing.Uncertainty()),
        balancing.CAGrad(normalization="running_average", heads="imtl_l"),
        slow(balancing.CRMOGM("mgda")),
        slow(balancing.DualBalancing()),
        slow(balancing.ExcessMTL()),
        balancing.ExcessMTL(gradients="representation"),
        slow(balancing.GradDrop(seed=3)),
        balancing.GradNorm(),
        balancing.GradVac(seed=3),
        balancing.MoCo(),
        slow(balancing.MoDo()),
        slow(balancing.SDMGrad()),
    ],
    ids=repr,
)
def test_saved_in_the_middle_training_goes_on_as_if_it_had_not_been(method, tmp_path):
    path = tmp_path / "model.keras"
    model = toy(method, keras.optimizers.Adam(0.01))
    fit(model, epochs=2)
    model.save(path)
    revived = keras.saving.load_model(path)
    assert repr(revived.balancing) == repr(model.balancing)
    fit(model)
    fit(revived)
    assert_same(
        [one.numpy() for one in model.variables],
        [one.numpy() for one in revived.variables],
        atol=0,
        rtol=0,
    )


def test_evaluating_reports_the_plain_sum_and_changes_no_state():
    x, y = data()
    expected = toy().evaluate(x, y, verbose=0, return_dict=True)["loss"]
    for name in ("uncertainty", "rlw", "famo", "gls", "pcgrad"):
        model = toy(name)
        before = [one.numpy() for one in model.balancing.variables]
        found = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        after = [one.numpy() for one in model.balancing.variables]
        assert_same(before, after, atol=0, rtol=0)


def test_replicas_train_as_one_does():
    apart = fresh.call(replicas.distances)
    assert len(apart) == 17
    assert max(apart.values()) < 1e-5, apart


@pytest.mark.parametrize(
    "method",
    [
        balancing.FAMO(),
        balancing.AutoLambda(),
        balancing.UPGrad(normalization="log"),
        balancing.UPGrad(gradients="representation"),
        balancing.MoCo(heads="uncertainty"),
    ],
    ids=repr,
)
def test_eager_training_is_the_same(method):
    config = method.get_config()
    found = []
    for eager in (False, True):
        model = toy(type(method).from_config(config), run_eagerly=eager)
        fit(model)
        found.append([one.numpy() for one in model.variables])
    assert_same(*found, atol=1e-5)


@pytest.mark.parametrize("gradients", MODES)
def test_xla_compiles_the_step(gradients):
    found = []
    for options in ({}, {"jit_compile": True}):
        model = toy(balancing.Mean(gradients=gradients), **options)
        fit(model)
        found.append(weights(model))
    assert_same(*found, atol=1e-5)


def grown_jacobians(balancing):
    """Return by how much the peak of memory grows with the Jacobian, in Jacobians.

    What tracing takes, whatever the width, isn't in it.
    """
    count, widths = 8, (1200, 2000)
    names = [f"task_{index}" for index in range(count)]

    def memory(name):
        status = Path("/proc/self/status").read_text("utf-8")
        return 1024 * int(re.search(name + r":\s+(\d+) kB", status)[1])

    def peak(width):
        hidden = inputs = keras.Input((width,), name="x")
        for _ in range(2):
            hidden = keras.layers.Dense(width, activation="relu")(hidden)
        outputs = {name: keras.layers.Dense(1)(hidden) for name in names}
        model = mtlzoo.MultiTaskModel.from_functional(
            keras.Model(inputs, outputs),
            [tasks.Regression(name, metrics=[]) for name in names],
            balancing=balancing,
            optimizer=keras.optimizers.SGD(1e-6),
        )
        x, y = np.zeros((8, width), "float32"), {name: np.zeros(8) for name in names}
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = memory("VmRSS")
        model.fit({"x": x}, y, epochs=2, verbose=0)
        return memory("VmHWM") - before

    peak(100)  # what comes with the first training
    jacobians = [4 * count * 2 * width**2 for width in widths]
    peaks = [peak(width) for width in widths]
    return (peaks[1] - peaks[0]) / (jacobians[1] - jacobians[0])


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_parameters_mode_holds_the_jacobian_once():
    plain = fresh.call(grown_jacobians, "equal")
    balanced = fresh.call(grown_jacobians, "mgda")
    # Beside the Jacobian are the gradients of one task, an eighth of it.
    assert 0.9 < balanced - plain < 1.2


def test_a_step_is_traced_once():
    traces = []

    class Counting(balancing.Mean):
        def weigh(self, *arguments):
            traces.append(1)
            return super().weigh(*arguments)

    fit(toy(Counting()), epochs=3)
    assert len(traces) == 1


def test_an_aggregation_needs_something_shared():
    inputs = keras.Input((5,), name="age")
    outputs = {
        name: keras.layers.Dense(1, name=name)(inputs) for name in ("price", "hours")
    }
    with pytest.raises(TaskError, match="share no variable"):
        mtlzoo.MultiTaskModel.from_functional(
            keras.Model(inputs, outputs), TASKS[1:], balancing="pcgrad"
        )


def test_statistics_and_random_numbers_are_nothing_to_share():
    inputs = keras.Input((5,), name="age")
    hidden = keras.layers.Normalization(mean=1.0, variance=2.0)(inputs)
    hidden = keras.layers.Dropout(0.5)(hidden)
    outputs = {
        name: keras.layers.Dense(1, name=name)(hidden) for name in ("price", "hours")
    }
    with pytest.raises(TaskError, match="share no variable that is learned"):
        mtlzoo.MultiTaskModel.from_functional(
            keras.Model(inputs, outputs), TASKS[1:], balancing="pcgrad"
        )


@pytest.mark.parametrize("gradients", MODES)
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_batches_that_are_too_small_to_be_split(rows, gradients):
    """Of four rows in batches of three, the last one is by itself."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,), name="age")
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(4)(inputs))
    outputs = {
        name: keras.layers.Dense(1, name=name)(hidden) for name in ("price", "hours")
    }
    model = mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, outputs),
        TASKS[1:],
        balancing=balancing.MoDo(gradients=gradients),
    )
    x, y = data(rows)
    del y["click"]
    history = model.fit(x, y, batch_size=3, verbose=0).history
    assert history["loss"][0] > 0
    assert all(np.isfinite(one.numpy()).all() for one in model.variables)


@pytest.mark.parametrize("method", ["sdmgrad", "auto_lambda"])
def test_sparse_inputs_are_not_split(method):
    inputs = keras.Input((5,), sparse=True, name="age")
    hidden = keras.layers.Dense(4)(inputs)
    outputs = {
        name: keras.layers.Dense(1, name=name)(hidden) for name in ("price", "hours")
    }
    model = mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, outputs), TASKS[1:], balancing="pcgrad"
    )
    x, y = data()
    del y["click"]
    sparse = {"age": tf.sparse.from_dense(x["age"])}
    dataset = tf.data.Dataset.from_tensor_slices((sparse, y)).batch(16)
    assert np.isfinite(model.fit(dataset, verbose=0).history["loss"][0])
    model.compile(balancing=method)
    with pytest.raises(DataError, match="can't be split by rows"):
        model.fit(dataset, verbose=0)


@pytest.mark.parametrize("gradients", MODES)
def test_a_frozen_trunk_trains_the_heads(gradients):
    model = functional()
    for name in ("low", "high"):
        model.get_layer(name).trainable = False
    model = mtlzoo.MultiTaskModel.from_functional(
        model, TASKS, balancing=balancing.MGDA(gradients=gradients)
    )
    before = weights(model)
    fit(model)
    for old, new in zip(before, weights(model), strict=True):
        assert np.any(old != new)


def test_an_aggregation_needs_two_tasks():
    inputs = keras.Input((5,), name="age")
    outputs = {"price": keras.layers.Dense(1, name="price")(inputs)}
    with pytest.raises(TaskError, match="at least 2 tasks"):
        mtlzoo.MultiTaskModel.from_functional(
            keras.Model(inputs, outputs),
            [tasks.Regression("price")],
            balancing="pcgrad",
        )


def test_a_balancing_object_belongs_to_one_number_of_tasks():
    method = balancing.Uncertainty()
    toy(method)
    inputs = keras.Input((5,), name="age")
    outputs = {
        name: keras.layers.Dense(1, name=name)(inputs) for name in ("price", "hours")
    }
    with pytest.raises(TaskError, match="was built for 3 tasks"):
        mtlzoo.MultiTaskModel.from_functional(
            keras.Model(inputs, outputs), TASKS[1:], balancing=method
        )


@pytest.mark.parametrize("name", ["db_mtl", "excess_mtl", "moco"])
def test_a_balancing_object_that_remembers_gradients_belongs_to_one_model(name):
    model = toy(name)
    method = model.balancing
    model.compile(balancing=method)  # what is shared is the same
    assert model.balancing is method
    model.get_layer("low").trainable = False
    with pytest.raises(TaskError, match="here they share something else"):
        model.compile(balancing=method)


def test_an_object_that_remembers_no_gradients_goes_to_another_model():
    method = balancing.MoDo(gradients="representation")
    toy(method)
    assert sorted(method.block_sizes) == [6, 8]
    model = functional()
    model.get_layer("low").trainable = False
    mtlzoo.MultiTaskModel.from_functional(model, TASKS, balancing=method)
    assert method.block_sizes == (6,)


@pytest.mark.parametrize(
    "method",
    ["gls", "stch", "scale_invariant", "famo", balancing.MGDA(normalization="log")],
    ids=repr,
)
def test_a_negative_loss_under_a_logarithm_is_an_error(method):
    inputs = keras.Input((5,), name="age")
    hidden = keras.layers.Dense(4)(inputs)
    outputs = {
        name: keras.layers.Dense(1, name=name)(hidden) for name in ("price", "hours")
    }
    negative = tasks.Regression(
        "price", loss=lambda true, predicted: keras.ops.mean(predicted * 0 - 1, axis=-1)
    )
    model = mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, outputs), [negative, TASKS[2]], balancing=method
    )
    x, y = data()
    del y["click"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="each must be at least 0"):
        model.fit(x, y, verbose=0)
