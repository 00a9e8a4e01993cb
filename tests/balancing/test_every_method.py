"""What holds for everything that is registered: a new method is tested by this."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from toys import data, toy

import mtlzoo
from mtlzoo import balancing
from mtlzoo._registry import BALANCING

NAMES = mtlzoo.list_balancing()
LOSSES = np.array([0.7, 2.0, 0.1], "float32")
PRESENT = np.array([True, True, False])
BLOCKS = [
    np.array([[1, 2, 0, -1], [-2, 1, 1, 0.5], [0, 0, 0, 0]], "float32"),
    np.array([[0.5, -1], [3, 1], [0, 0]], "float32"),
]


def is_aggregator(method):
    return isinstance(method, balancing.Aggregator)


def built(name, num_tasks=3):
    method = balancing.get(name)
    method.build(num_tasks, [4, 2]) if is_aggregator(method) else method.build(
        num_tasks
    )
    return method


def step(method, losses, present):
    """Return what one step gives, whatever the kind of the method."""
    if isinstance(method, balancing.Weighting):
        total = method.total(losses, present)
        if method.uses_losses_after:
            method.after_step(losses * 0.9, present)
        if method.looks_ahead:
            method.learn(losses - 1.0, present)
        return [total, method.weigh(losses, present)]
    blocks = [tf.constant(block) for block in BLOCKS]
    jacobian = blocks if method.num_samples == 1 else [blocks] * method.num_samples
    update, weights = method.aggregate(jacobian, losses, present)
    return [*update, weights]


@pytest.mark.parametrize("name", NAMES)
def test_facts_and_docstring(name):
    entry = BALANCING.entry(name)
    assert entry.facts["kind"] in ("weighting", "aggregation")
    assert entry.facts["paper"]
    method = BALANCING.get(name)
    assert entry.attribute in balancing.__all__
    assert entry.summary.endswith(".")
    assert "Example:" in method.__doc__
    if name not in ("equal", "fixed", "sum", "mean"):
        assert "Reference:" in method.__doc__
        assert "Differences from the authors' code:" in method.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_config_and_repr_round_trip(name):
    method = built(name)
    config = keras.saving.serialize_keras_object(method)
    revived = keras.saving.deserialize_keras_object(config)
    assert type(revived) is type(method)
    assert repr(revived) == repr(method)
    assert repr(method).startswith(type(method).__name__ + "(")
    assert revived.get_config() == method.get_config()
    shapes = [one.shape for one in method.variables]
    assert [one.shape for one in revived.variables] == shapes
    again = eval(repr(method), {**vars(balancing), **vars(balancing.normalization)})
    assert repr(again) == repr(method)


@pytest.mark.parametrize("name", NAMES)
def test_eager_and_graph_agree_and_the_graph_is_traced_once(name):
    eager, graph = built(name), built(name)
    for one, other in zip(eager.variables, graph.variables, strict=True):
        other.assign(one)  # the same random numbers
    traces = []

    @tf.function(autograph=False)
    def in_graph(losses, present):
        traces.append(1)
        return step(graph, losses, present)

    for scale in (1.0, 0.5):
        losses, present = tf.constant(scale * LOSSES * PRESENT), tf.constant(PRESENT)
        found = in_graph(losses, present)
        expected = step(eager, losses, present)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert len(traces) == 1
    graph_of = in_graph.get_concrete_function(losses, present).graph.as_graph_def()
    bodies = [one.node_def for one in graph_of.library.function]  # of loops, say
    names = {node.op for nodes in [graph_of.node, *bodies] for node in nodes}
    assert not names & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


@pytest.mark.parametrize("name", NAMES)
def test_absent_tasks_weigh_nothing_and_zeros_are_finite(name):
    method = built(name)
    *_, weights = step(method, tf.constant(LOSSES * PRESENT), tf.constant(PRESENT))
    assert weights.shape == (3,)
    assert weights[2] == 0
    assert np.isfinite(weights).all()
    for present in (np.ones(3, bool), np.zeros(3, bool)):
        for value in step(method, tf.zeros(3), tf.constant(present)):
            assert np.isfinite(value).all()
    for variable in method.variables:
        assert np.isfinite(keras.ops.convert_to_numpy(variable)).all()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_else_changes_the_state_than_what_is_finite(name):
    method = built(name)
    step(method, tf.constant(LOSSES), tf.constant([True] * 3))
    step(method, tf.constant([np.nan, 1.0, 1.0], "float32"), tf.constant([True] * 3))
    for variable in method.variables:
        assert np.isfinite(keras.ops.convert_to_numpy(variable)).all()


@pytest.mark.parametrize("name", NAMES)
def test_two_epochs_of_training_in_one_trace(name, monkeypatch):
    model = toy(name)
    traces, train_step = [], model.train_step

    def counted(data):
        traces.append(1)
        return train_step(data)

    monkeypatch.setattr(model, "train_step", counted)
    x, y = data(missing=True)
    history = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert len(traces) == 1
    assert all(
        np.isfinite(keras.ops.convert_to_numpy(one)).all() for one in model.variables
    )


AGGREGATIONS = [name for name in NAMES if is_aggregator(balancing.get(name))]


@pytest.mark.parametrize(
    ("name", "normalization"),
    [
        *((name, "running_average") for name in AGGREGATIONS),
        # The others act in the same place: before a Gramian is used, or a Jacobian.
        *itertools.product(["mgda", "moco"], ["log", "first_step"]),
    ],
)
def test_any_normalisation_goes_with_any_aggregation(name, normalization):
    method = BALANCING.get(name)(normalization=normalization)
    method.build(3, [4, 2])
    for losses in (LOSSES, 0.5 * LOSSES):
        *update, weights = step(method, tf.constant(losses), tf.constant(PRESENT))
        assert all(np.isfinite(one).all() for one in [*update, weights])
        assert weights[2] == 0
