"""Pretrained bundles, as `list` and `show` print them."""

from typing import Any

import click

from mtlzoo import _bundles
from mtlzoo._bundles import Bundle, Entry, MetricInfo
from mtlzoo.cli._output import print_json, print_table, say, say_next

PRETRAINED = "pretrained"


def list_pretrained(pattern: str, filters: dict[str, Any], as_json: bool) -> None:
    """Print the bundles that pass the filters of `mtlzoo.list_pretrained`."""
    found = _bundles.find_pretrained(pattern, **filters)
    if as_json:
        print_json([describe_bundle(one) for one in found])
        return
    if found:
        print_bundles(found)
    else:
        say("Nothing matches.")
    say_next(
        "mtlzoo card NAME        what it is for, and how it was made",
        "mtlzoo fetch NAME       all its files",
    )


def print_bundles(found: list[Entry], title: str | None = None) -> None:
    """Print bundles as a table."""
    print_table(
        ["name", "what it is", "size"],
        [
            (one.name, _described(one), _bundles.size_in_words(one.size))
            for one in found
        ],
        title=title,
        spaced=True,
    )


def _described(one: Entry) -> str:
    """Return a bundle in a few lines, since a table can't be as wide as its facts."""
    lines = [
        one.description,
        "predicts " + ", ".join(task.name for task in one.tasks) if one.tasks else "",
        "from " + ", ".join(one.datasets) if one.datasets else "",
        one.license,
    ]
    return "\n".join(filter(None, lines))


def describe_bundle(one: Entry) -> dict[str, Any]:
    """Return a bundle as JSON has it."""
    return {"kind": PRETRAINED, **one.to_data()}


def show_bundle(bundle: Bundle) -> None:
    """Print what a bundle is."""
    info = bundle.info
    click.echo(f"{info.name}, version {info.version}  ({PRETRAINED})")
    click.echo(f"  {info.description}\n")
    base = info.base
    facts = {
        "architecture": info.architecture,
        "licence": info.license,
        "data": ", ".join(f"{one.name} ({one.license})" for one in info.datasets),
        "stands on": f"{base.name}, version {base.version}" if base else "",
        "parameters": f"{info.parameters:,}",
        "size": _bundles.size_in_words(info.size),
        "recipe": info.recipe.command,
        "folder": str(bundle.folder),
    }
    width = 2 + max(map(len, facts))
    for fact, value in facts.items():
        if value:
            click.echo(f"  {fact + ':':{width}}{value}")
    if info.tasks:
        print_table(
            ["task", "kind", "measured, on held-out rows"],
            [
                (
                    task.name,
                    task.kind,
                    ", ".join(
                        _shown(one) for one in info.metrics if one.task == task.name
                    ),
                )
                for task in info.tasks
            ],
        )
    say_next(
        f'mtlzoo.load("{info.name}")      in Python',
        f"mtlzoo card {info.name}",
        f"mtlzoo evaluate {info.name}",
        f"mtlzoo export {info.name} serving/{info.name.split('.')[1]}",
    )


def _shown(metric: MetricInfo) -> str:
    return f"{metric.metric.replace('_', ' ')} {metric.value:.4f}"
