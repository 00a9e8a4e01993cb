"""Two domains of one task, and small models for them."""

import numpy as np

import mtlzoo
from mtlzoo import heads, tasks, trunks
from mtlzoo.datasets import Dataset, interleave

STREAM = {
    "sampling": "alternate",
    "batches": "mixed",
    "batch_size": 16,
    "unlabelled": ["target"],
}


def domain(rows=48, shift=0.0, seed=0):
    random = np.random.default_rng(seed)
    x = {"age": (random.normal(size=(rows, 4)) + shift).astype("float32")}
    y = {
        "click": (x["age"][:, 0] > shift).astype("float32"),
        "buy": (x["age"][:, 1] > shift).astype("float32"),
    }
    return Dataset(
        f"shifted by {shift}",
        dict.fromkeys(["train", "validation", "test"], (x, y)),
        inputs={"age": (4,)},
        tasks=[tasks.Binary("click"), tasks.Binary("buy")],
    )


def stream(shift=2.0, **options):
    sets = {"source": domain(), "target": domain(shift=shift, seed=1)}
    return interleave(sets, **{**STREAM, **options})


def small_model(made, architecture="shared_bottom", **options):
    options = {"trunk": trunks.MLP((8, 4)), "head": heads.Tower(()), **options}
    return mtlzoo.build(architecture, **made.spec, **options)
