"""From a source with many labels to a target of other classes with few."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mtlzoo import datasets, transfer
from mtlzoo._build import build
from mtlzoo.benchmarks import seeds
from mtlzoo.datasets import Dataset
from mtlzoo.features import Image
from mtlzoo.tasks import Multiclass
from mtlzoo.trunks import CNN

SEEDS = range(5)
ROWS = 10_000
LABELS = (100, 1_000)
SOURCE_STEPS, TARGET_STEPS = 300, 100
BATCH = 64

Method = Callable[[Dataset, Dataset, Any, int], Any]
"""From source, target, a model of the source and a seed to a model of the target."""


def run() -> str:
    """Train on the target in each mode; report the accuracy on its test set."""
    title, source, target = pair()
    source = source.subset(min(ROWS, source.sizes["train"]))
    scores: dict[tuple[str, int], list[float]] = {}
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        base = _model(source)
        _train(base, source, SOURCE_STEPS, seed)
        for labels in LABELS:
            few = target.subset(labels, seed=seed)
            for name, method in METHODS.items():
                keras.utils.set_random_seed(seed)
                model = method(source, few, base, seed)
                scores.setdefault((name, labels), []).append(_accuracy(model, few))
    lines = [
        f"# Source to target: {title}",
        "",
        "`python -m mtlzoo.benchmarks source_target`",
        "",
        f"A model of the source is trained for {SOURCE_STEPS} steps on "
        f"{source.sizes['train']} labelled pictures; each mode then has "
        f"{TARGET_STEPS} steps on as many labels of the target as the column says. "
        f"The joint objective starts anew and has {SOURCE_STEPS} steps on batches half "
        f"of which are of either. {BATCH} rows a batch; three convolutions. Test "
        f"accuracy on the target ({target.sizes['test']} pictures), mean and standard "
        f"deviation over {len(SEEDS)} seeds, each with target labels of its own.",
        "",
        "| mode | " + " | ".join(f"{labels} labels" for labels in LABELS) + " |",
        "|---|" + "---|" * len(LABELS),
    ]
    for name in METHODS:
        cells = [seeds.cell(scores[name, labels]) for labels in LABELS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pair() -> tuple[str, Dataset, Dataset]:
    """Return CIFAR-10 and CIFAR-100 where TFDS has them, else halves of Fashion-MNIST.

    TFDS is asked for what it has prepared, and downloads nothing.
    """
    named = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    folders = [
        sorted(Path(named).glob(f"{name}/*/dataset_info.json"))
        for name in ("cifar10", "cifar100")
    ]
    if all(folders):
        source, target = (_cifar(found[-1].parent) for found in folders)
        return (
            "CIFAR-10 to CIFAR-100",
            _dataset("source", *source),
            _dataset("target", *target),
        )
    garments = datasets.load("fashion_mnist")
    return (
        "five classes of Fashion-MNIST to the other five",
        _dataset("source", *_half(garments, 0)),
        _dataset("target", *_half(garments, 5)),
    )


def _cifar(folder: Path) -> tuple[dict[str, Any], int]:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    rows = {
        split: builder.as_dataset(split=split, batch_size=-1)
        for split in ("train", "test")
    }
    splits = {
        split: (one["image"].numpy(), one["label"].numpy())
        for split, one in rows.items()
    }
    return splits, builder.info.features["label"].num_classes


def _half(garments: Dataset, first: int) -> tuple[dict[str, Any], int]:
    splits = {}
    for split in ("train", "test"):
        x, y = garments.arrays(split)
        chosen = (y["class"] >= first) & (y["class"] < first + 5)
        splits[split] = (x["image"][chosen], y["class"][chosen] - first)
    return splits, 5


def _dataset(name: str, splits: dict[str, Any], classes: int) -> Dataset:
    """Return a data set of one task, `<name>_class`; validation chooses nothing."""
    task = Multiclass(f"{name}_class", classes)
    parts = {
        split: ({"image": images}, {task.name: labels})
        for split, (images, labels) in splits.items()
    }
    parts["validation"] = parts["test"]
    shape = splits["train"][0].shape[1:]
    made = Dataset(name, parts, inputs={"image": Image(shape)}, tasks=[task])
    return made.batched(BATCH)


def _model(data: Any) -> Any:
    trunk = CNN((16, 32, 64), pooling="flatten", units=(64,))
    return build("shared_bottom", **data.spec, trunk=trunk)


def _train(model: Any, data: Any, steps: int, seed: int) -> None:
    data = data.batched(min(BATCH, data.sizes["train"]), shuffle_seed=seed).train
    model.fit(data.repeat().take(steps), verbose=0)


def _structure(source: Dataset, target: Dataset, base: Any, seed: int) -> Any:
    model = _model(target)
    _train(model, target, TARGET_STEPS, seed)
    return model


def _parameter(source: Dataset, target: Dataset, base: Any, seed: int) -> Any:
    model = _from_base(target, base)
    _train(model, target, TARGET_STEPS, seed)
    return model


def _feature(source: Dataset, target: Dataset, base: Any, seed: int) -> Any:
    model = _from_base(target, base)
    transfer.freeze(model)
    _train(model, target, TARGET_STEPS, seed)
    return model


def _joint(source: Dataset, target: Dataset, base: Any, seed: int) -> Any:
    stream = datasets.joint(
        source, target, batch_size=BATCH, steps_per_epoch=SOURCE_STEPS, seed=seed
    )
    model = _model(stream)
    model.fit(stream.train, verbose=0)
    return model


METHODS: dict[str, Method] = {
    "structure: the same network, random weights": _structure,
    "feature: the source's trunk, frozen": _feature,
    "parameter: the source's trunk, fine-tuned": _parameter,
    "joint: `datasets.joint`, source and target at once": _joint,
}


def _from_base(target: Dataset, base: Any) -> Any:
    model = _model(target)
    for layer in model.layers:
        if layer.name.startswith("trunk."):
            layer.set_weights(base.get_layer(layer.name).get_weights())
    return model


def _accuracy(model: Any, target: Dataset) -> float:
    x, y = target.arrays("test")
    found = model.predict(x, batch_size=1024, verbose=0)["target_class"]
    return float(np.mean(found.argmax(axis=-1) == y["target_class"]))
