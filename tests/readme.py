"""The tables of README.md that come from the registries.

`python tests/readme.py` writes them; a test fails while they are stale.
"""

import re
from pathlib import Path

from mtlzoo._registry import ARCHITECTURES, BALANCING

README = Path(__file__).parent.parent / "README.md"


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


def with_tables(text: str) -> str:
    """Return the page with its tables made anew."""
    for table in (architectures, balancing):
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
