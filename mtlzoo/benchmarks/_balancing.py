"""What balancing costs: the step of each method against the plain summed loss.

The model is the LeNet of the MGDA paper (Sener and Koltun, *Multi-Task Learning as
Multi-Objective Optimization*, NeurIPS 2018) with one head a task, layer by layer that
of the authors' code but for its dropout, which doesn't scale what it keeps. Where
PyTorch and TorchJD are installed, the same is measured with them, in turns with ours.
Times are of the processor, so that what else runs on the machine counts little; set
`TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1` for them to be those of one thread.
Environment variables choose a part: `TASKS=2,10`, `METHODS=mgda,uncertainty` and
`ROUNDS=5`.
"""

import importlib.metadata
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import click
import keras
import numpy as np
import tensorflow as tf

from mtlzoo import balancing, tasks
from mtlzoo._registry import BALANCING
from mtlzoo.balancing import Aggregator, GramianAggregator
from mtlzoo.model import MultiTaskModel

TASKS = [int(one) for one in os.environ.get("TASKS", "2,10,40").split(",")]
METHODS = [one for one in os.environ.get("METHODS", "").split(",") if one]
ROUNDS = int(os.environ.get("ROUNDS", "5"))
BATCH, SIDE, CLASSES = 256, 36, 10
GRAMIAN_TASKS, GRAMIAN_CALLS = 40, 50
TARGETS = {
    None: {2: 1.05, 10: 1.05, 40: 1.05},
    "representation": {2: 1.3, 10: 1.3, 40: 1.3},
    "parameters": {2: 1.5, 10: 5.0},
}
"""The ratios that we want, by gradient mode and number of tasks."""
EXTRACTION_TARGET, SLOW_EXTRACTION_TARGET = 1.0, 3.0  # in milliseconds

_Stepper = Callable[[], float]
clock = time.process_time


def run() -> str:
    """Time every method in both gradient modes, and the weights of a Gramian."""
    names = METHODS or BALANCING.list()
    other = _torchjd()
    pairs = [(name, mode) for name in names for mode in _modes(name)]
    cells: dict[tuple[str, str | None], list[str]] = {pair: [] for pair in pairs}
    plain_cells = []
    for count in TASKS:
        images, labels = _data(count)
        plain = _stepper(None, count, images, labels)
        net = other and other.LeNet(count, images, labels, CLASSES, clock)
        baseline = net and net.stepper(None)
        shown = _milliseconds(plain)
        plain_cells.append(f"{shown} ({_milliseconds(baseline)})" if net else shown)
        for name, mode in pairs:
            ours = _stepper(_made(name, mode), count, images, labels)
            target = TARGETS[mode].get(count, float("inf"))
            shown = _show(_ratio(plain, ours), target)
            theirs = net and mode != "representation" and net.stepper(name)
            if theirs:
                shown += f" ({_ratio(baseline, theirs):.2f})"
            click.echo(f"{count} tasks: {name} {mode or ''} {shown}", err=True)
            cells[name, mode].append(shown)
            keras.backend.clear_session()
    lines = [
        _heading(other),
        "",
        f"| method | gradients | {' | '.join(f'{one} tasks' for one in TASKS)} |",
        f"|---|---|{'---:|' * len(TASKS)}",
        f"| *plain step, in ms* | none | {' | '.join(plain_cells)} |",
    ]
    lines += [
        f"| {name} | {mode or 'none'} | {' | '.join(cells[name, mode])} |"
        for name, mode in pairs
    ]
    return "\n".join([*lines, "", *_extractions(names, other)])


def _heading(other: Any) -> str:
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS", "all")
    text = (
        f"LeNet, {SIDE}x{SIDE}x1, batch {BATCH}: processor time of a step over that of "
        "the plain summed loss, beside which it ran; the median of "
        f"{ROUNDS} rounds. **Bold** is above what we want. TensorFlow {tf.__version__}"
        f", threads: {threads}, of {os.cpu_count()} cores."
    )
    if other:
        versions = [importlib.metadata.version(one) for one in ("torchjd", "torch")]
        text += (
            f" In brackets: the same of TorchJD {versions[0]} over the plain step of "
            f"PyTorch {versions[1]}, one thread."
        )
    return text


