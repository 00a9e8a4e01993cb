"""Two real domains of digits: what labels of the one are worth on the other."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from mtlzoo import datasets, transfer
from mtlzoo._build import build
from mtlzoo.benchmarks import seeds
from mtlzoo.features import Image

SEEDS = range(5)
STEPS = 300
BATCH = 128


def run() -> str:
    """Train with labels of MNIST alone; report the accuracy on scikit-learn's digits.

    No label of the target is used to train but in the last row. Weights and numbers of
    steps were set beforehand, with one exception: `DANN` got its scaled features and
    its smaller weight after a run in which it had collapsed.
    """
    source, target = datasets.load("mnist_5k", batch_size=BATCH), digits()
    scores: dict[str, list[tuple[float, ...]]] = {}
    for seed in SEEDS:
        model: Any = None
        for name, method in METHODS.items():
            keras.utils.set_random_seed(seed)
            model = method(source, target, seed) if method else _anew(model, target)
            found = (
                _accuracy(model, target, "digit"),
                _accuracy(model, target, "odd"),
                _accuracy(model, source, "digit"),
            )
            scores.setdefault(name, []).append(found)
    lines = [
        "# Domain shift: from MNIST to scikit-learn's digits",
        "",
        "`python -m mtlzoo.benchmarks domains`",
        "",
        f"Source: `mnist_5k`, {source.sizes['train']} labelled training pictures. "
        f"Target: `sklearn.datasets.load_digits`, other writers and 8x8 pixels, "
        f"enlarged to 28x28; {target.sizes['train']} training pictures whose labels "
        f"are not used, {target.sizes['test']} test pictures. One network for the "
        f"tasks `digit` and `odd`: three convolutions with batch normalisation, "
        f"{STEPS} steps of {BATCH} rows, half of them of the target where a model is "
        "adapted. Labels of the target chose nothing, except that `DANN` got its "
        "scaled features and smaller weight after a run in which it had collapsed. "
        f"Test accuracy, mean and standard deviation over {len(SEEDS)} seeds.",
        "",
        "| method | digit, target | odd, target | digit, source |",
        "|---|---|---|---|",
    ]
    for name, rows in scores.items():
        cells = map(seeds.cell, zip(*rows, strict=True))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def digits() -> datasets.Dataset:
    """Return scikit-learn's digits as pictures of MNIST's size, with the same tasks."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    pictures = keras.ops.image.resize(
        pictures.reshape(-1, 8, 8, 1).astype("float32") * (255 / 16), (28, 28)
    )
    source = datasets.load("mnist_5k")
    return datasets.from_frame(
        {
            "image": np.clip(pictures, 0, 255).astype("uint8"),
            "digit": labels,
            "odd": labels % 2,
        },
        tasks=source.tasks,
        inputs={"image": Image((28, 28, 1))},
        split=(0.5, 0.1, 0.4),
        name="digits",
    ).batched(BATCH)


def _model(source: Any) -> Any:
    layers = [keras.Input((28, 28, 1))]
    for filters in (16, 32, 64):
        layers += [
            keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(64, activation="relu")]
    return build("shared_bottom", **source.spec, trunk=keras.Sequential(layers))


def _train(model: Any, data: Any) -> None:
    model.fit(data.repeat().take(STEPS), verbose=0)


def _labelled(name: str) -> Callable[[Any, Any, int], Any]:
    def train(source: Any, target: Any, seed: int) -> Any:
        model = _model(source)
        data = {"source": source, "target": target}[name]
        _train(model, data.batched(BATCH, shuffle_seed=seed).train)
        return model

    return train


def _anew(model: Any, target: Any) -> Any:
    """Return the model of the row before, by the statistics of the target."""
    x, _ = target.arrays("train")
    transfer.reestimate_batch_norm(model, x)
    return model


def _aligned(method: Callable[[], Any]) -> Callable[[Any, Any, int], Any]:
    def train(source: Any, target: Any, seed: int) -> Any:
        stream = datasets.interleave(
            {"source": source, "target": target},
            sampling="alternate",
            batches="mixed",
            unlabelled=["target"],
            batch_size=BATCH,
            steps_per_epoch=STEPS,
            seed=seed,
        )
        model = _model(source)
        transfer.adapt(model, method()).fit(stream.train, verbose=0)
        return model

    return train


METHODS: dict[str, Callable[[Any, Any, int], Any] | None] = {
    "source only": _labelled("source"),
    "the same, then `reestimate_batch_norm`": None,
    "`adapt` with `MMD()`": _aligned(transfer.MMD),
    "`adapt` with `CORAL(weight=10)`": _aligned(lambda: transfer.CORAL(weight=10.0)),
    "`adapt` with `DANN(steps=...)`": _aligned(lambda: transfer.DANN(steps=STEPS)),
    "labels of the target (upper bound)": _labelled("target"),
}


def _accuracy(model: Any, data: Any, task: str) -> float:
    x, y = data.arrays("test")
    found = model.predict(x, batch_size=1024, verbose=0)[task]
    answers = found.argmax(axis=-1) if found.shape[-1] > 1 else found[:, 0] > 0.5
    return float(np.mean(answers == y[task].ravel()))
