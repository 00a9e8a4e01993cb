"""What balancing costs: the step of each method against the plain summed loss.

The model is the LeNet of the MGDA paper (Sener and Koltun, *Multi-Task Learning as
Multi-Objective Optimization*, NeurIPS 2018) with one head a task. Environment variables
choose a part of it: `TASKS=2,10`, `METHODS=mgda,uncertainty` and `ROUNDS=5`.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo import balancing, tasks
from mtlzoo._registry import BALANCING
from mtlzoo.balancing import Aggregator, GramianAggregator
from mtlzoo.model import MultiTaskModel

TASKS = [int(one) for one in os.environ.get("TASKS", "2,10,40").split(",")]
METHODS = [one for one in os.environ.get("METHODS", "").split(",") if one]
ROUNDS = int(os.environ.get("ROUNDS", "9"))
STEPS, BATCH, SIDE, CLASSES = 2, 256, 36, 10
GRAMIAN_TASKS, GRAMIAN_CALLS = 40, 20


def run() -> str:
    """Time every method in both gradient modes, and the weights of a Gramian."""
    names = METHODS or BALANCING.list()
    lines = [
        f"LeNet, {SIDE}x{SIDE}x1, batch {BATCH}: the median over {ROUNDS} rounds of "
        "the ratio of a step to the step of the plain summed loss, beside which it "
        "ran.",
        "",
        f"| method | gradients | {' | '.join(f'{one} tasks' for one in TASKS)} |",
        f"|---|---|{'---:|' * len(TASKS)}",
    ]
    plain = {count: _stepper(None, count) for count in TASKS}
    for name in names:
        for mode in _modes(name):
            ratios = [
                _ratio(plain[one], _stepper(_made(name, mode), one)) for one in TASKS
            ]
            shown = " | ".join(f"{one:.2f}" for one in ratios)
            lines.append(f"| {name} | {mode or 'none'} | {shown} |")
    lines += [
        "",
        f"Weights from the Gramian of {GRAMIAN_TASKS} tasks, in milliseconds:",
        "",
        "| method | milliseconds |",
        "|---|---:|",
    ]
    for name in names:
        method = balancing.get(name)
        if isinstance(method, GramianAggregator):
            lines.append(f"| {name} | {_extraction(method):.2f} |")
    return "\n".join(lines)


def _modes(name: str) -> list[str | None]:
    method = balancing.get(name)
    return list(method.modes) if isinstance(method, Aggregator) else [None]


def _made(name: str, mode: str | None) -> Any:
    return BALANCING.get(name)(**({"gradients": mode} if mode else {}))


def _ratio(plain: Callable[[], float], other: Callable[[], float]) -> float:
    found = []
    for index in range(ROUNDS):
        # Who goes first alternates, so that a drift of the machine cancels out.
        first, second = (plain, other) if index % 2 else (other, plain)
        times = {first: first(), second: second()}
        found.append(times[other] / times[plain])
    return statistics.median(found)


def _network(num_tasks: int) -> keras.Model:
    inputs = keras.Input((SIDE, SIDE, 1), name="image")
    hidden = inputs
    for filters in (10, 20):
        hidden = keras.layers.Conv2D(filters, 5, activation="relu")(hidden)
        hidden = keras.layers.MaxPooling2D()(hidden)
    hidden = keras.layers.Flatten()(hidden)
    hidden = keras.layers.Dense(50, activation="relu")(hidden)
    outputs = {}
    for index in range(num_tasks):
        head = keras.layers.Dense(50, activation="relu")(hidden)
        outputs[f"task_{index}"] = keras.layers.Dense(CLASSES, activation="softmax")(
            head
        )
    return keras.Model(inputs, outputs)


def _stepper(method: Any, num_tasks: int) -> Callable[[], float]:
    """Return a function that runs some compiled steps and returns their seconds."""
    model = MultiTaskModel.from_functional(
        _network(num_tasks),
        [
            tasks.Multiclass(f"task_{index}", CLASSES, metrics=[])
            for index in range(num_tasks)
        ],
        balancing=method,
        optimizer=keras.optimizers.SGD(1e-3),
    )
    rng = np.random.default_rng(0)
    x = {"image": rng.normal(size=(BATCH, SIDE, SIDE, 1)).astype("float32")}
    y = {task.name: rng.integers(0, CLASSES, BATCH) for task in model.tasks}
    dataset = tf.data.Dataset.from_tensors((x, y)).cache().repeat()
    model.fit(dataset, steps_per_epoch=2, verbose=0)
    iterator = iter(dataset)

    def steps() -> float:
        start = time.perf_counter()
        for _ in range(STEPS):
            logs = model.train_function(iterator)
        float(logs["loss"])  # waits for the step
        return time.perf_counter() - start

    return steps


def _extraction(method: GramianAggregator) -> float:
    """Return the milliseconds that weights of one Gramian take."""
    method.build(GRAMIAN_TASKS)
    matrix = np.random.default_rng(0).normal(size=(GRAMIAN_TASKS, 200))
    gramian = tf.constant(matrix @ matrix.T)
    losses = tf.ones(GRAMIAN_TASKS, "float64")
    present = tf.ones(GRAMIAN_TASKS, "bool")
    weigh = tf.function(method.task_weights, autograph=False)
    weigh(gramian, losses, present)
    times = []
    for _ in range(GRAMIAN_CALLS):
        start = time.perf_counter()
        weigh(gramian, losses, present).numpy()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)