def _extractions(names: list[str], other: Any) -> list[str]:
    """Return the table of what weights from a Gramian take."""
    matrix = np.random.default_rng(0).normal(size=(GRAMIAN_TASKS, 200))
    gramian = (matrix @ matrix.T).astype("float32")
    lines = [
        f"Weights from the Gramian of {GRAMIAN_TASKS} random gradients in 200 "
        f"dimensions: the least of {GRAMIAN_CALLS} calls, in milliseconds.",
        "",
        "| method | mtlzoo | TorchJD |" if other else "| method | mtlzoo |",
        "|---|---:|---:|" if other else "|---|---:|",
    ]
    for name in names:
        method = balancing.get(name)
        if not isinstance(method, GramianAggregator):
            continue
        slow = name in ("gradvac", "pcgrad")
        target = SLOW_EXTRACTION_TARGET if slow else EXTRACTION_TARGET
        line = f"| {name} | {_show(1000 * _extraction(method, gramian), target)} |"
        if other:
            seconds = other.extraction(name, gramian, GRAMIAN_CALLS, clock)
            line += " none |" if seconds is None else f" {1000 * seconds:.2f} |"
        lines.append(line)
    return lines


def _show(value: float, target: float) -> str:
    return f"**{value:.2f}**" if value > target else f"{value:.2f}"


def _torchjd() -> Any:
    """Return what measures TorchJD, or `None` where it is not installed."""
    if importlib.util.find_spec("torchjd") is None:
        return None
    return importlib.import_module("mtlzoo.benchmarks.others._torchjd")


def _modes(name: str) -> list[str | None]:
    method = balancing.get(name)
    return list(method.modes) if isinstance(method, Aggregator) else [None]


def _made(name: str, mode: str | None) -> Any:
    return BALANCING.get(name)(**({"gradients": mode} if mode else {}))


def _ratio(plain: _Stepper, other: _Stepper) -> float:
    found = []
    for index in range(ROUNDS):
        # Who goes first alternates, so that a drift of the machine cancels out.
        first, second = (plain, other) if index % 2 else (other, plain)
        times = {first: first(), second: second()}
        found.append(times[other] / times[plain])
    return statistics.median(found)


def _milliseconds(step: _Stepper) -> str:
    return f"{1000 * statistics.median(step() for _ in range(ROUNDS)):.1f}"


def _data(num_tasks: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(BATCH, SIDE, SIDE, 1)).astype("float32")
    return images, rng.integers(0, CLASSES, (num_tasks, BATCH))


def _network(num_tasks: int) -> keras.Model:
    layers = keras.layers
    inputs = layers.Input((SIDE, SIDE, 1), name="image")
    hidden = layers.Conv2D(10, 5)(inputs)
    hidden = layers.ReLU()(layers.MaxPooling2D()(hidden))
    hidden = layers.Conv2D(20, 5)(hidden)
    hidden = layers.Dropout(0.5, noise_shape=(1, 1, 1, 20))(hidden)  # one for the batch
    hidden = layers.ReLU()(layers.MaxPooling2D()(hidden))
    hidden = layers.Dense(50, activation="relu")(layers.Flatten()(hidden))
    outputs = {}
    for index in range(num_tasks):
        head = layers.Dense(50, activation="relu")(hidden)
        head = layers.Dropout(0.5)(head)
        outputs[f"task_{index}"] = layers.Dense(CLASSES, activation="softmax")(head)
    return keras.Model(inputs, outputs)


def _stepper(method: Any, num_tasks: int, images: Any, labels: Any) -> _Stepper:
    """Return a function that makes a compiled step and returns its seconds."""
    model = MultiTaskModel.from_functional(
        _network(num_tasks),
        [
            tasks.Multiclass(f"task_{index}", CLASSES, metrics=[])
            for index in range(num_tasks)
        ],
        balancing=method,
        optimizer=keras.optimizers.SGD(1e-3),
    )
    y = {task.name: one for task, one in zip(model.tasks, labels, strict=True)}
    batch = tf.data.Dataset.from_tensors(({"image": images}, y)).cache().repeat()
    model.fit(batch, steps_per_epoch=2, verbose=0)
    iterator = iter(batch)

    def step() -> float:
        start = clock()
        logs = model.train_function(iterator)
        float(logs["loss"])  # waits for the step
        return clock() - start

    return step


def _extraction(method: GramianAggregator, gramian: Any) -> float:
    """Return the seconds that weights of one Gramian take."""
    method.build(GRAMIAN_TASKS)
    losses = tf.ones(GRAMIAN_TASKS)
    present = tf.ones(GRAMIAN_TASKS, "bool")
    weigh = tf.function(method.task_weights, autograph=False)
    weigh(tf.constant(gramian), losses, present)
    times = []
    for _ in range(GRAMIAN_CALLS):
        start = clock()
        weigh(tf.constant(gramian), losses, present).numpy()
        times.append(clock() - start)
    return min(times)
