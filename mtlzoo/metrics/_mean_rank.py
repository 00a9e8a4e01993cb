from collections.abc import Mapping

import numpy as np

from mtlzoo.errors import DataError
from mtlzoo.metrics._checks import (
    Direction,
    check_results,
    check_same_metrics,
    directions,
)


def mean_rank(
    results_by_method: Mapping[str, Mapping[str, float]], higher_is_better: Direction
) -> dict[str, float]:
    """Return each method's rank among all methods, averaged over the metrics.

    The best method in a metric has rank 1 there. Methods that tie share the mean of the
    ranks that they take up: two that tie for the first place have rank 1.5 each.

    Args:
        results_by_method: results by metric, by method.
        higher_is_better: whether more is better: one answer for all, or one a metric.

    Raises:
        DataError: there are no methods, their metrics differ, or a result is not
            finite.

    Example:

    ```python
    mean_rank({"pcgrad": {"auc": 0.91}, "mgda": {"auc": 0.89}}, higher_is_better=True)
    ```
    """
    if not results_by_method:
        raise DataError("`results_by_method` must hold a method. Received: none.")
    first, *others = results_by_method
    metrics = list(results_by_method[first])
    for method, results in results_by_method.items():
        check_results(f"method {method!r}", results)
    for method in others:
        check_same_metrics(
            f"method {method!r}",
            results_by_method[method],
            f"method {first!r}",
            metrics,
        )
    higher = directions(higher_is_better, metrics)
    costs = np.array(
        [
            [results[metric] * (-1 if higher[metric] else 1) for metric in metrics]
            for results in results_by_method.values()
        ],
        "float64",
    )
    better = costs[np.newaxis] < costs[:, np.newaxis]
    equal = costs[np.newaxis] == costs[:, np.newaxis]
    # A method ties with itself; k methods that tie share the mean of k ranks.
    ranks = better.sum(axis=1) + (equal.sum(axis=1) + 1) / 2
    return dict(zip(results_by_method, ranks.mean(axis=1).tolist(), strict=True))
