"""Every architecture and every balancing trains on batches that lack tasks."""

import keras
import numpy as np
import pytest
from examples import INPUTS, raw_inputs

import mtlzoo
from mtlzoo import heads, tasks, trunks
from mtlzoo._registry import ARCHITECTURES, BALANCING
from mtlzoo.datasets import Dataset, interleave

TRUNKS = {
    "vector": lambda: trunks.MLP((4,)),
    "image": lambda: trunks.CNN((4,)),
    "sequence": lambda: trunks.RNN((4,)),
}
TASKS = ("click", "buy")


def stream(example, batches="separate"):
    """Return batches of six rows that have labels of one task, in turns, or mixed."""
    sets = {}
    for seed, name in enumerate(TASKS):
        x = raw_inputs(example, 12, seed)
        y = {name: np.arange(12) % 2}
        sets[name] = Dataset(
            name,
            dict.fromkeys(("train", "validation", "test"), (x, y)),
            inputs=INPUTS[example],
            tasks=[tasks.Binary(name, metrics=[])],
        )
    return interleave(sets, sampling="alternate", batches=batches, batch_size=6)


def count_traces(model, monkeypatch):
    """Return a list that grows by one whenever the step of `model` is traced."""
    traces, step = [], model.train_step

    def counted(data):
        traces.append(1)
        return step(data)

    monkeypatch.setattr(model, "train_step", counted)
    return traces


def assert_finite(model, history):
    assert all(np.isfinite(values).all() for values in history.values())
    for variable in model.variables:
        value = keras.ops.convert_to_numpy(variable)
        assert np.isfinite(value).all(), variable.path


@pytest.mark.parametrize("name", ARCHITECTURES.list())
def test_every_architecture_trains_on_it(name, monkeypatch):
    example = ARCHITECTURES.entry(name).facts.get("example", "vector")
    made = stream(example)
    model = mtlzoo.build(
        name,
        **made.spec,
        trunk=TRUNKS[example](),
        head=heads.Tower(()),
        optimizer=keras.optimizers.SGD(0.1),
    )
    traces = count_traces(model, monkeypatch)
    history = model.fit(made.train, verbose=0).history
    assert len(traces) == 1
    assert all(history[f"{task}_loss"][0] > 0 for task in TASKS)
    assert_finite(model, history)


METHODS = [
    (name, mode)
    for name in BALANCING.list()
    for mode in getattr(BALANCING.get(name), "modes", [None])
]


@pytest.mark.parametrize(("name", "mode"), METHODS)
def test_every_balancing_trains_on_it(name, mode, monkeypatch):
    """A batch without labels of a task leaves what is its own; then come mixed ones."""
    method = BALANCING.get(name)(**({"gradients": mode} if mode else {}))
    inputs = keras.Input((4,), name="a")
    hidden = keras.layers.Dense(3, activation="tanh", name="shared")(inputs)
    outputs = {
        task: keras.layers.Dense(1, activation="sigmoid", name=task)(hidden)
        for task in TASKS
    }
    made = stream("vector")
    model = mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, outputs),
        made.tasks,
        balancing=method,
        optimizer=keras.optimizers.SGD(0.1),
    )
    traces = count_traces(model, monkeypatch)
    heads_of = {task: model.get_layer(task).kernel for task in TASKS}
    for count, present in enumerate(TASKS, start=1):
        before = {task: kernel.numpy() for task, kernel in heads_of.items()}
        train = made.from_step(count - 1).train.take(1)
        assert_finite(model, model.fit(train, verbose=0).history)
        for task, kernel in heads_of.items():
            stays = np.array_equal(before[task], kernel.numpy())
            assert stays == (task != present)
    mixed = stream("vector", batches="mixed").train
    assert_finite(model, model.fit(mixed, verbose=0).history)
    assert len(traces) == 1
