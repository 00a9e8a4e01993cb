from typing import Any

import click

from mtlzoo._bundles import find_pretrained
from mtlzoo._registry import Entry
from mtlzoo.cli._kinds import KINDS, Named, find, kind_named
from mtlzoo.cli._output import as_json, print_json, print_table, say, say_next
from mtlzoo.cli._pretrained import (
    PRETRAINED,
    describe_bundle,
    list_pretrained,
    print_bundles,
)
from mtlzoo.errors import UnknownNameError


@click.command("list")
@click.argument("kind", required=False)
@click.argument("pattern", default="*")
@click.option("--task", help="Of pretrained ones: a task, or a kind of task.")
@click.option("--data", help="Of pretrained ones: a data set they were made from.")
@click.option("--license", help="Of pretrained ones: a pattern, such as 'Apache-*'.")
@click.option("--max-size", help="Of pretrained ones: such as '5 MB'.")
@as_json
def list_(kind: str | None, pattern: str, as_json: bool, **filters: str | None) -> None:
    """List what there is, by kind or by pattern.

    KIND is one of architectures, trunks, bases, balancing, tasks, features, datasets,
    pretrained. A PATTERN with wildcards may stand alone.

    \b
    mtlzoo list
    mtlzoo list architectures
    mtlzoo list "*moe*"
    mtlzoo list pretrained --task binary --max-size "5 MB"
    """  # noqa: D301
    if kind == PRETRAINED or any(filters.values()):
        if kind not in (None, PRETRAINED):
            raise click.UsageError("The filters are for pretrained ones alone.")
        list_pretrained(pattern, filters, as_json)
        return
    chosen = None
    if kind is not None:
        chosen = kind_named(kind)
        if chosen is None and pattern == "*" and any(sign in kind for sign in "*?["):
            pattern = kind
        elif chosen is None:
            raise UnknownNameError(
                f"There is no kind {kind!r}. Kinds: "
                f"{', '.join([*KINDS, PRETRAINED])}. A pattern that "
                'stands alone needs a wildcard, as in mtlzoo list "*moe*".'
            )
    found = find(chosen, pattern)
    bundles = find_pretrained(pattern) if chosen is None else []
    if as_json:
        everything = [describe(one) for one in found]
        print_json([*everything, *map(describe_bundle, bundles)])
        return
    if not found and not bundles:
        say(f"Nothing matches {pattern!r}.")
    for kind_found in dict.fromkeys(one.kind for one in found):
        _print([entry for one, entry in found if one == kind_found], kind_found)
    if bundles:
        print_bundles(bundles, title=PRETRAINED)
    say_next("mtlzoo show NAME        its options, and where it comes from")


def _print(entries: list[Entry], kind: str) -> None:
    columns = ["name", "what it is"]
    rows = [[entry.name, entry.summary] for entry in entries]
    papers = [entry.facts.get("paper", "") for entry in entries]
    architectures = kind == "architectures"
    if architectures:
        columns.append("what it takes")
        for row, paper, entry in zip(rows, papers, entries, strict=True):
            row[1] = "\n".join(filter(None, [row[1], paper]))
            row.append(_takes(entry.facts))
    elif any(papers):
        columns.append("paper")
        for row, paper in zip(rows, papers, strict=True):
            row.append(paper)
    print_table(columns, rows, title=kind, spaced=architectures)


def _takes(facts: dict[str, Any]) -> str:
    """Return the tasks and inputs that an architecture takes, and what it adds."""
    lines = {
        "tasks": facts.get("tasks", "?"),
        "inputs": facts.get("inputs", "?"),
        "extra losses": facts.get("extra_losses", "?"),
    }
    return "\n".join(f"{name}: {text}" for name, text in lines.items())


def describe(named: Named) -> dict[str, object]:
    """Return an entry as JSON has it."""
    kind, entry = named
    return {
        "kind": kind,
        "name": entry.name,
        "summary": entry.summary,
        "facts": entry.facts,
        "class": f"{entry.module}.{entry.attribute}",
    }
