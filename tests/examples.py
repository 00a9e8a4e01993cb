"""Tiny inputs, labels and models that many tests share."""

import numpy as np

import mtlzoo
from mtlzoo import features, tasks, trunks

ROWS = 16
WORDS = ["good", "bad", "film"]

INPUTS = {
    "vector": {"a": (4,), "b": (3,)},
    "table": {
        "age": features.Numeric(mean=40.0, variance=100.0),
        "job": features.Categorical(["clerk", "nurse"]),
        "code": features.Categorical([10, 20]),
        "day": features.Date(mean=1.7e9, variance=1e14),
        "review": features.Text(WORDS, length=5, dimension=4),
    },
    "sequence": {"series": (12, 8)},
    "text": {"review": features.Text(WORDS, length=5, dimension=8)},
    "image": {"photo": (16, 16, 3)},
    "mixed": {
        "photo": (16, 16, 3),
        "review": features.Text(WORDS, length=5, dimension=8),
        "age": (),
    },
}

TRUNKS = {
    "mlp": ("vector", lambda: trunks.MLP((8, 6))),
    "tabular": ("table", lambda: trunks.Tabular((8, 6))),
    "cnn": ("image", lambda: trunks.CNN((4, 6))),
    "resnet": ("image", lambda: trunks.ResNet(8, width=4)),
    "efficientnet_lite0": ("image", lambda: trunks.EfficientNetLite0()),
    "pretrained": (
        "image",
        lambda: trunks.Pretrained(trunks.CNN((4, 6)), weights=None),
    ),
    "rnn": ("text", lambda: trunks.RNN((6,), bidirectional=True)),
    "transformer": (
        "sequence",
        lambda: trunks.Transformer(2, width=8, num_heads=2, feedforward=8, dropout=0.0),
    ),
    "multimodal": (
        "mixed",
        lambda: trunks.Multimodal({"photo": trunks.CNN((4,))}, units=(8,)),
    ),
}
"""Every registered trunk: the example inputs it takes, and a tiny one."""

TASKS = {
    "binary": lambda name: tasks.Binary(name),
    "multiclass": lambda name: tasks.Multiclass(name, 3),
    "multilabel": lambda name: tasks.MultiLabel(name, 3),
    "regression": lambda name: tasks.Regression(name, mean=5.0, variance=4.0),
    "ordinal": lambda name: tasks.Ordinal(name, 4),
    "count": lambda name: tasks.Count(name),
    "sequence_tagging": lambda name: tasks.SequenceTagging(name, 3),
    "dense": lambda name: tasks.Dense(name, 3),
}
"""Every registered kind of task."""


def raw_inputs(kind, rows=ROWS, seed=0):
    """Return raw values for one of `INPUTS`."""
    rng = np.random.default_rng(seed)
    values = {}
    for name, feature in INPUTS[kind].items():
        feature = features.as_feature(name, feature)
        if name in ("job", "code"):
            values[name] = rng.choice(
                [*feature.vocabulary, feature.vocabulary[0]], rows
            )
        elif name == "review":
            values[name] = np.array(
                [" ".join(rng.choice([*WORDS, "new"], 3)) for _ in range(rows)]
            )
        elif name == "day":
            values[name] = rng.integers(1_600_000_000, 1_800_000_000, rows)
        else:
            shape = (rows, *(size or 5 for size in feature.input_shape))
            values[name] = rng.normal(size=shape).astype("float32")
    return values


def labels(task, rows=ROWS, seed=0, steps=12, size=(16, 16)):
    """Return labels that fit `task`."""
    rng = np.random.default_rng(seed)
    count = getattr(task, "num_classes", 2)
    if isinstance(task, tasks.Binary | tasks.Multiclass | tasks.Ordinal):
        return rng.integers(0, count, rows)
    if isinstance(task, tasks.MultiLabel):
        return rng.integers(0, 2, (rows, task.units))
    if isinstance(task, tasks.Regression):
        return rng.normal(5.0, 2.0, (rows, *task.shape))
    if isinstance(task, tasks.Count):
        return rng.poisson(2.0, rows)
    if isinstance(task, tasks.SequenceTagging):
        return rng.integers(0, count, (rows, steps))
    return rng.integers(0, count, (rows, *size))


def two_task_model(**options):
    """Return a small model of two binary tasks on vectors."""
    options = {
        "inputs": INPUTS["vector"],
        "tasks": [tasks.Binary("click"), tasks.Binary("buy")],
        "trunk": trunks.MLP((8,)),
        **options,
    }
    return mtlzoo.build(options.pop("architecture", "shared_bottom"), **options)


def two_task_data(rows=ROWS, seed=0):
    """Return inputs and labels for `two_task_model`."""
    x = raw_inputs("vector", rows, seed)
    click = (x["a"][:, 0] > 0).astype("float32")
    return x, {"click": click, "buy": click * (x["b"][:, 0] > 0)}
