"""The card of a bundle: what its manifest says, for people."""

import json
from collections.abc import Iterable, Iterator, Sequence

from mtlzoo._bundles import MetricInfo, WeightsInfo, size_in_words
from mtlzoo._registry import DATASETS

START, END = "<!-- generated from bundle.json -->", "<!-- end of generated -->"


def card(info: WeightsInfo, prose: str = "") -> str:
    """Return `card.md`: front matter, what the manifest says, and `prose` after it.

    Args:
        info: the manifest.
        prose: Markdown by hand.
    """
    parts = [
        _front_matter(info),
        START,
        f"# {info.name}, version {info.version}",
        info.description,
        _use(info),
        "## Tasks and inputs",
        _tasks(info),
        _inputs(info),
        "## Measured",
        _measured(info),
        "## How it was made",
        _made(info),
    ]
    if info.use:
        parts += ["## What it is for", info.use]
    if info.limits:
        parts += ["## What it is not for", info.limits]
    if info.papers:
        parts += ["## References", "\n".join(f"- {one}" for one in info.papers)]
    parts.append(END)
    if prose.strip():
        parts.append(prose.strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def prose_of(text: str) -> str:
    """Return what was written by hand in a card."""
    return text.partition(END)[2].strip()


def with_single_task(
    info: WeightsInfo,
) -> Iterator[tuple[MetricInfo, MetricInfo | None]]:
    """Yield each metric, and the same of a network for that task alone, if any."""
    alone = {
        (one.task, one.metric, one.dataset, one.split): one
        for one in info.single_task_metrics
    }
    for one in info.metrics:
        yield one, alone.get((one.task, one.metric, one.dataset, one.split))


def shown(metric: MetricInfo) -> str:
    """Return a metric's value as tables show it, with its spread over seeds."""
    if metric.mean is None:
        return f"{metric.value:.4f}"
    spread = f" ± {metric.std:.4f}" if metric.std is not None else ""
    return f"{metric.value:.4f} ({metric.mean:.4f}{spread})"


def _front_matter(info: WeightsInfo) -> str:
    # JSON is YAML, so each value may stand as JSON.
    tags = ["multi-task-learning", info.architecture]
    facts = {
        "license": info.license.lower(),
        "library_name": "mtlzoo",
        "tags": sorted({*tags, *(task.kind for task in info.tasks)}),
        "datasets": [one.name for one in info.datasets],
        "metrics": sorted({one.metric for one in info.metrics}),
    }
    if info.base:
        facts["base_model"] = info.base.name
    lines = [f"{key}: {json.dumps(value)}" for key, value in facts.items()]
    return "\n".join(["---", *lines, "---"])


def _use(info: WeightsInfo) -> str:
    lines = ["```python", "import mtlzoo", "", f'model = mtlzoo.load("{info.name}")']
    if info.base and len(info.tasks) == 1:
        lines += [
            "# or beside other heads on the same base, in one pass:",
            f'model = mtlzoo.load_head("{info.name}", onto=model)',
        ]
    return "\n".join([*lines, "```"])


def _tasks(info: WeightsInfo) -> str:
    rows = []
    for task in info.tasks:
        names = ", ".join(task.classes[:10])
        if len(task.classes) > 10:
            names += f", … ({len(task.classes)} in all)"
        rows.append((f"`{task.name}`", task.kind, names))
    return table(("task", "kind", "classes"), rows) if rows else ""


def _inputs(info: WeightsInfo) -> str:
    rows = [
        (
            f"`{one.name}`",
            " x ".join("any" if size is None else str(size) for size in one.shape)
            or "one value",
            one.dtype,
        )
        for one in info.inputs
    ]
    return table(("input, raw", "shape of a row", "type"), rows)


def _measured(info: WeightsInfo) -> str:
    if not info.metrics:
        return "Nothing: it is a base for other models."
    rows = []
    for one, single in with_single_task(info):
        cells = [
            f"`{one.task}`",
            one.metric + (" ↑" if one.higher_is_better else " ↓"),
            shown(one),
            shown(single) if single else "",
            f"{one.dataset}, {one.split}",
        ]
        rows.append(cells if info.single_task_metrics else [*cells[:3], cells[4]])
    columns = ["task", "metric", "these weights", "a network for it alone", "rows"]
    if not info.single_task_metrics:
        columns.pop(3)
    lines = [table(columns, rows)]
    seeds = max(one.seeds for one in info.metrics)
    if any(one.mean is not None for one in info.metrics):
        lines.append(
            f"In brackets: mean ± standard deviation over {seeds} trainings that "
            "differ in the seed alone. ↑: more is better; ↓: less is."
        )
    if info.delta_m is not None:
        spread = "" if info.delta_m_std is None else f" ± {info.delta_m_std:.2f}"
        lines.append(
            f"Mean change of all tasks against networks for each alone (delta_m, less "
            f"is better): {info.delta_m:+.2f}{spread} %."
        )
    if any(one.dataset in DATASETS for one in info.metrics):
        lines.append(f"`mtlzoo evaluate {info.name}` measures these weights again.")
    return "\n\n".join(lines)


def _made(info: WeightsInfo) -> str:
    seed, base = info.recipe.seed, info.base
    rows = [
        ("architecture", info.architecture),
        ("parameters", f"{info.parameters:,}"),
        ("size", size_in_words(info.size)),
        ("licence of the weights", info.license),
        ("recipe", f"`{info.recipe.command}`"),
        ("commit", info.recipe.commit),
        ("seed", "" if seed is None else str(seed)),
        ("stands on", f"{base.name}, version {base.version}" if base else ""),
        ("Keras, TensorFlow", f"{info.keras_version}, {info.tensorflow_version}"),
    ]
    lines = [table(("", ""), [row for row in rows if row[1]])]
    for one in info.datasets:
        data = f"**Data: {one.name}**, {one.license}, {one.source}. {one.provenance}"
        lines.append(data.strip())
    return "\n\n".join(lines)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
