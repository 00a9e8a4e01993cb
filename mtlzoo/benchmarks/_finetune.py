"""Ways to fine-tune a pretrained trunk on few labels of other classes."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from mtlzoo import datasets, heads, transfer
from mtlzoo._build import build
from mtlzoo.benchmarks import seeds
from mtlzoo.benchmarks._source_target import pair
from mtlzoo.tasks import Binary, Multiclass
from mtlzoo.trunks import ResNet

SEEDS = range(5)
LABELS = 100
SOURCE_ROWS, SOURCE_STEPS, SOURCE_BATCH = 10_000, 400, 64
STEPS, BATCH = 120, 32
RATE = 1e-3

Ways = dict[str, Callable[[Any], tuple[Any, list[Any]]]]
"""From a compiled model on the source's trunk to what is trained, and callbacks."""


def run() -> str:
    """Train on the target in each way; report the accuracy on its test set."""
    title, source, target = pair()
    source = _two_tasks(source.subset(min(SOURCE_ROWS, source.sizes["train"])))
    target = _two_tasks(target)
    scores: dict[str, list[tuple[float, float]]] = {}
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        base = _model(source)
        _train(base, source, SOURCE_STEPS, SOURCE_BATCH, seed)
        few = target.subset(LABELS, seed=seed)
        for name, way in WAYS.items():
            keras.utils.set_random_seed(seed)
            model = _on_base(base, few)
            trained, callbacks = way(model)
            _train(trained, few, STEPS, BATCH, seed, callbacks)
            scores.setdefault(name, []).append(_accuracies(model, few))
    lines = [
        f"# Fine-tuning on {LABELS} labels: {title}",
        "",
        "`python -m mtlzoo.benchmarks finetune`",
        "",
        "A residual network of 8 layers with batch normalisation is trained for "
        f"{SOURCE_STEPS} steps of {SOURCE_BATCH} rows on {source.sizes['train']} "
        f"labelled pictures of the source; its trunk, with new heads for the target's "
        f"two tasks (the class, and whether it is an odd one), then has {STEPS} steps "
        f"of {BATCH} rows on {LABELS} labelled pictures of the target, Adam at "
        f"{RATE:g}. All ways have as many steps, which favours those that move far in "
        "few. Settings are defaults or as the table says, and none was chosen by these "
        f"results. Test accuracy on the target ({target.sizes['test']} pictures), mean "
        f"and standard deviation over {len(SEEDS)} seeds, each with a source model and "
        "labels of its own.",
        "",
        "| way | class | odd | class, less plain fine-tuning of the same seed |",
        "|---|---|---|---|",
    ]
    plain = [found for found, _ in scores["fine-tuned, plain"]]
    for name, rows in scores.items():
        gains = [row[0] - other for row, other in zip(rows, plain, strict=True)]
        cells = map(seeds.cell, (*zip(*rows, strict=True), gains))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _plain(model: Any) -> tuple[Any, list[Any]]:
    return model, []


def _mode(mode: str) -> Callable[[Any], tuple[Any, list[Any]]]:
    return lambda model: (transfer.use_base(model, mode), [])


def _held(*methods: Any) -> Callable[[Any], tuple[Any, list[Any]]]:
    return lambda model: (transfer.regularize(model, *methods), [])


def _frozen_norms(model: Any) -> tuple[Any, list[Any]]:
    transfer.freeze(model, "batch_norm")
    return model, []


def _low_rank(model: Any) -> tuple[Any, list[Any]]:
    transfer.set_trainable(model, "lora:4")
    return model, []


def _by_depth(model: Any) -> tuple[Any, list[Any]]:
    model.compile(transfer.layerwise_learning_rates(model, RATE))
    return model, []


def _gradual(model: Any) -> tuple[Any, list[Any]]:
    return model, [transfer.GradualUnfreeze(every=2)]


WAYS: Ways = {
    'structure: `use_base(model, "structure")`': _mode("structure"),
    'feature: `use_base(model, "feature")`': _mode("feature"),
    "fine-tuned, plain": _plain,
    'fine-tuned, `freeze(model, "batch_norm")`': _frozen_norms,
    'low-rank: `set_trainable(model, "lora:4")`': _low_rank,
    "fine-tuned, `layerwise_learning_rates`": _by_depth,
    "fine-tuned, `GradualUnfreeze(every=2)`": _gradual,
    "fine-tuned, `L2SP()`": _held(transfer.L2SP()),
    "fine-tuned, `DELTA()`": _held(transfer.DELTA()),
    "fine-tuned, `BSS()`": _held(transfer.BSS()),
}


def _two_tasks(data: datasets.Dataset) -> datasets.Dataset:
    """Return the same pictures with the tasks `<name>_class` and `<name>_odd`."""
    task = data.tasks[0]
    splits = {}
    for split in ("train", "validation", "test"):
        x, y = data.arrays(split)
        odd = y[task.name] % 2
        splits[split] = (x, {**y, f"{data.name}_odd": odd.astype("int32")})
    count = int(max(y[task.name].max() for _, y in splits.values())) + 1
    return datasets.Dataset(
        data.name,
        splits,
        inputs=data.inputs,
        tasks=[Multiclass(task.name, count), Binary(f"{data.name}_odd")],
    )


def _model(data: datasets.Dataset) -> Any:
    return build(
        "shared_bottom",
        **data.spec,
        trunk=ResNet(8, width=8),
        head=heads.Tower(()),
        optimizer=keras.optimizers.Adam(RATE),
    )


def _on_base(base: Any, data: datasets.Dataset) -> Any:
    model = _model(data)
    for layer in model.layers:
        if layer.name.startswith("trunk."):
            layer.set_weights(base.get_layer(layer.name).get_weights())
    return model


def _train(
    model: Any, data: Any, steps: int, batch: int, seed: int, callbacks: Any = None
) -> None:
    # Ten epochs, so that callbacks which count them have some.
    rows = data.batched(batch, shuffle_seed=seed).train.repeat()
    model.fit(
        rows,
        epochs=10,
        steps_per_epoch=steps // 10,
        callbacks=callbacks,
        verbose=0,
    )


def _accuracies(model: Any, data: datasets.Dataset) -> tuple[float, float]:
    x, y = data.arrays("test")
    found = model.predict(x, batch_size=1024, verbose=0)
    name, odd = (task.name for task in data.tasks)
    return (
        float(np.mean(found[name].argmax(axis=-1) == y[name])),
        float(np.mean((found[odd][:, 0] > 0.5) == (y[odd] > 0.5).ravel())),
    )
