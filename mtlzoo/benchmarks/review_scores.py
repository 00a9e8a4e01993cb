"""How well reviews are predicted: the metrics of each task, and their table."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mtlzoo import metrics
from mtlzoo.benchmarks import seeds
from mtlzoo.datasets import Dataset

HIGHER = {
    "rating: levels off": False,
    "rating: accuracy": True,
    "recommended: AUC": True,
    "department: accuracy": True,
    "department: macro-F1": True,
}
"""The metrics, and whether more is better."""
COMPARED = ["rating: levels off", "recommended: AUC", "department: accuracy"]
"""One metric a task, of which delta_m is the mean."""

Predictions = dict[str, Any]
Scores = dict[str, float]
Row = list[Predictions]
"""What a method predicts of the test reviews, a seed an entry."""


def table(data: Dataset, rows: Mapping[str, Row]) -> list[str]:
    """Return the lines of the table of some methods.

    Args:
        data: the reviews, of which the test split has the labels.
        rows: the predictions by method. Where the name of one ends in "each task
            alone", those of the same base are compared with it, seed by seed.
    """
    _, labels = data.arrays("test")
    measured = {
        name: [scores(labels, one) for one in row] for name, row in rows.items()
    }
    lines = [
        f"| method | {' | '.join(HIGHER)} | delta_m (%) |",
        "|---|" + "---|" * (len(HIGHER) + 1),
    ]
    for name, found in measured.items():
        cells = [seeds.cell([one[metric] for one in found]) for metric in HIGHER]
        alone = f"{name.partition(':')[0]}: each task alone"
        apart = measured.get(alone, []) if name != alone else []
        changes = [
            _change(one, other) for one, other in zip(found, apart, strict=False)
        ]
        lines.append(
            f"| {name} | {' | '.join([*cells, seeds.cell(changes, '+.2f')])} |"
        )
    return lines


def scores(labels: Predictions, found: Predictions) -> Scores:
    """Return the metrics of predictions, in the order of `HIGHER`."""
    from sklearn.metrics import f1_score, roc_auc_score

    stars = found["rating"].argmax(axis=-1)
    known = labels["department"] >= 0
    department = labels["department"][known]
    guess = found["department"][known].argmax(axis=-1)
    values = (
        np.abs(stars - labels["rating"]).mean(),
        np.mean(stars == labels["rating"]),
        roc_auc_score(labels["recommended"], found["recommended"][:, 0]),
        np.mean(guess == department),
        f1_score(department, guess, average="macro"),
    )
    return {name: float(one) for name, one in zip(HIGHER, values, strict=True)}


def _change(found: Scores, apart: Scores) -> float:
    return metrics.delta_m(
        {name: found[name] for name in COMPARED},
        {name: apart[name] for name in COMPARED},
        {name: HIGHER[name] for name in COMPARED},
    )
