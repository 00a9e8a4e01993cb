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


MODELS = (functional, nested_trunk, nested_whole, tied_heads, experts, masked)


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


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("method", [balancing.Sum, balancing.GradDrop])
def test_modes_run_on_models_of_many_shapes(make, method):
    keras.utils.set_random_seed(0)
    model = mtlzoo.MultiTaskModel.from_functional(
        make(), TASKS, balancing=method(gradients="representation")
    )
    model.fit(*data(missing=True), batch_size=16, verbose=0)


@pytest.mark.parametrize("gradients", ["parameters", "representation"])
@pytest.mark.parametrize("make", MODELS)
def test_the_sum_is_the_plain_step_on_models_of_many_shapes(make, gradients):
    found = []
    for method in (None, balancing.Sum(gradients=gradients)):
        keras.utils.set_random_seed(0)
        model = mtlzoo.MultiTaskModel.from_functional(
            # Larger steps would let the rounding of the first ones grow.
            make(),
            TASKS,
            balancing=method,
            optimizer=keras.optimizers.SGD(0.005),
        )
        model.fit(*data(missing=True), batch_size=16, shuffle=False, verbose=0)
        found.append([one.numpy() for one in model.variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-5)


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
    assert callable(_graph.operation_fn)
    assert isinstance(model, _graph.Functional)
    assert isinstance(toy()._loss_tracker, keras.metrics.Metric)
