"""The step of MMoE with 16 experts against that of one Dense of as many parameters."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo import heads, tasks, trunks
from mtlzoo._build import build
from mtlzoo.benchmarks.timing import Work, in_turns, spread
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
        "| width of the input | parameters: mmoe | one dense | ratio of the time that "
        "passed | of the processors' |",
        "|---|---|---|---|---|",
    ]
    for width in WIDTHS:
        experts = _experts(width)
        dense = _dense(width, experts.count_params())
        ratios = in_turns(_stepper(experts, width), _stepper(dense, width), ROUNDS)
        lines.append(
            f"| {width} | {experts.count_params()} | {dense.count_params()} | "
            f"{spread(ratios.wall)} | {spread(ratios.processor)} |"
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


def _stepper(model: MultiTaskModel, width: int) -> Work:
    """Return a function that runs some compiled steps."""
    model.compile(keras.optimizers.SGD(0.01))
    rng = np.random.default_rng(0)
    x = {"x": rng.normal(size=(ROWS, width)).astype("float32")}
    y = {name: rng.integers(0, 2, ROWS).astype("float32") for name in ("click", "buy")}
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH, drop_remainder=True)
    batches = list(data)
    step = tf.function(model.train_step, reduce_retracing=True)

    def steps() -> None:
        for index in range(STEPS):
            step(batches[index % len(batches)])

    steps()
    return steps
