"""What a pretrained base is worth, by what of it is trained and by how many labels.

Takes about 45 minutes of one processor core. What was measured is kept in the working
folder, so that the same command goes on where it was stopped.
"""

import json
import os
import statistics
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from mtlzoo import datasets, heads, transfer
from mtlzoo._build import build
from mtlzoo.benchmarks import seeds
from mtlzoo.datasets import Dataset
from mtlzoo.trunks import Pretrained

BASE, SIZE = "efficientnet_lite0.imagenet", 64
DATA: dict[str, tuple[list[str], dict[str, Any]]] = {
    # One picture in ten, of each split: as many as the steps come to.
    "fashion_mnist": (["class", "group"], {"every": 10}),
    "emoji": (["category", "skin_tone"], {}),
}
"""The tasks and the options of each data set."""
SEEDS = range(5)
STEPS = {1: 50, 10: 100, 100: 300}
"""Of training, by the percentage of the labels."""
BATCH = 32
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
CHOICE_PERCENT, CHOICE_SEED = 10, len(SEEDS)
"""At which the rate of a row is chosen, on validation."""
PICTURES = 1024
"""That batch normalisations take their statistics from, without labels."""
KEPT = Path("transfer_cells.json")

ROWS: dict[str, tuple[str, ...]] = {
    "pretrained, frozen": ("feature",),
    "pretrained, fine-tuned": ("parameter",),
    "random, all trained (structure only)": ("structure",),
    "random, frozen": ("structure", "feature"),
}
"""The modes of `transfer.use_base` that make each, one after the other."""


def run() -> str:
    """Train each row of the table on each share of the labels; report test scores."""
    cells = len(RATES) + len(STEPS) * len(SEEDS)
    with _bar(len(DATA) * len(ROWS) * cells) as bar:
        kept = _Kept(KEPT, bar)
        tables = [_tables(name, kept) for name in DATA]
    steps = ", ".join(f"{steps} at {share} %" for share, steps in STEPS.items())
    lines = [
        f"# Transfer from `{BASE}`",
        "",
        "`MTLZOO_EMOJI=emoji-datasource-twitter-16.0.0.tgz python -m "
        "mtlzoo.benchmarks transfer`",
        "",
        f"One network for two tasks, a linear head each; pictures of {SIZE}x{SIZE} "
        "pixels. 1 % of the labels means 1 % of the labelled training rows, and no "
        "others. Each seed has labelled rows, initial weights and an order of its own. "
        f"All rows of a column have the same steps of up to {BATCH} pictures: {steps}; "
        "Adam at a constant rate. The rate of each row is the best of "
        f"{', '.join(f'{rate:g}' for rate in RATES)} on the validation rows, with "
        f"{CHOICE_PERCENT} % of the labels and a seed that is not in the table. "
        "Frozen: the heads alone are trained, on `cache_features`. After so few steps "
        "the running averages of batch normalisation are not yet those of a trained "
        "network, so `reestimate_batch_norm` takes them from the same "
        f"{PICTURES:,} training pictures, without labels, wherever they were trained "
        "or are random. Accuracy on the test rows, mean and standard deviation over "
        f"{len(SEEDS)} seeds.",
    ]
    return "\n".join(lines + [line for table in tables for line in ["", *table]])


def _tables(name: str, kept: "_Kept") -> list[str]:
    """Return the section of a data set, one table a task."""
    tasks, options = DATA[name]
    data = datasets.load(name, **options).only(tasks)
    scores: dict[tuple[str, int], list[list[float]]] = {}
    rates = {}
    for row in ROWS:
        rates[row] = _best_rate(data, row, kept)
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as folder:
                learner = _Learner(data, row, seed, Path(folder))
                for share in STEPS:
                    found = kept.scores(learner, share, rates[row], "test")
                    scores.setdefault((row, share), []).append(found)
    shown = ", ".join(f"{key}={value}" for key, value in options.items())
    lines = [
        f"## `{name}`" + (f" with `{shown}`" if options else ""),
        "",
        f"{data.sizes['train']:,} training rows, which are the 100 %; "
        f"{data.sizes['test']:,} test rows.",
    ]
    for index, task in enumerate(data.tasks):
        lines += [
            "",
            f"{task.name}; always the most frequent label: "
            f"{_most_frequent(data, task.name):.3f}.",
            "",
            "| base | "
            + " | ".join(f"{share} %: {_labels(data, share):,}" for share in STEPS)
            + " | rate |",
            "|---|" + "---|" * len(STEPS) + "---|",
        ]
        for row in ROWS:
            cells = [
                seeds.cell([found[index] for found in scores[row, share]])
                for share in STEPS
            ]
            lines.append(f"| {row} | {' | '.join(cells)} | {rates[row]:g} |")
    return lines


