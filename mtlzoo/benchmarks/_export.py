"""What the signatures of an export cost, run as the server runs them."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo import tasks
from mtlzoo.export._load import quiet
from mtlzoo.export._offer import EXAMPLES, ROWS, Offer
from mtlzoo.model import MultiTaskModel

INPUTS, BATCH, ROUNDS, RUNS = 64, 256, 15, 10
ALIASES = ("classify_click", "classify_buy", "regress_price")


def run() -> str:
    """Time pairs in turns, many times over, and report the medians of the ratios."""
    shared = _ratio(
        _shared_trunk(), EXAMPLES, ALIASES, ALIASES[:1], "three heads by MultiInference"
    )
    light = _ratio(
        _light_beside_heavy(),
        ROWS,
        ["task_light"],
        ["serving_default"],
        "`task_light`",
    )
    weights = _stored(_shared_trunk())
    return (
        f"Exports in one session, batch {BATCH}, {ROUNDS} rounds of {RUNS} runs.\n\n"
        "| what | beside | ratio of times, median (middle half) |\n|---|---|---|\n"
        f"| {shared[0]} | one head, shared trunk | {shared[1]} |\n"
        f"| {light[0]} | `serving_default`, heavy other tower | {light[1]} |\n\n"
        f"Bytes of the stored variables / those of the weights: {weights:.3f}"
    )


def _ratio(
    model: keras.Model,
    form: str,
    first: Sequence[str],
    second: Sequence[str],
    label: str,
) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "1")
        offer = Offer(model)
        offer.write(path)
        rows = np.random.default_rng(0).normal(size=(BATCH, INPUTS))
        inputs = offer.inputs({"x": rows.astype("float32")})[form]
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            with quiet():
                loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(path))
            timers = [
                _timer(session, loaded.signature_def, names, inputs)
                for names in (first, second)
            ]
            ratios = sorted(_ratios(*timers))
    low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4]
    return label, f"{statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"


def _timer(
    session: Any, signatures: Any, names: Sequence[str], inputs: dict[str, Any]
) -> Callable[[], float]:
    """Return a function that runs the union of some signatures' outputs."""
    fetches = sorted(
        {one.name for name in names for one in signatures[name].outputs.values()}
    )
    feeds = signatures[names[0]].inputs
    call = session.make_callable(fetches, [feeds[name].name for name in inputs])
    call(*inputs.values())

    def seconds() -> float:
        start = time.perf_counter()
        for _ in range(RUNS):
            call(*inputs.values())
        return time.perf_counter() - start

    return seconds


def _ratios(first: Callable[[], float], second: Callable[[], float]) -> list[float]:
    found = []
    for index in range(ROUNDS):
        # Who goes first alternates, so that a drift of the machine cancels out.
        order = (first, second) if index % 2 else (second, first)
        times = {one: one() for one in order}
        found.append(times[first] / times[second])
    return found


def _stored(model: keras.Model) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "1")
        Offer(model).write(path)
        files = (path / "variables").iterdir()
        return sum(one.stat().st_size for one in files) / (4 * model.count_params())


def _tower(tensor: Any, *units: int) -> Any:
    for width in units:
        tensor = keras.layers.Dense(width, activation="relu")(tensor)
    return tensor


def _shared_trunk() -> keras.Model:
    inputs = keras.Input((INPUTS,), name="x")
    trunk = _tower(inputs, 1024, 1024, 1024)
    outputs = {
        "click": keras.layers.Dense(1, activation="sigmoid")(_tower(trunk, 64)),
        "buy": keras.layers.Dense(1, activation="sigmoid")(_tower(trunk, 64)),
        "price": keras.layers.Dense(1)(_tower(trunk, 64)),
    }
    return MultiTaskModel.from_functional(
        keras.Model({"x": inputs}, outputs),
        [tasks.Binary("click"), tasks.Binary("buy"), tasks.Regression("price")],
    )


def _light_beside_heavy() -> keras.Model:
    inputs = keras.Input((INPUTS,), name="x")
    outputs = {
        "light": keras.layers.Dense(1)(inputs),
        "heavy": keras.layers.Dense(1)(_tower(inputs, 1024, 1024, 1024)),
    }
    return keras.Model({"x": inputs}, outputs)
