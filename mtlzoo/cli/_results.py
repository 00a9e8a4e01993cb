"""Metrics as tables."""

from typing import Any

from mtlzoo.cli._output import print_table


def print_metrics(tasks: list[str], metrics: dict[str, float], title: str) -> None:
    """Print the metrics of one evaluation, one line each, by task."""
    rows: list[tuple[str, str, str]] = []
    for name, value in metrics.items():
        task = owner(name, tasks)
        metric = name.removeprefix(f"{task}_") if task else name
        rows.append((task or "all", metric, f"{value:.4f}"))
    print_table(["task", "metric", "value"], rows, title=title)


def owner(metric: str, tasks: list[str]) -> str | None:
    """Return the task that a metric's name starts with: of several, the longest."""
    owners = [task for task in tasks if metric.startswith(f"{task}_")]
    return max(owners, key=len, default=None)


def task_names(model: Any) -> list[str]:
    return [task.name for task in model.tasks]
