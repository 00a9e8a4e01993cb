"""What tasks share is found from the graph, in models of many shapes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from toys import TASKS, data, functional, toy

import mtlzoo
from mtlzoo import _graph, balancing
from mtlzoo.balancing._shared import SharedPart


def part_of(model):
    return SharedPart(model.inputs, model.output)


def names(variables):
    return sorted({one.path.split("/")[0] for one in variables})


def nested_trunk():
    inputs = keras.Input((5,))
    trunk = keras.Model(
        inputs, keras.layers.Dense(6, name="inside")(inputs), name="trunk"
    )
    outer = keras.Input((5,), name="age")
    features = trunk(outer)
    return keras.Model(
        outer,
        {
            name: keras.layers.Dense(1, name=name)(features)
            for name in ("click", "price", "hours")
        },
    )


def nested_whole():
    """A multi-output model inside another, shared part and heads alike."""
    outer = keras.Input((5,), name="age")
    inner = functional()
    outputs = inner(outer)
    return keras.Model(
        outer,
        {
            name: keras.layers.Dense(1, name=f"last_{name}")(one)
            for name, one in outputs.items()
        },
    )


def tied_heads():
    """One layer called by two tasks, each on features of its own."""
    inputs = keras.Input((5,), name="age")
    tied = keras.layers.Dense(1, name="tied")
    shared = keras.layers.Dense(6, name="shared")(inputs)
    one = keras.layers.Dense(4, name="one")(shared)
    other = keras.layers.Dense(4, name="other")(shared)
    return keras.Model(
        inputs,
        {
            "click": keras.layers.Activation("sigmoid")(
                keras.layers.Dense(1, name="third")(shared)
            ),
            "price": tied(one),
            "hours": tied(other),
        },
    )


def experts():
    """Several experts, mixed by a gate a task that reads the input."""
    inputs = keras.Input((5,), name="age")
    mixed = [keras.layers.Dense(4, name=f"expert_{i}")(inputs) for i in range(2)]
    stacked = keras.ops.stack(mixed, axis=1)
    outputs = {}
    for name in ("click", "price", "hours"):
        gate = keras.layers.Dense(2, activation="softmax", name=f"gate_{name}")(inputs)
        features = keras.ops.einsum("be,bed->bd", gate, stacked)
        outputs[name] = keras.layers.Dense(1, name=name)(features)
    return keras.Model(inputs, outputs)


def masked():
    """A mask goes through the cut."""
    inputs = keras.Input((5,), name="age")
    sequence = keras.layers.Reshape((5, 1))(inputs)
    sequence = keras.layers.Masking(0.5)(sequence)
    sequence = keras.layers.Dense(3, name="low")(sequence)
    sequence = keras.layers.GRU(4, return_sequences=True, name="shared")(sequence)
    return keras.Model(
        inputs,
        {
            name: keras.layers.Dense(1)(keras.layers.GRU(3, name=name)(sequence))
            for name in ("click", "price", "hours")
        },
    )


def with_losses_of_layers():
    """Layers that are called twice, by themselves and inside, and add losses."""
    inputs = keras.Input((5,), name="age")
    options = {"activation": "tanh", "activity_regularizer": "l2"}
    shared = keras.layers.Dense(5, **options, name="shared")
    inner = keras.Sequential([keras.layers.Dense(5, **options)], name="inner")
    hidden = inner(inner(shared(shared(inputs))))
    twice = keras.layers.Dense(5, **options, name="twice")
    return keras.Model(
        inputs,
        {
            "click": keras.layers.Dense(1, activation="sigmoid", name="click")(hidden),
            "price": keras.layers.Dense(1, name="price")(twice(twice(hidden))),
            "hours": keras.layers.Dense(1, name="hours")(shared(hidden)),
        },
    )


def tied_kernels():
    """Operations on the variables of layers that serve another task, or all."""
    inputs = keras.Input((5,), name="age")
    shared = keras.layers.Dense(5, name="shared")
    one = keras.layers.Dense(4, name="one")
    hidden = keras.ops.tanh(shared(inputs))
    outputs = {
        "click": one(hidden),
        "price": keras.ops.matmul(hidden, one.kernel),
        "hours": keras.ops.matmul(hidden, shared.kernel),
    }
    for name, features in outputs.items():
        outputs[name] = keras.layers.Dense(1, name=name)(features)
    outputs["click"] = keras.layers.Activation("sigmoid")(outputs["click"])
    return keras.Model(inputs, outputs)


def tasks_in_a_chain():
    """The prediction of one task is what the next one reads."""
    inputs = keras.Input((5,), name="age")
    hidden = keras.layers.Dense(4, activation="tanh", name="shared")(inputs)
    outputs = {}
    for name in ("hours", "price", "click"):
        activation = "sigmoid" if name == "click" else None
        outputs[name] = keras.layers.Dense(1, activation, name=name)(hidden)
        hidden = keras.layers.Concatenate()([hidden, outputs[name]])
    return keras.Model(inputs, outputs)


def left_aside():
    """A model inside has an output, with a loss of a layer, that no task reads."""
    inputs = keras.Input((5,))
    low = keras.layers.Dense(6, activation="tanh", name="low")(inputs)
    inner = keras.Model(
        inputs,
        {
            "features": keras.layers.Dense(4, name="high")(low),
            "aside": keras.layers.Dense(2, activity_regularizer="l2")(low),
        },
    )
    outer = keras.Input((5,), name="age")
    hidden = inner(outer)["features"]
    outputs = {
        name: keras.layers.Dense(1, name=name)(hidden)
        for name in ("click", "price", "hours")
    }
    outputs["click"] = keras.layers.Activation("sigmoid")(outputs["click"])
    return keras.Model(outer, outputs)


MODELS = (
    functional,
    nested_trunk,
    nested_whole,
    tied_heads,
    experts,
    masked,
    with_losses_of_layers,
    tied_kernels,
    tasks_in_a_chain,
    left_aside,
)


class Constant(balancing.GramianAggregator):
    """Weights that no gradient changes."""

    WEIGHTS = (0.3, 2.0, 0.7)

    def weigh(self, gramian, losses, present):
        return keras.ops.convert_to_tensor(self.WEIGHTS, "float64")


def test_shared_variables():
    model = functional()
    part = part_of(model)
    assert names(part.trunk) == ["high", "low"]
    assert [names(one) for one in part.own] == [["click"], ["price"], ["hours"]]
    served = {names([one])[0]: part.tasks_of[id(one)] for one in model.variables}
    assert served["low"] == {0, 1, 2}
    assert served["high"] == {0, 1}


def test_shared_variables_inside_nested_models():
    whole = nested_whole()
    part = part_of(whole)
    paths = {one.path for one in whole.variables if part.is_shared(one)}
    assert {path.split("/")[-2] for path in paths} == {"low", "high"}
    assert len(part_of(nested_trunk()).trunk) == 2


def test_a_layer_that_two_heads_call_is_shared():
    part = part_of(tied_heads())
    shared = {one.path.split("/")[0] for one in tied_heads().variables}
    assert "tied" in shared
    assert names(part.trunk) == ["shared"]
    assert "tied" in names(part.own[1])
    assert all(part.is_shared(one) for one in part.own[1] if "tied" in one.path)


def test_a_model_inside_of_several_inputs_is_looked_into():
    """Of its outputs, one is an input as it is."""
    one, other = keras.Input((4,)), keras.Input((5,))
    inner = keras.Model([one, other], [other, keras.layers.Dense(3, name="in")(one)])
    inputs = keras.Input((5,), name="age")
    left = keras.layers.Dense(4, name="left")(inputs)
    right = keras.layers.Dense(5, name="right")(inputs)
    passed, made = inner([left, right])
    both = keras.layers.Concatenate()([left, made])
    outputs = {
        "click": keras.layers.Dense(1, name="click")(passed),
        "price": keras.layers.Dense(1, name="price")(both),
        "hours": keras.layers.Dense(1, name="hours")(left),
    }
    part = part_of(keras.Model(inputs, outputs))
    assert names(part.trunk) == ["left"]
    assert names(part.own[0]) == ["click", "right"]
    assert names(part.own[1]) == ["in", "price"]


def test_a_model_inside_gets_inputs_in_its_own_dtype():
    """Pixels, which the outer model takes as integers."""
    pixels = keras.Input((6, 6, 3))
    inner = keras.Model(pixels, keras.layers.Conv2D(2, 3, name="conv")(pixels))
    inputs = keras.Input((6, 6, 3), dtype="uint8", name="photo")
    hidden = keras.layers.Flatten()(inner(inputs))
    names = ("click", "price", "hours")
    model = keras.Model(inputs, {name: keras.layers.Dense(1)(hidden) for name in names})
    x = np.random.default_rng(0).integers(0, 255, (4, 6, 6, 3)).astype("uint8")
    found, _ = part_of(model).run(_graph.flat_inputs(model, x), lambda _: None)
    for name, expected in model(x).items():
        np.testing.assert_allclose(found[name], expected)


def test_what_no_task_reads_is_no_place_to_cut():
    model = left_aside()
    inputs = _graph.flat_inputs(model, data()[0]["age"])
    _, cuts = part_of(model).run(inputs, lambda _: None)
    assert [tensor.shape[-1] for tensor, _ in cuts] == [4]


@pytest.mark.parametrize("make", MODELS)
def test_sign_dropout_runs_on_models_of_many_shapes(make):
    keras.utils.set_random_seed(0)
    model = mtlzoo.MultiTaskModel.from_functional(
        make(), TASKS, balancing=balancing.GradDrop(gradients="representation")
    )
    model.fit(*data(missing=True), batch_size=16, verbose=0)


@pytest.mark.parametrize("gradients", ["parameters", "representation"])
@pytest.mark.parametrize("make", MODELS)
def test_each_variable_moves_by_the_gradients_of_its_tasks(make, gradients):
    """Weighted where two tasks or more have one, whatever the graph looks like."""
    keras.utils.set_random_seed(0)
    model = mtlzoo.MultiTaskModel.from_functional(
        make(),
        TASKS,
        balancing=Constant(gradients=gradients),
        optimizer=keras.optimizers.SGD(0.1),
    )
    x, y = data(missing=True)
    variables = model.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        losses, _ = model.separate_losses(y, model(x, training=True), count=False)
        others = model.losses
    by_task = [tape.gradient(loss, variables) for loss in losses]
    by_layer = [tape.gradient(loss, variables) for loss in others]
    before = [one.numpy() for one in variables]
    model.fit(x, y, batch_size=64, verbose=0)
    for index, (old, variable) in enumerate(zip(before, variables, strict=True)):
        found = [
            (weight, row[index])
            for weight, row in zip(Constant.WEIGHTS, by_task, strict=True)
            if row[index] is not None
        ]
        expected = sum(
            (weight if len(found) > 1 else 1.0) * gradient for weight, gradient in found
        )
        expected += sum(row[index] for row in by_layer if row[index] is not None)
        moved = old - variable.numpy()
        np.testing.assert_allclose(moved, 0.1 * expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", MODELS)
def test_the_cut_model_predicts_as_the_model_does(make):
    model = make()
    x, _ = data()
    x = x["age"]
    expected = model(x, training=True)
    with tf.GradientTape(persistent=True) as tape:
        found, cuts = part_of(model).run(_graph.flat_inputs(model, x), tape.watch)
    assert cuts
    for name, one in expected.items():
        np.testing.assert_allclose(found[name], one, atol=1e-6)
        for before, behind in cuts:
            assert tape.gradient(found[name], before) is None
            np.testing.assert_array_equal(before, behind)


def test_stateful_layers_run_once_a_step():
    inputs = keras.Input((5,), name="age")
    hidden = keras.layers.BatchNormalization(name="norm")(
        keras.layers.Dense(4, name="dense")(inputs)
    )
    outputs = {
        name: keras.layers.Dense(1, name=name)(hidden)
        for name in ("click", "price", "hours")
    }
    model = keras.Model(inputs, outputs)
    moved = []
    for gradients in ("parameters", "representation"):
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        made = mtlzoo.MultiTaskModel.from_functional(
            copy, TASKS, balancing=balancing.Sum(gradients=gradients)
        )
        made.fit(*data(), batch_size=64, verbose=0)
        moved.append(made.get_layer("norm").moving_mean.numpy())
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-6)
    assert np.abs(moved[0]).max() > 0


def test_the_private_names_of_keras_that_we_rely_on():
    model = functional()
    tensor = model.output["click"]
    node = tensor._keras_history.operation._inbound_nodes[0]
    assert node.input_tensors
    assert node.output_tensors
    assert callable(node.arguments.fill_in)
    assert callable(model._standardize_inputs)
    assert callable(model._convert_inputs_to_tensors)
    assert callable(model._adjust_input_rank)
    assert callable(model._get_call_context)
    assert callable(model._maybe_reset_call_context)
    assert callable(model._flatten_layers)
    assert isinstance(model._trainable_variables, list)
    assert callable(_graph.operation_fn)
    assert isinstance(model, _graph.Functional)
    assert isinstance(toy()._loss_tracker, keras.metrics.Metric)
