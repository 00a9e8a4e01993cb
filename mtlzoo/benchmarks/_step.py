"""The step of a MultiTaskModel against that of the same model compiled by hand."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo import tasks
from mtlzoo.benchmarks.timing import in_turns, table
from mtlzoo.model import MultiTaskModel

ROWS, BATCH, ROUNDS, STEPS = 4096, 256, 61, 16


def run() -> str:
    """Time both in turns, many times over, and report the medians of the ratios."""
    ours, by_hand = _stepper(_wrap), _stepper(_by_hand)
    return "\n".join(
        [
            "Training step, MultiTaskModel / keras.Model with dict losses (MLP "
            f"256-128, 3 tasks, batch {BATCH}, {ROUNDS} rounds of {STEPS} steps):",
            "",
            *table(in_turns(ours, by_hand, ROUNDS)),
        ]
    )


def _network() -> keras.Model:
    inputs = keras.Input((64,), name="x")
    hidden = inputs
    for units in (256, 128):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    outputs = {
        "click": keras.layers.Dense(1, activation="sigmoid")(hidden),
        "buy": keras.layers.Dense(1, activation="sigmoid")(hidden),
        "price": keras.layers.Dense(1)(hidden),
    }
    return keras.Model({"x": inputs}, outputs)


def _by_hand(network: keras.Model) -> keras.Model:
    binary = ["binary_crossentropy", "binary_crossentropy"]
    network.compile(
        "adam",
        loss=dict(zip(network.output, [*binary, "mse"], strict=True)),
        weighted_metrics={
            "click": [keras.metrics.AUC(), keras.metrics.BinaryAccuracy()],
            "buy": [keras.metrics.AUC(), keras.metrics.BinaryAccuracy()],
            "price": ["mae", keras.metrics.R2Score()],
        },
        jit_compile=False,
    )
    return network


def _wrap(network: keras.Model) -> keras.Model:
    return MultiTaskModel.from_functional(
        network,
        [tasks.Binary("click"), tasks.Binary("buy"), tasks.Regression("price")],
    )


def _stepper(prepare: Callable[[keras.Model], keras.Model]) -> Callable[[], None]:
    """Return a function that runs some compiled steps."""
    model = prepare(_network())
    rng = np.random.default_rng(0)
    x: dict[str, Any] = {"x": rng.normal(size=(ROWS, 64)).astype("float32")}
    y = {
        "click": rng.integers(0, 2, (ROWS, 1)).astype("float32"),
        "buy": rng.integers(0, 2, (ROWS, 1)).astype("float32"),
        "price": rng.normal(size=(ROWS, 1)).astype("float32"),
    }
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH).cache().repeat()
    model.fit(dataset, steps_per_epoch=2, verbose=0, shuffle=False)
    iterator = iter(dataset)

    def steps() -> None:
        for _ in range(STEPS):
            model.train_function(iterator)

    return steps
