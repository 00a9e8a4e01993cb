"""Hard sharing, one gate, several gates and levels on the data of Ma et al. 2018."""

import statistics
from typing import Any

import click
import keras
import numpy as np

from mtlzoo import datasets, heads, trunks
from mtlzoo._build import build

CORRELATIONS = (0.5, 0.9, 1.0)
SEEDS = range(5)
EPOCHS, BATCH = 40, 128
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
    return build(name, **dataset.spec, head=heads.Tower((8,)), **METHODS[name](units))


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
    errors = [_error(name, width, correlation, seed) for seed in SEEDS]
    cell = f"{statistics.mean(errors):.4f} ± {statistics.stdev(errors):.4f}"
    click.echo(f"{name}, p = {correlation:g}: {cell}", err=True)
    return cell


def _error(name: str, width: int, correlation: float, seed: int) -> float:
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    dataset = datasets.load(
        "synthetic", batch_size=BATCH, correlation=correlation, seed=seed
    )
    model = _model(name, dataset, width)
    model.compile(steps_per_execution=25)  # the same steps, with fewer calls
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    model.fit(
        dataset.train,
        epochs=EPOCHS,
        validation_data=dataset.validation,
        callbacks=[stop],
        verbose=0,
    )
    x, y = dataset.arrays("test")
    errors = [
        np.mean((np.ravel(found) - np.ravel(y[task])) ** 2) / np.var(y[task])
        for task, found in model.predict(x, batch_size=2048, verbose=0).items()
    ]
    return float(np.mean(errors))
