"""What pretraining on inputs alone is worth where labels are few."""

from typing import Any

import keras

from mtlzoo import datasets, transfer
from mtlzoo._build import build
from mtlzoo.benchmarks import seeds
from mtlzoo.trunks import CNN

SEEDS = range(5)
LABELS = 300
STEPS = 100
EPOCHS = {"adult": 3, "fashion_mnist": 4}
UNLABELLED = {"adult": 30_000, "fashion_mnist": 5_000}
TRUNKS: dict[str, Any] = {"adult": "tabular", "fashion_mnist": CNN((16, 32, 64))}
METHODS = {
    "random weights": None,
    "`pretrain(corruption=0)`": 0.0,
    "`pretrain(corruption=0.3)`": 0.3,
}


def run() -> str:
    """Fine-tune from random weights and from autoencoders; report the test scores."""
    lines = [
        "# Pretraining on inputs without labels",
        "",
        "`python -m mtlzoo.benchmarks pretraining`",
        "",
        "`shared_bottom`, its trunk trained by `mtlzoo.transfer.pretrain` on inputs "
        f"without labels, then all of it for {STEPS} steps of up to 64 rows on "
        f"{LABELS} labelled ones. Test scores, mean and standard deviation over "
        f"{len(SEEDS)} seeds, each with labelled rows of its own.",
    ]
    for name in EPOCHS:
        lines += ["", *_table(name)]
    return "\n".join(lines)


def _table(name: str) -> list[str]:
    data = datasets.load(name)
    headlines = {task.name: task.headline[0] for task in data.tasks}
    lines = [
        f"`{name}`: {UNLABELLED[name]} rows without labels, {EPOCHS[name]} epochs.",
        "",
        f"| start | {' | '.join(f'{task} {one}' for task, one in headlines.items())} |",
        "|---|" + "---|" * len(headlines),
    ]
    scores: dict[str, list[list[float]]] = {}
    for seed in SEEDS:
        inputs, _ = data.subset(UNLABELLED[name], seed=seed).arrays("train")
        few = data.subset(LABELS, seed=seed).batched(64, shuffle_seed=seed)
        for method, corruption in METHODS.items():
            keras.utils.set_random_seed(seed)
            model = build("shared_bottom", **data.spec, trunk=TRUNKS[name])
            if corruption is not None:
                transfer.pretrain(
                    model,
                    inputs,
                    inputs=data.inputs,
                    corruption=corruption,
                    epochs=EPOCHS[name],
                    batch_size=128,
                    seed=seed,
                    verbose=0,
                )
            model.fit(few.train.repeat().take(STEPS), verbose=0)
            found = model.evaluate(data.batched(1024).test, verbose=0, return_dict=True)
            row = [float(found[f"{task}_{one}"]) for task, one in headlines.items()]
            scores.setdefault(method, []).append(row)
    for method, rows in scores.items():
        cells = map(seeds.cell, zip(*rows, strict=True))
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines
