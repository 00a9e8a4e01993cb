"""From the cells of a comparison to a table of means and spreads."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtlzoo.cli._cells import BASELINE
from mtlzoo.errors import DataError

UNKNOWN = "n/a"

_Means = Mapping[str, Mapping[str, float]]


def summarise(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each architecture with a balancing, the baseline first.

    A row holds the mean and standard deviation over the seeds of each task's headline
    metric; `delta_m`, in percent, of each seed against the mean of the baseline; the
    mean rank over the metrics; and costs: parameters, forward FLOPs a row, and the
    time of a training step, in seconds and relative to the baseline's.

    What is not known is `None`: the deviation of one seed; means of a training that
    diverged, which ranks behind all others, and its `delta_m`; `delta_m` where the
    baseline diverged or has a metric that isn't above 0; FLOPs that depend on the row;
    and the time of a step where none was made but the first, which includes compiling.
    """
    by_method: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        settings = record["settings"]
        name = _method_name(settings["architecture"], settings["balancing"])
        by_method.setdefault(name, []).append(record)
    first = by_method[BASELINE][0]
    names = {task: f"{task}_{one[0]}" for task, one in first["headlines"].items()}
    higher = {names[task]: one[1] for task, one in first["headlines"].items()}
    means = {
        method: {
            name: _mean([run["test"][name] for run in runs]) for name in names.values()
        }
        for method, runs in by_method.items()
    }
    ranks = _ranks(means, higher)
    steps = {
        name: statistics.median(run["step_seconds"] for run in runs) or None
        for name, runs in by_method.items()
    }
    rows = []
    for name, runs in by_method.items():
        results = [{one: run["test"][one] for one in names.values()} for run in runs]
        deltas = [_delta_m(one, means[BASELINE], higher) for one in results]
        step, step_alone = steps[name], steps[BASELINE]
        rows.append(
            {
                "name": name,
                "seeds": len(runs),
                "metrics": {
                    metric: _spread([one[metric] for one in results])
                    for metric in names.values()
                },
                "higher_is_better": higher,
                "delta_m": _spread(deltas),
                "mean_rank": ranks[name],
                "parameters": runs[0]["parameters"],
                "flops": runs[0]["flops"],
                "step_seconds": step,
                "step_ratio": step / step_alone if step and step_alone else None,
            }
        )
    return rows


def columns(rows: list[dict[str, Any]]) -> list[str]:
    """Return the titles of what `cells` gives."""
    return [
        "method",
        *(_words(name) for name in rows[0]["metrics"]),
        "delta_m (%)",
        "mean rank",
        "parameters",
        "MFLOPs a row",
        "step (ms)",
        "step / single-task",
    ]


def cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of one row, as text."""
    return [
        row["name"],
        *(_show(one, 4) for one in row["metrics"].values()),
        _show(row["delta_m"], 2, sign="+"),
        f"{row['mean_rank']:.1f}",
        f"{row['parameters']:,}",
        _number(row["flops"], 2, scale=1e-6),
        _number(row["step_seconds"], 1, scale=1e3),
        _number(row["step_ratio"], 2),
    ]


def explanation(rows: list[dict[str, Any]]) -> list[str]:
    """Return, in sentences, what the numbers of a table mean to who sees it first."""
    seeds = rows[0]["seeds"]
    higher = rows[0]["higher_is_better"]
    better = [
        f"{word} is better: {', '.join(_words(name) for name in names)}."
        for word, up in (("More", True), ("Less", False))
        if (names := [name for name in higher if higher[name] is up])
    ]
    spread = (
        f"Mean ± standard deviation over {seeds} seeds; means that differ by less than "
        "their deviations rank nothing."
        if seeds > 1
        else "One seed, whose deviation is not known: it ranks nothing."
    )
    sentences = [
        "On the test rows.",
        spread,
        *better,
        f"delta_m: mean relative change of these against the mean of {BASELINE}, in "
        "percent; less is better, below 0 is a gain.",
        "Mean rank: by each of these means, averaged; 1 is the best.",
        "MFLOPs a row: millions of floating-point operations of a prediction.",
        "Step: median time of a training step on the machine at hand.",
    ]
    if any(UNKNOWN in cells(row) for row in rows):
        sentences.append(
            f"{UNKNOWN}: not known, since a training diverged, a metric of "
            f"{BASELINE} is not above 0, operations depend on the row, or there were "
            "too few steps to time."
        )
    return sentences


def markdown(rows: list[dict[str, Any]], command: str) -> str:
    """Return the table, with what it means and the command that made it."""
    titles = columns(rows)
    lines = [
        f"| {' | '.join(titles)} |",
        f"|---|{'---:|' * (len(titles) - 1)}",
        *(f"| {' | '.join(cells(row))} |" for row in rows),
    ]
    paragraphs = ["\n".join(lines), " ".join(explanation(rows))]
    return "\n\n".join([*paragraphs, f"```bash\n{command}\n```\n"])


def _method_name(architecture: str, balancing: str) -> str:
    """Return what a row is called: equal weights go without saying."""
    return architecture + (f" + {balancing}" if balancing != "equal" else "")


def _ranks(means: _Means, higher: Mapping[str, bool]) -> dict[str, float]:
    from mtlzoo.metrics import mean_rank

    ranked = {method: dict(results) for method, results in means.items()}
    for metric, up in higher.items():
        known = [one[metric] for one in means.values() if math.isfinite(one[metric])]
        worst = min(known, default=0.0) - 1 if up else max(known, default=0.0) + 1
        for results in ranked.values():
            if not math.isfinite(results[metric]):
                results[metric] = worst
    return mean_rank(ranked, higher)


def _delta_m(
    results: Mapping[str, float],
    baseline: Mapping[str, float],
    higher: Mapping[str, bool],
) -> float:
    from mtlzoo.metrics import delta_m

    try:
        return delta_m(results, baseline, higher)
    except DataError:
        return math.nan


def _mean(values: Sequence[float]) -> float:
    known = all(map(math.isfinite, values))
    return statistics.fmean(values) if known else math.nan


def _spread(values: Sequence[float]) -> list[float | None]:
    mean = _mean(values)
    if math.isnan(mean):
        return [None, None]
    return [mean, statistics.stdev(values) if len(values) > 1 else None]


def _show(spread: Sequence[float | None], digits: int, sign: str = "") -> str:
    mean, deviation = spread
    shown = [_number(mean, digits, sign)]
    if deviation is not None:
        shown.append(_number(deviation, digits))
    return "\u00a0±\u00a0".join(shown)  # spaces that no table breaks a line at


def _number(
    value: float | None, digits: int, sign: str = "", scale: float = 1.0
) -> str:
    if value is None:
        return UNKNOWN
    value *= scale
    kind = "f" if abs(value) < 1e8 else "e"  # of a training that nearly diverged
    # Adding 0 makes one of a negative 0.
    return f"{round(value, digits) + 0.0:{sign}.{digits}{kind}}"


def _words(name: str) -> str:
    return name.replace("_", " ")
