"""The tables of README.md that come from the registries and from the bundles.

`python tests/readme.py` writes them; a test fails while they are stale.
"""

import re
from pathlib import Path

from mtlzoo import _bundles
from mtlzoo._registry import ARCHITECTURES, BALANCING

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def architectures() -> str:
    lines = ["| name | what it is | paper |", "|---|---|---|"]
    for name in ARCHITECTURES.list():
        entry = ARCHITECTURES.entry(name)
        lines.append(f"| `{name}` | {entry.summary} | {entry.facts.get('paper', '')} |")
    return "\n".join(lines)


def balancing() -> str:
    lines = ["| name | kind | what it is | paper |", "|---|---|---|---|"]
    for name in BALANCING.list():
        entry = BALANCING.entry(name)
        kind, paper = entry.facts.get("kind", ""), entry.facts.get("paper", "")
        lines.append(f"| `{name}` | {kind} | {entry.summary} | {paper} |")
    return "\n".join(lines)


def pretrained() -> str:
    """Return a row for the newest version of each bundle: what it does on test rows."""
    newest: dict[str, _bundles.WeightsInfo] = {}
    for path in sorted((ROOT / "models").glob("*/*/bundle.json")):
        info = _bundles.Bundle(path.parent).info
        if info.version > getattr(newest.get(info.name), "version", 0):
            newest[info.name] = info
    lines = [
        "| name | measured on test rows | delta_m (%) | data | licence | size |",
        "|---|---|---|---|---|---|",
    ]
    for name, info in sorted(newest.items()):
        data = ", ".join(one.name for one in info.datasets)
        cells = [f"`{name}`", measured(info), delta(info), data, info.license]
        size = _bundles.size_in_words(info.size).replace(" ", "\u00a0")
        lines.append(f"| {' | '.join([*cells, size])} |")
    return "\n".join(lines)


def measured(info: _bundles.WeightsInfo) -> str:
    """Return one metric of each task, with its spread over seeds."""
    chosen: dict[str, _bundles.MetricInfo] = {}
    for one in info.metrics:
        if one.task not in chosen or one.metric in ("auc", "r2"):
            chosen[one.task] = one
    shown = []
    for one in chosen.values():
        spread = f"\u00a0±\u00a0{one.std:.3f}" if one.std is not None else ""
        value = one.value if one.mean is None else one.mean
        shown.append(f"{one.task} {one.metric} {value:.3f}{spread}")
    return "; ".join(shown)


def delta(info: _bundles.WeightsInfo) -> str:
    if info.delta_m is None:
        return ""
    return f"{info.delta_m:+.2f}\u00a0±\u00a0{info.delta_m_std:.2f}"


def with_tables(text: str) -> str:
    """Return the page with its tables made anew."""
    for table in (architectures, balancing, pretrained):
        name = table.__name__
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            lambda match, table=table: f"{match[1]}{table()}\n{match[2]}",
            text,
            flags=re.DOTALL,
        )
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
