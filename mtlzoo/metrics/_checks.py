"""What the comparisons ask of their arguments."""

from collections.abc import Iterable, Mapping

import numpy as np

from mtlzoo.errors import DataError

Direction = bool | Mapping[str, bool]


def check_results(owner: str, results: Mapping[str, float]) -> None:
    """Refuse results that are empty or not finite."""
    if not results:
        raise DataError(f"{owner} must hold at least one metric. Received: none.")
    for metric, value in results.items():
        if not np.isfinite(value):
            raise DataError(
                f"Metric {metric!r} of {owner} must be finite. Received: {value}."
            )


def check_same_metrics(
    owner: str, metrics: Iterable[str], other: str, expected: Iterable[str]
) -> None:
    """Refuse two sets of metrics that differ."""
    metrics, expected = set(metrics), set(expected)
    if metrics != expected:
        raise DataError(
            f"{owner} and {other} must have the same metrics. "
            f"Only in {owner}: {_listed(metrics - expected)}. "
            f"Only in {other}: {_listed(expected - metrics)}."
        )


def directions(higher_is_better: Direction, metrics: Iterable[str]) -> dict[str, bool]:
    """Return, for each metric, whether more is better."""
    metrics = list(metrics)
    if not isinstance(higher_is_better, Mapping):
        return dict.fromkeys(metrics, bool(higher_is_better))
    check_same_metrics("`higher_is_better`", higher_is_better, "the results", metrics)
    return {metric: bool(higher_is_better[metric]) for metric in metrics}


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
