"""`shared_bottom` against gradient boosting on `adult`: the same rows and columns."""

from typing import Any

import keras
import numpy as np

from mtlzoo import datasets
from mtlzoo._build import build
from mtlzoo.benchmarks import seeds

SEEDS = range(5)


def run() -> str:
    """Train both with five seeds; report the AUC on the test set."""
    dataset = datasets.load("adult")
    scores: dict[str, dict[str, list[float]]] = {}
    for seed in SEEDS:
        for method in (_shared_bottom, _boosting):
            for task, score in method(dataset, seed).items():
                by_task = scores.setdefault(method.__name__.lstrip("_"), {})
                by_task.setdefault(task, []).append(score)
    lines = ["| method | " + " | ".join(one.name for one in dataset.tasks) + " |"]
    lines.append("|---|" + "---|" * len(dataset.tasks))
    for name, by_task in scores.items():
        cells = [seeds.cell(values, ".4f") for values in by_task.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shared_bottom(dataset: Any, seed: int) -> dict[str, float]:
    keras.utils.set_random_seed(seed)
    model = build("shared_bottom", **dataset.spec)
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    model.fit(
        dataset.train,
        epochs=30,
        validation_data=dataset.validation,
        callbacks=[stop],
        verbose=0,
    )
    x, y = dataset.arrays("test")
    predictions = model.predict(x, batch_size=2048, verbose=0)
    return {task: _auc(y[task], predictions[task]) for task in predictions}


def _boosting(dataset: Any, seed: int) -> dict[str, float]:
    """One scikit-learn model a task, with its defaults, on the same columns."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.preprocessing import OrdinalEncoder

    x, y = dataset.arrays("train")
    held_out, answers = dataset.arrays("test")
    categorical = [key for key, one in x.items() if one.dtype.kind not in "fi"]
    numeric = [key for key in x if key not in categorical]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encoder.fit(_columns(x, categorical))

    def table(columns: Any) -> Any:
        codes = encoder.transform(_columns(columns, categorical))
        return np.hstack([_columns(columns, numeric).astype("float64"), codes])

    scores = {}
    for task in y:
        model = HistGradientBoostingClassifier(
            categorical_features=range(len(numeric), len(x)), random_state=seed
        )
        model.fit(table(x), y[task].ravel())
        probability = model.predict_proba(table(held_out))[:, 1]
        scores[task] = _auc(answers[task], probability)
    return scores


def _columns(columns: Any, names: list[str]) -> Any:
    return np.stack([columns[name] for name in names], axis=1)


def _auc(labels: Any, scores: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.ravel(labels), np.ravel(scores)))
