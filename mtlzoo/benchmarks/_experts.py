"""The step of MMoE with 16 experts against that of one Dense of as many parameters."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo import heads, tasks, trunks
from mtlzoo._build import build
from mtlzoo.model import MultiTaskModel

EXPERTS, UNITS = 16, 64
ROWS, BATCH, ROUNDS, STEPS = 4096, 256, 11, 48
WIDTHS = (64, 256, 1024)


def run() -> str:
    """Time both in turns, for inputs of several widths; report the ratios."""
    lines = [
        f"Training step of mmoe ({EXPERTS} experts of {UNITS} units, 2 tasks, batch "
        f"{BATCH}), over that of one dense layer of as many parameters; median and "
        f"middle half of {ROUNDS} rounds of {STEPS} steps:",
        "",
        "| width of the input | parameters: mmoe | one dense | ratio | middle half |",
        "|---|---|---|---|---|",
    ]
    for width in WIDTHS:
        experts = _experts(width)
        dense = _dense(width, experts.count_params())
        ratios = sorted(_ratios(_stepper(experts, width), _stepper(dense, width)))
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        lines.append(
            f"| {width} | {experts.count_params()} | {dense.count_params()} | "
            f"{statistics.median(ratios):.2f} | {low:.2f} to {high:.2f} |"
        )
    return "\n".join(lines)


def _experts(width: int) -> MultiTaskModel:
    return _model("mmoe", width, num_experts=EXPERTS, expert_units=(UNITS,))


def _dense(width: int, parameters: int) -> MultiTaskModel:
    # Each unit has `width` weights and a bias, and is read by two linear heads.
    units = round((parameters - 2) / (width + 3))
    return _model("shared_bottom", width, trunk=trunks.MLP((units,)))


def _model(name: str, width: int, **options: Any) -> MultiTaskModel:
    return build(
        name,
        inputs={"x": (width,)},
        tasks=[tasks.Binary("click", metrics=[]), tasks.Binary("buy", metrics=[])],
        head=heads.Tower(()),
        **options,
    )


def _ratios(first: Callable[[], float], second: Callable[[], float]) -> list[float]:
    found = []
    for index in range(ROUNDS):
        # Who goes first alternates, so that a drift of the machine cancels out.
        order = (first, second) if index % 2 else (second, first)
        times = {one: one() for one in order}
        found.append(times[first] / times[second])
    return found


def _stepper(model: MultiTaskModel, width: int) -> Callable[[], float]:
    """Return a function that runs some compiled steps and returns their seconds."""
    model.compile(keras.optimizers.SGD(0.01))
    rng = np.random.default_rng(0)
    x = {"x": rng.normal(size=(ROWS, width)).astype("float32")}
    y = {name: rng.integers(0, 2, ROWS).astype("float32") for name in ("click", "buy")}
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH, drop_remainder=True)
    batches = list(data)
    step = tf.function(model.train_step, reduce_retracing=True)

    def steps() -> float:
        start = time.perf_counter()
        for index in range(STEPS):
            step(batches[index % len(batches)])
        return time.perf_counter() - start

    steps()
    return steps
