"""From the cells of a comparison to a table of means and spreads."""

import statistics
from collections.abc import Iterable
from typing import Any

from mtlzoo.cli._cells import BASELINE


def summarise(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each architecture with a balancing, the baseline first.

    A row holds the mean and standard deviation over the seeds of each task's headline
    metric; `delta_m`, in percent, of each seed against the mean of the baseline; the
    mean rank over the metrics; and costs: parameters, forward FLOPs a row, and the
    time of a training step, in seconds and relative to the baseline's.
    """
    from mtlzoo.metrics import delta_m, mean_rank

    by_method: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        settings = record["settings"]
        name = settings["architecture"]
        if settings["balancing"] != "equal":
            name += f" + {settings['balancing']}"
        by_method.setdefault(name, []).append(record)
    first = by_method[BASELINE][0]
    names = {task: f"{task}_{one[0]}" for task, one in first["headlines"].items()}
    higher = {names[task]: one[1] for task, one in first["headlines"].items()}

    def means(records: list[dict[str, Any]]) -> dict[str, float]:
        return {
            name: statistics.mean(one["test"][name] for one in records)
            for name in names.values()
        }

    baseline = means(by_method[BASELINE])
    ranks = mean_rank({name: means(one) for name, one in by_method.items()}, higher)
    steps = {
        name: statistics.median(run["step_seconds"] for run in runs)
        for name, runs in by_method.items()
    }
    rows = []
    for name, runs in by_method.items():
        results = [{one: run["test"][one] for one in names.values()} for run in runs]
        deltas = [delta_m(one, baseline, higher) for one in results]
        rows.append(
            {
                "name": name,
                "seeds": len(runs),
                "metrics": {
                    metric: _spread([one[metric] for one in results])
                    for metric in names.values()
                },
                "delta_m": _spread(deltas),
                "mean_rank": ranks[name],
                "parameters": runs[0]["parameters"],
                "flops": runs[0]["flops"],
                "step_seconds": steps[name],
                "step_ratio": steps[name] / steps[BASELINE],
            }
        )
    return rows


def markdown(rows: list[dict[str, Any]], command: str) -> str:
    """Return the table, with the command that made it."""
    metrics = list(rows[0]["metrics"])
    columns = [
        "method",
        *(name.replace("_", " ") for name in metrics),
        "delta_m (%)",
        "mean rank",
        "parameters",
        "MFLOPs a row",
        "step (ms)",
        "step / single-task",
    ]
    lines = [
        f"| {' | '.join(columns)} |",
        f"|---|{'---:|' * (len(columns) - 1)}",
    ]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    seeds = rows[0]["seeds"]
    return (
        "\n".join(lines)
        + f"\n\nTest rows; mean ± standard deviation over {seeds} seeds. delta_m: mean "
        "change against the single-task mean, less is better. Step: median time of a "
        "training step on the machine at hand.\n\n" + f"```bash\n{command}\n```\n"
    )


def cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of one row, as text."""
    return [
        row["name"],
        *(_show(one, 4) for one in row["metrics"].values()),
        _show(row["delta_m"], 2, sign="+"),
        f"{row['mean_rank']:.1f}",
        f"{row['parameters']:,}",
        f"{row['flops'] / 1e6:.2f}",
        f"{1e3 * row['step_seconds']:.1f}",
        f"{row['step_ratio']:.2f}",
    ]


def _spread(values: list[float]) -> list[float]:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return [statistics.mean(values), deviation]


def _show(spread: list[float], digits: int, sign: str = "") -> str:
    # Spaces that no table breaks a line at.
    return f"{spread[0]:{sign}.{digits}f}\u00a0±\u00a0{spread[1]:.{digits}f}"
