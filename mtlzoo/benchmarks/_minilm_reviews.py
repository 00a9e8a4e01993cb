"""Three tasks from a text: a pretrained base, a network of one's own, word counts."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mtlzoo import datasets, heads, transfer
from mtlzoo._build import build
from mtlzoo.benchmarks.review_scores import Predictions, Row, table
from mtlzoo.datasets import Dataset
from mtlzoo.trunks import Pretrained, Transformer

BLOCK = "stage:block_6"
SEEDS, TUNING_SEEDS = range(5), range(3)
LABELS = 1_000
LENGTH = 96
EPOCHS, PATIENCE, BATCH, RATE = 40, 2, 128, 1e-3
TUNING_EPOCHS, TUNING_BATCH, TUNING_RATE = 3, 32, 1e-4


def run() -> str:
    """Train on all labels and on few; report the metrics on the test set."""
    data = datasets.load("womens_clothing_reviews", batch_size=BATCH)
    with tempfile.TemporaryDirectory() as folder:
        base = _Base(data, Path(folder))
        many = table(data, _rows(base, None))
        few = table(data, _rows(base, LABELS) | _tuned(base))
    sizes = data.sizes
    return "\n".join(
        [
            "# MiniLM on reviews: stars, recommendation, department",
            "",
            "`python -m mtlzoo.benchmarks minilm_reviews`",
            "",
            f"Three tasks of `womens_clothing_reviews`, split by garment: "
            f"{sizes['train']} reviews for training, {sizes['validation']} to stop by, "
            f"{sizes['test']} for these numbers. `minilm_l6` reads the first {LENGTH} "
            "word pieces of a review; frozen, its features were computed once. Mean "
            f"and standard deviation over {len(SEEDS)} seeds ({len(TUNING_SEEDS)} "
            "where blocks are fine-tuned); settings were chosen beforehand.",
            "",
            "- constant: what is most frequent in training;",
            "- word counts: TF-IDF and logistic regression of scikit-learn with their "
            "defaults (but `max_iter=1000`), one a task;",
            "- own network: a transformer of one block, width 64, as in the bundle "
            "`shared_bottom.home_intents`, all tasks at once;",
            "- frozen: a hidden layer of 64 units and an output for each task on the "
            "features, each task alone; or `mmoe` on the features, all tasks at once;",
            f"- last block: after the heads, `stage:block_6` and they for "
            f"{TUNING_EPOCHS} epochs at {TUNING_RATE:g}; each task a copy of its own, "
            "or one for all.",
            "",
            "`delta_m` is against the row of the same base with each task alone, seed "
            "by seed, over levels off, AUC and accuracy: less is better.",
            "",
            f"## All {sizes['train']} labels",
            "",
            *many,
            "",
            f"## {LABELS} labels, others for each seed",
            "",
            "Word counts and the own network know the words of all training reviews, "
            "and networks stop by the whole validation set.",
            "",
            *few,
        ]
    )


class _Base:
    """MiniLM on the reviews, with its features on disk."""

    def __init__(self, data: Dataset, folder: Path) -> None:
        self.data = data
        self._trunk = Pretrained("minilm_l6", False, arguments={"length": LENGTH})
        self._folder = folder
        self.features = self._dataset(data)

    def model(self, data: Dataset, architecture: str = "shared_bottom") -> Any:
        """Return a model of the tasks of `data` on the frozen base."""
        return build(
            architecture,
            **data.spec,
            trunk=self._trunk,
            head=heads.Tower((64,)),
            optimizer=keras.optimizers.Adam(RATE),
        )

    def cache(self, model: Any, data: Dataset, split: str, name: str) -> Any:
        return transfer.cache_features(
            model,
            data.arrays(split),
            self._folder / f"{name}.{split}",
            batch_size=32,
            progress=False,
        )

    def _dataset(self, data: Dataset) -> Dataset:
        model = self.model(data)
        splits = {
            split: (self.cache(model, data, split, "pooled").x, data.arrays(split)[1])
            for split in data.sizes
        }
        shapes = {name: one.shape[1:] for name, one in splits["test"][0].items()}
        return Dataset("features", splits, inputs=shapes, tasks=data.tasks)


def _rows(base: _Base, labels: int | None) -> dict[str, Row]:
    rows: dict[str, Row] = {"constant": [_constant(base.data)]}
    for seed in SEEDS:
        few, features = (
            one if labels is None else one.subset(labels, seed=seed)
            for one in (base.data, base.features)
        )
        if labels or not seed:  # on all labels it is the same for each seed
            rows.setdefault("word counts: each task alone", []).append(
                _word_counts(few, base)
            )
        for name, method in METHODS.items():
            keras.utils.set_random_seed(seed)
            rows.setdefault(name, []).append(method(few, base, features, seed))
    return rows


def _constant(data: Dataset) -> Predictions:
    _, y = data.arrays("train")
    shares = {}
    for task, labels in y.items():
        counts = np.bincount(labels[labels >= 0])
        shares[task] = np.tile(counts / counts.sum(), (data.sizes["test"], 1))
    return {**shares, "recommended": shares["recommended"][:, 1:]}


def _word_counts(data: Dataset, base: _Base) -> Predictions:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    (x, y), (held_out, _) = data.arrays("train"), data.arrays("test")
    words = TfidfVectorizer().fit(base.data.arrays("train")[0]["text"])
    counts, unseen = words.transform(x["text"]), words.transform(held_out["text"])
    found: Predictions = {}
    for task in data.tasks:
        labels = y[task.name]
        known = np.flatnonzero(labels >= 0)
        model = LogisticRegression(max_iter=1_000).fit(counts[known], labels[known])
        found[task.name] = np.zeros((unseen.shape[0], task.num_labels or 0))
        found[task.name][:, model.classes_] = model.predict_proba(unseen)
    return {**found, "recommended": found["recommended"][:, 1:]}


def _own_network(data: Dataset, base: _Base, features: Any, seed: int) -> Predictions:
    model = build(
        "shared_bottom",
        **data.spec,
        trunk=Transformer(1, width=64, num_heads=4, feedforward=128),
        head=heads.Tower(()),
        optimizer=keras.optimizers.Adam(RATE),
    )
    return _fitted(model, data, seed)


def _frozen_alone(data: Dataset, base: _Base, features: Any, seed: int) -> Predictions:
    found: Predictions = {}
    for task in data.tasks:
        model = base.model(data.only([task.name]))
        one = features.only([task.name])
        found |= _fitted(transfer.head_model(model), one, seed)
    return found


def _frozen_mmoe(data: Dataset, base: _Base, features: Any, seed: int) -> Predictions:
    model = base.model(data, "mmoe")
    return _fitted(transfer.head_model(model), features, seed)


METHODS: dict[str, Callable[[Dataset, _Base, Any, int], Predictions]] = {
    "own network: all tasks": _own_network,
    "MiniLM frozen: each task alone": _frozen_alone,
    "MiniLM frozen: `mmoe`, all tasks": _frozen_mmoe,
}


def _fitted(model: Any, data: Dataset, seed: int) -> Predictions:
    """Train until the validation loss rises; return predictions of the test rows."""
    rows = data.batched(BATCH, shuffle_seed=seed)
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    model.fit(
        rows.train,
        epochs=EPOCHS,
        validation_data=rows.validation,
        callbacks=[stop],
        verbose=0,
    )
    return dict(model.predict(rows.test, verbose=0))


def _tuned(base: _Base) -> dict[str, Row]:
    names = [task.name for task in base.data.tasks]
    alone, together = [], []
    for seed in TUNING_SEEDS:
        few, features = (
            one.subset(LABELS, seed=seed) for one in (base.data, base.features)
        )
        deep = base.model(few)
        transfer.unfreeze(deep, BLOCK)
        train = base.cache(deep, few, "train", f"block_5.{seed}")
        test = base.cache(deep, few, "test", "block_5")
        apart: Predictions = {}
        for name in names:
            model = _heads_first(base, few.only([name]), features.only([name]), seed)
            apart |= _tune(model, train, test, seed)
        alone.append(apart)
        model = _heads_first(base, few, features, seed)
        together.append(_tune(model, train, test, seed))
    return {
        "MiniLM, last block: each task alone": alone,
        "MiniLM, last block: all tasks": together,
    }


def _heads_first(base: _Base, data: Dataset, features: Any, seed: int) -> Any:
    keras.utils.set_random_seed(seed)
    model = base.model(data)
    _fitted(transfer.head_model(model), features, seed)
    return model


def _tune(model: Any, train: Any, test: Any, seed: int) -> Predictions:
    """Train the last block with the heads, on what the block before it gives."""
    transfer.unfreeze(model, BLOCK)
    model.compile(keras.optimizers.Adam(TUNING_RATE))
    top = transfer.head_model(model)
    names = list(top.output)
    batches = train.batches(TUNING_BATCH, shuffle=True, seed=seed).map(
        lambda x, y: (x, {name: y[name] for name in names})
    )
    top.fit(batches, epochs=TUNING_EPOCHS, verbose=0)
    return dict(top.predict(test.batches(64), verbose=0))
