"""Four heads on one base, in one pass, against a model with one of them."""

import statistics
import time
from typing import Any

import numpy as np

from mtlzoo import hub

HEADS = (
    "fashion_class.efficientnet_lite0",
    "fashion_group.efficientnet_lite0",
    "mnist_digit.efficientnet_lite0",
    "emoji_category.efficientnet_lite0",
)
ROUNDS, BATCHES, ROWS = 15, 4, 32


def run() -> str:
    """Time both in turns, many times over, and report the median of the ratios."""
    one = hub.load(HEADS[0])
    four = hub.load(HEADS[0])
    for name in HEADS[1:]:
        four = hub.load_head(name, onto=four)
    shape = (ROWS, *one.inputs[0].shape[1:])
    batch = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    ratios = sorted(_ratios(four, one, {one.inputs[0].name: batch}))
    low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4]
    return (
        f"One pass for {len(HEADS)} heads / one pass for one head "
        f"({ROWS} pictures of {shape[1]}x{shape[2]} pixels, {ROUNDS} rounds of "
        f"{BATCHES} batches):\n"
        f"median ratio {statistics.median(ratios):.3f}, "
        f"middle half {low:.3f} to {high:.3f}"
    )


def _ratios(four: Any, one: Any, batch: dict[str, Any]) -> list[float]:
    for model in (four, one):
        model.predict_on_batch(batch)  # traces
    found = []
    for index in range(ROUNDS):
        # Who goes first alternates, so that a drift of the machine cancels out.
        first, second = (four, one) if index % 2 else (one, four)
        times = {id(model): _seconds(model, batch) for model in (first, second)}
        found.append(times[id(four)] / times[id(one)])
    return found


def _seconds(model: Any, batch: dict[str, Any]) -> float:
    start = time.perf_counter()
    for _ in range(BATCHES):
        model.predict_on_batch(batch)
    return time.perf_counter() - start