def _best_rate(data: Dataset, row: str, kept: "_Kept") -> float:
    with tempfile.TemporaryDirectory() as folder:
        learner = _Learner(data, row, CHOICE_SEED, Path(folder))
        worth = {
            rate: statistics.mean(
                kept.scores(learner, CHOICE_PERCENT, rate, "validation")
            )
            for rate in RATES
        }
    return max(worth, key=lambda rate: worth[rate])


class _Learner:
    """A row of the table with one seed; built when it is first trained.

    Args:
        data: of two tasks.
        row: one of `ROWS`.
        seed: of the initial weights, the labelled rows and their order.
        folder: for features.
    """

    def __init__(self, data: Dataset, row: str, seed: int, folder: Path) -> None:
        self.data, self.row, self.seed, self.folder = data, row, seed, folder
        self.frozen = "feature" in ROWS[row]

    def scores(self, share: int, rate: float, split: str) -> list[float]:
        """Train from the start with some of the labels; return a score a task."""
        learned, start = self._learned
        for variable, value in start:
            variable.assign(value)
        learned.optimizer.learning_rate = rate
        few = self.data.subset(_labels(self.data, share), seed=self.seed)
        train, held_out = self._batches(few, share, split)
        learned.fit(train.repeat().take(STEPS[share]), verbose=0)
        if not self.frozen:
            self._settle(learned)
        found = learned.evaluate(held_out, verbose=0, return_dict=True)
        return [
            float(found[f"{task.name}_{task.headline[0]}"]) for task in self.data.tasks
        ]

    @cached_property
    def _model(self) -> Any:
        keras.utils.set_random_seed(self.seed)
        model = build(
            "shared_bottom",
            **self.data.spec,
            trunk=Pretrained(BASE, image_size=SIZE),
            head=heads.Tower(()),
            optimizer=keras.optimizers.Adam(),
        )
        for mode in ROWS[self.row]:
            transfer.use_base(model, mode)
        if "structure" in ROWS[self.row]:
            self._settle(model)
        return model

    @cached_property
    def _learned(self) -> tuple[Any, list[tuple[Any, Any]]]:
        """What of the model is trained, and all that changes, as it is before."""
        learned = transfer.head_model(self._model) if self.frozen else self._model
        learned.optimizer.build(learned.trainable_variables)
        changing = (*learned.variables, *learned.optimizer.variables)
        return learned, [(one, keras.ops.convert_to_numpy(one)) for one in changing]

    def _batches(self, few: Dataset, share: int, split: str) -> tuple[Any, Any]:
        if not self.frozen:
            held_out = getattr(few.batched(256), split)
            return few.batched(BATCH, shuffle_seed=self.seed).train, held_out
        train, held_out = (
            transfer.cache_features(
                self._model, few.arrays(part), self.folder / name, progress=False
            )
            for part, name in (("train", f"train_{share}"), (split, split))
        )
        return (
            train.batches(BATCH, shuffle=True, seed=self.seed),
            held_out.batches(1024),
        )

    def _settle(self, model: Any) -> None:
        x, _ = self.data.arrays("train")
        pictures = {name: column[:PICTURES] for name, column in x.items()}
        transfer.reestimate_batch_norm(model, pictures)


class _Kept:
    """Scores by what gave them, in a file that is written after each.

    Args:
        path: of the file.
        bar: advanced by one for each.
    """

    def __init__(self, path: Path, bar: Progress) -> None:
        self.path, self.bar = path, bar
        self.found = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def scores(
        self, learner: _Learner, share: int, rate: float, split: str
    ) -> list[float]:
        """Return the scores of `learner.scores`, computed once."""
        # All that they follow from, so that other settings never meet old scores.
        key = (
            f"{learner.data.name}, {SIZE} pixels, {learner.row}, seed {learner.seed}, "
            f"{share} %, {STEPS[share]} x {BATCH}, rate {rate:g}, {split}"
        )
        task = self.bar.task_ids[0]
        self.bar.update(task, description=key)
        if key not in self.found:
            self.found[key] = learner.scores(share, rate, split)
            unfinished = self.path.with_suffix(".tmp")
            unfinished.write_text(json.dumps(self.found, indent=1), "utf-8")
            os.replace(unfinished, self.path)
        self.bar.advance(task)
        return list(self.found[key])


def _bar(total: int) -> Progress:
    bar = Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
    )
    bar.add_task("", total=total)
    return bar


def _labels(data: Dataset, share: int) -> int:
    return max(1, round(data.sizes["train"] * share / 100))


def _most_frequent(data: Dataset, task: str) -> float:
    """Return the accuracy of an answer that is always the same."""
    (_, known), (_, held_out) = data.arrays("train"), data.arrays("test")
    labels, answers = (y[task][y[task] >= 0] for y in (known, held_out))
    return float(np.mean(answers == np.bincount(labels).argmax()))
