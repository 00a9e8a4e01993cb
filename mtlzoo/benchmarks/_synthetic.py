"""Hard sharing, one gate, several gates and levels on the data of Ma et al. 2018."""

import functools
from typing import Any

import click
import keras
import numpy as np

from mtlzoo import datasets, heads, trunks
from mtlzoo._build import build
from mtlzoo.benchmarks import seeds

CORRELATIONS = (0.5, 0.9, 1.0)
SEEDS = range(5)
EPOCHS, BATCH, LEARNING_RATE = 30, 480, 0.003
REFERENCE = ("mmoe", 16)
"""The model whose number of parameters the others match: 8 experts of 16 units."""

METHODS: dict[str, Any] = {
    "shared_bottom": lambda units: {"trunk": trunks.MLP((units,))},
    "omoe": lambda units: {"expert_units": (units,)},
    "mmoe": lambda units: {"expert_units": (units,)},
    "cgc": lambda units: {"expert_units": (units,), "num_shared_experts": 4},
    "ple": lambda units: {"expert_units": (units,), "num_task_experts": 1},
}
"""The options of each method that give its layers a width."""


def run() -> str:
    """Train each with five seeds; report the error on the test set, mean and spread.

    The error is the mean squared one over the variance of the labels, averaged over the
    two tasks. Each seed has data of its own, the same for all methods.
    """
    example = datasets.load("synthetic", num_samples=200)
    parameters = _model(REFERENCE[0], example, REFERENCE[1]).count_params()
    widths = {name: _width(name, example, parameters) for name in METHODS}
    lines = [
        "Error on the test set: mean squared error / variance of the labels, averaged "
        f"over both tasks; mean ± standard deviation over {len(SEEDS)} seeds, which "
        f"draw the data too. At most {EPOCHS} epochs, stopped early by the validation "
        "set; p is the cosine between the weight vectors of the two tasks.",
        "",
        "| method | width | parameters | "
        + " | ".join(f"p = {p:g}" for p in CORRELATIONS)
        + " |",
        "|---|---|---|" + "---|" * len(CORRELATIONS),
    ]
    for name, width in widths.items():
        count = _model(name, example, width).count_params()
        cells = [_cell(name, width, p) for p in CORRELATIONS]
        lines.append(f"| {name} | {width} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _model(name: str, dataset: Any, units: int) -> Any:
    return build(
        name,
        **dataset.spec,
        head=heads.Tower((8,)),
        optimizer=_optimizer(),
        **METHODS[name](units),
    )


def _optimizer() -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(LEARNING_RATE)


def _width(name: str, dataset: Any, parameters: int) -> int:
    """Return the width with which a method has about as many parameters."""
    low, high = 1, 512
    while low < high:
        middle = (low + high) // 2
        if _model(name, dataset, middle).count_params() < parameters:
            low = middle + 1
        else:
            high = middle
    return low


def _cell(name: str, width: int, correlation: float) -> str:
    errors = [error(name, width, correlation, seed) for seed in SEEDS]
    cell = seeds.cell(errors, ".4f")
    click.echo(f"{name}, p = {correlation:g}: {cell}", err=True)
    return cell


def error(name: str, width: int, correlation: float, seed: int) -> float:
    """Train a method once, and return its error on the test set."""
    dataset = datasets.load("synthetic", correlation=correlation, seed=seed)
    model = _compiled(name, width)
    keras.utils.set_random_seed(seed)
    _start_afresh(model, _model(name, dataset, width))
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    # Arrays: of rows as small as these, a pipeline would take most of the time.
    model.fit(
        *dataset.arrays("train"),
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=dataset.arrays("validation"),
        callbacks=[stop],
        verbose=0,
    )
    x, y = dataset.arrays("test")
    errors = [
        np.mean((np.ravel(found) - np.ravel(y[task])) ** 2) / np.var(y[task])
        for task, found in model.predict(x, batch_size=BATCH, verbose=0).items()
    ]
    return float(np.mean(errors))


@functools.cache
def _compiled(name: str, width: int) -> Any:
    """Return the one model of a method, whose step is traced once for all runs."""
    model = _model(name, datasets.load("synthetic", num_samples=200), width)
    # An epoch a call: of steps as small as these, calls would take most of the time.
    model.compile(_optimizer(), steps_per_execution=20)
    return model


def _start_afresh(model: Any, other: Any) -> None:
    """Give `model` the weights and the optimizer's state of `other`."""
    model.set_weights(other.get_weights())
    for old, new in zip(
        model.optimizer.variables, other.optimizer.variables, strict=True
    ):
        old.assign(new)
