import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from mtlzoo._registry import ARCHITECTURES, BALANCING, Registry, unknown_name
from mtlzoo.cli import _cells
from mtlzoo.cli._comparison import cells as table_cells, markdown, summarise
from mtlzoo.cli._output import as_json, load_tensorflow, print_json, print_table, say
from mtlzoo.cli._settings import Settings, parse_options
from mtlzoo.errors import UnknownNameError


def _names(registry: Registry, text: str) -> list[str]:
    """Return the names that comma-separated names and wildcards stand for."""
    found: list[str] = []
    for pattern in text.split(","):
        names = registry.list(pattern.strip())
        if not names:
            raise UnknownNameError(
                unknown_name(registry.noun, pattern, registry.list())
            )
        found += names
    return list(dict.fromkeys(found))


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
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--trunk", help="Trunk; by default what suits the inputs.")
@click.option(
    "-t", "--trunk-option", "trunk_options", multiple=True, metavar="NAME=VALUE"
)
@click.option(
    "-d", "--dataset-option", "dataset_options", multiple=True, metavar="NAME=VALUE"
)
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="ARCHITECTURE.NAME=VALUE",
    help="Option of one of the architectures; repeatable.",
)
@click.option(
    "--rows", type=click.IntRange(1), help="Training rows used; by default all."
)
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True)
@click.option("--learning-rate", type=float, default=1e-3, show_default=True)
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
    trunk_options: tuple[str, ...],
    dataset_options: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train many models on DATASET, each with several seeds, and compare them.

    Single-task networks are always among them. Architectures that a wildcard stands
    for are left out where they don't take the data. Each run is kept as a file, so the
    same command goes on where it was stopped; results are written as results.json and
    results.md.

    \b
    mtlzoo compare adult --architectures "mmoe,ple,*moe" --seeds 3
    mtlzoo compare adult --architectures "*"
    mtlzoo compare multi_fashion --balancing "uncertainty,pcgrad,nash_mtl"
    """  # noqa: D301
    base = Settings(
        dataset=dataset,
        architecture=_cells.BASELINE,
        dataset_options=parse_options(dataset_options),
        trunk_options=parse_options(trunk_options),
        **settings,
    )
    by_architecture: dict[str, dict[str, Any]] = {}
    for name, value in parse_options(options).items():
        architecture, _, option = name.rpartition(".")
        by_architecture.setdefault(architecture, {})[option] = value
    made = _cells.make_cells(
        base,
        _names(ARCHITECTURES, architectures),
        _names(BALANCING, balancing),
        seeds,
        by_architecture,
    )
    for one in made:
        one.check()
    folder = output or Path("comparisons") / dataset
    load_tensorflow()
    named = {name.strip() for name in architectures.split(",")}
    made = _cells.leave_out(made, folder / "runs", named)
    rows = summarise(_cells.run_cells(made, folder / "runs"))
    command = shlex.join(["mtlzoo", *sys.argv[1:]])
    (folder / "results.json").write_text(json.dumps(rows, indent=2), "utf-8")
    (folder / "results.md").write_text(markdown(rows, command), "utf-8")
    if as_json:
        print_json(rows)
    else:
        metrics = [name.replace("_", " ") for name in rows[0]["metrics"]]
        columns = [
            "method",
            *metrics,
            "delta_m (%)",
            "rank",
            "params",
            "MFLOPs",
            "ms",
            "step",
        ]
        print_table(columns, [table_cells(row) for row in rows])
    say(f"The results are in {folder}/results.md and results.json.")
