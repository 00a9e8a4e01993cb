import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from mtlzoo._registry import ARCHITECTURES, BALANCING, Registry, unknown_name
from mtlzoo.cli import _cells
from mtlzoo.cli._comparison import (
    cells as table_cells,
    columns,
    explanation,
    markdown,
    summarise,
)
from mtlzoo.cli._options import pairs, training
from mtlzoo.cli._output import as_json, load_tensorflow, print_json, print_table, say
from mtlzoo.cli._settings import Settings, parse_options
from mtlzoo.errors import OptionError, UnknownNameError


def _asked(text: str) -> list[str]:
    """Return the names and wildcards in a text that commas separate."""
    return [one.strip() for one in text.split(",")]


def _names(registry: Registry, text: str) -> list[str]:
    """Return the names that comma-separated names and wildcards stand for."""
    found: list[str] = []
    for pattern in _asked(text):
        names = registry.list(pattern)
        if not names:
            raise UnknownNameError(
                unknown_name(registry.noun, pattern, registry.list())
            )
        found += names
    return list(dict.fromkeys(found))


def _by_architecture(
    pairs: tuple[str, ...], architectures: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the options of each architecture; all must be of the comparison."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in parse_options(pairs).items():
        architecture, _, option = name.rpartition(".")
        if architecture not in architectures:
            raise OptionError(
                "An option must be ARCHITECTURE.NAME=VALUE, of an architecture that is "
                f"compared: {', '.join(architectures)}. Received: {name!r}."
            )
        found.setdefault(architecture, {})[option] = value
    return found


@click.command()
@click.argument("dataset")
@click.option(
    "--architectures",
    default="shared_bottom",
    show_default=True,
    help="Names or wildcards, separated by commas.",
)
@click.option(
    "--balancing",
    default="equal",
    show_default=True,
    help="Names or wildcards, separated by commas; each meets each architecture.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Trainings of each, with the seeds 0, 1 and so on; more may follow later.",
)
@click.option("--trunk", help="Trunk; by default what suits the inputs.")
@pairs("-t", "--trunk-option", "trunk_options", of="the trunk")
@pairs("-d", "--dataset-option", "dataset_options", of="the data set")
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="ARCHITECTURE.NAME=VALUE",
    help="Option of one of the architectures; repeatable.",
)
@training
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the results.  [default: comparisons/DATASET]",
)
@as_json
def compare(
    dataset: str,
    architectures: str,
    balancing: str,
    seeds: int,
    options: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train many models on DATASET, each with several seeds, and compare them.

    Single-task networks, with equal weights, are always among them. What a wildcard
    stands for is left out where an architecture doesn't take the data, or shares
    nothing that could be balanced. Each run is kept as a file, so the same command goes
    on where it was stopped, and one with more names or seeds adds to it. Results are
    written as results.json and results.md, which says what each column means.

    \b
    mtlzoo compare adult --architectures "mmoe,ple,*moe" --seeds 3
    mtlzoo compare adult --architectures "*"
    mtlzoo compare multi_fashion --balancing "uncertainty,pcgrad,nash_mtl"
    """  # noqa: D301
    base = Settings(
        dataset=dataset,
        architecture=_cells.BASELINE,
        **settings,
    )
    compared = _names(ARCHITECTURES, architectures)
    made = _cells.make_cells(
        base,
        compared,
        _names(BALANCING, balancing),
        seeds,
        _by_architecture(options, [*dict.fromkeys([_cells.BASELINE, *compared])]),
    )
    for one in made:
        one.check()
    folder = output or Path("comparisons") / dataset
    _cells.check_records(made, folder / "runs")
    load_tensorflow()
    made = _cells.leave_out(
        made,
        folder / "runs",
        _asked(architectures),
        _asked(balancing),
    )
    try:
        rows = summarise(_cells.run_cells(made, folder / "runs"))
    except KeyboardInterrupt:
        say(f"Runs that are done are in {folder}/runs; the same command goes on.")
        raise
    command = shlex.join(["mtlzoo", *sys.argv[1:]])
    (folder / "results.json").write_text(json.dumps(rows, indent=2), "utf-8")
    (folder / "results.md").write_text(markdown(rows, command), "utf-8")
    if as_json:
        print_json(rows)
    else:
        print_table(columns(rows), [table_cells(row) for row in rows])
        say("\n".join([*explanation(rows), ""]))
    say(f"The results are in {folder}/results.md and results.json.")
