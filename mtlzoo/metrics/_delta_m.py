from collections.abc import Mapping

import numpy as np

from mtlzoo.errors import DataError
from mtlzoo.metrics._checks import (
    Direction,
    check_results,
    check_same_metrics,
    directions,
)


def delta_m(
    results: Mapping[str, float],
    single_task_results: Mapping[str, float],
    higher_is_better: Direction,
) -> float:
    """Return the mean relative loss against single-task models, in percent.

    `100 / S * sum_s (-1)^d_s (M_s - B_s) / B_s`, where `M_s` is the method's result for
    metric `s` of `S`, `B_s` that of the single-task model, and `d_s` is 1 if higher is
    better and 0 if lower is. **Less is better**: -2 says that the method is 2 % better
    than the single-task models on average, 0 that it is as good.

    Each metric counts the same, so a task with five metrics weighs five times as much
    as a task with one. For a mean over tasks, pass one metric a task.

    Args:
        results: of the method, by metric.
        single_task_results: of single-task models, by the same metrics; above 0.
        higher_is_better: whether more is better: one answer for all, or one a metric.

    Raises:
        DataError: the metrics differ, a result is not finite, or a single-task result
            is not above 0, so that nothing can be relative to it.

    Example:

    ```python
    delta_m(
        {"auc": 0.99, "mae": 1.8},
        {"auc": 0.90, "mae": 2.0},
        {"auc": True, "mae": False},
    )  # -10: both are 10 % better
    ```

    Reference: Kevis-Kokitsi Maninis, Ilija Radosavovic and Iasonas Kokkinos, *Attentive
    Single-Tasking of Multiple Tasks*, CVPR 2019, <https://arxiv.org/abs/1904.08918>.
    The sign, by which less is better, is that of Navon et al., *Multi-Task Learning as
    a Bargaining Game*, ICML 2022, <https://arxiv.org/abs/2202.01017>, and of the papers
    that compare with it; the first paper reports the negative of this number.
    """
    check_results("`results`", results)
    check_results("`single_task_results`", single_task_results)
    check_same_metrics(
        "`results`", results, "`single_task_results`", single_task_results
    )
    higher = directions(higher_is_better, results)
    for metric, value in single_task_results.items():
        if value <= 0:
            raise DataError(
                f"Metric {metric!r} of `single_task_results` must be above 0, since "
                f"the change is relative to it. Received: {value}. Take a metric that "
                "can't be 0 or negative, such as an error or an accuracy."
            )
    changes = [
        (-1 if higher[metric] else 1)
        * (results[metric] - single_task_results[metric])
        / single_task_results[metric]
        for metric in results
    ]
    return float(100 * np.mean(changes))
