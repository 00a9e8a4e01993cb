from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mtlzoo.errors import DataError
from mtlzoo.metrics._checks import check_same_metrics

EXACT = 12
"""Up to how many tasks all groupings are searched; there are four million for 12."""

_Score = Callable[[Sequence[int]], float]


def suggest_groups(
    affinity: Mapping[str, Mapping[str, float]], num_groups: int
) -> list[list[str]]:
    """Return which tasks to train together, in at most so many models.

    Each task is in one group. A grouping is as good as the sum, over the tasks, of the
    mean affinity of the others in its group to it; a task alone counts 0, so tasks that
    hurt each other are parted as far as `num_groups` allows. The best is returned; with
    more than 12 tasks, one that no move of a task to another group makes better.

    Args:
        affinity: what `mtlzoo.metrics.affinity` returned, or a mean of several: the
            effect of a step for `i` on `j` as `affinity[i][j]`.
        num_groups: how many groups there may be.

    Raises:
        DataError: `num_groups` is below 1, there are no tasks, or an affinity is absent
            or not finite.

    Example:

    ```python
    suggest_groups(
        {
            "click": {"click": 0.1, "buy": 0.05, "price": -0.1},
            "buy": {"click": 0.04, "buy": 0.1, "price": -0.2},
            "price": {"click": -0.1, "buy": -0.1, "price": 0.3},
        },
        2,
    )  # [["click", "buy"], ["price"]]
    ```

    Reference: Christopher Fifty et al., *Efficiently Identifying Task Groupings for
    Multi-Task Learning*, NeurIPS 2021, <https://arxiv.org/abs/2109.04617>.

    Differences from the authors' code: groups don't overlap, so each is one model that
    trains and serves all its tasks.
    """
    if num_groups < 1:
        raise DataError(f"`num_groups` must be at least 1. Received: {num_groups}.")
    tasks = list(affinity)
    if not tasks:
        raise DataError("`affinity` must hold at least one task. Received: none.")
    for task, row in affinity.items():
        check_same_metrics(f"`affinity[{task!r}]`", row, "`affinity`", tasks)
    effects = np.array([[affinity[i][j] for j in tasks] for i in tasks], "float64")
    others = ~np.eye(len(tasks), dtype=bool)
    if not np.isfinite(effects[others]).all():
        raise DataError(
            "Each affinity between two tasks must be finite. Received a NaN or an "
            "infinity: a task had no labels, or a loss of 0, in all of the data."
        )
    effects = np.where(others, effects, 0.0)

    def score(group: Sequence[int]) -> float:
        if len(group) < 2:
            return 0.0
        return float(effects[np.ix_(group, group)].sum() / (len(group) - 1))

    search = _search_all if len(tasks) <= EXACT else _search_moves
    groups = search(len(tasks), num_groups, score)
    return [[tasks[index] for index in sorted(group)] for group in sorted(groups)]


def _search_all(count: int, num_groups: int, score: _Score) -> list[list[int]]:
    """Find the best grouping, by the best groupings of each set of tasks."""
    members = [
        [index for index in range(count) if mask >> index & 1]
        for mask in range(1 << count)
    ]
    scores = [score(group) for group in members]
    everything = (1 << count) - 1
    best: list[float] = [0.0, *([-np.inf] * everything)]
    history: list[list[int]] = []
    for _ in range(num_groups):
        updated, chosen = list(best), [0] * (everything + 1)
        for mask in range(1, everything + 1):
            # The group of the first task of the set; what remains is grouped already.
            first = mask & -mask
            rest = part = mask ^ first
            while True:
                group = part | first
                value = scores[group] + best[mask ^ group]
                if value > updated[mask]:
                    updated[mask], chosen[mask] = value, group
                if not part:
                    break
                part = (part - 1) & rest
        best = updated
        history.append(chosen)
    groups, mask = [], everything
    for chosen in reversed(history):
        if group := chosen[mask]:
            groups.append(members[group])
            mask ^= group
    return groups


def _search_moves(count: int, num_groups: int, score: _Score) -> list[list[int]]:
    """Merge groups while there are too many or it helps, then move single tasks."""
    groups = [[index] for index in range(count)]
    while len(groups) > 1:
        gains = [
            (score(one + other) - score(one) - score(other), i, j)
            for j, other in enumerate(groups)
            for i, one in enumerate(groups[:j])
        ]
        gain, i, j = max(gains)
        if gain <= 0 and len(groups) <= num_groups:
            break
        groups[i] += groups.pop(j)
    groups += [[] for _ in range(num_groups - len(groups))]
    while True:
        moves = [
            (_gain(task, one, other, score), task, one, other)
            for one in groups
            for task in one
            for other in groups
            if other is not one
        ]
        best = max(moves, key=lambda move: move[0], default=None)
        if best is None or best[0] <= 1e-12:
            return [group for group in groups if group]
        _, task, one, other = best
        one.remove(task)
        other.append(task)


def _gain(task: int, one: list[int], other: list[int], score: _Score) -> float:
    left = [index for index in one if index != task]
    return score(left) + score([*other, task]) - score(one) - score(other)
