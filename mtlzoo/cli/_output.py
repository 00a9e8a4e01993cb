"""What the commands print: data to standard output, the rest to standard error."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import click

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print data as JSON, for programs."
)


def say(message: str = "") -> None:
    """Print prose to standard error."""
    click.echo(message, err=True)


def say_next(*commands: str) -> None:
    """Print the commands that one may want next."""
    say("\nNext:")
    for command in commands:
        say(f"  {command}")


def print_json(data: Any) -> None:
    """Print data to standard output."""
    click.echo(json.dumps(data, indent=2))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    title: str | None = None,
    spaced: bool = False,
) -> None:
    """Print a table to standard output; columns of numbers are aligned to the right.

    Args:
        columns: their titles.
        rows: their cells; one may have several lines.
        title: of the table.
        spaced: whether an empty line parts the rows.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        leading=int(spaced),
    )
    for index, column in enumerate(columns):
        cells = [str(row[index]) for row in rows]
        numbers = all(map(_is_number, cells))
        # Titles and prose may be broken; names and numbers, also with a spread, not.
        whole = index == 0 or not any(" " in cell for cell in cells)
        unbroken = [*column.split(), *(cells if numbers or whole else ())]
        table.add_column(
            column,
            justify="right" if numbers else "left",
            min_width=max(map(len, unbroken)),
        )
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    # The console reads sys.stdout when it is made, and so meets click's redirection.
    # A wide table is broken by the terminal if need be; columns are never cut off.
    Console(file=sys.stdout).print(table, crop=False)


@contextlib.contextmanager
def working(message: str, file: TextIO | None = None) -> Iterator[None]:
    """Show on a terminal, that of standard error by default, that something goes on."""
    from rich.console import Console

    with Console(file=file or sys.stderr).status(message):
        yield


def load_tensorflow() -> None:
    """Import TensorFlow without its greetings.

    Its C++ writes some of them straight to file descriptor 2, whatever the log level;
    that is closed to it for the while.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal = os.dup(2)
    with (
        open(terminal, "w") as stderr,
        open(os.devnull, "wb") as nowhere,
        working("Loading TensorFlow", stderr),
    ):
        os.dup2(nowhere.fileno(), 2)
        try:
            import mtlzoo.model  # noqa: F401
        finally:
            os.dup2(terminal, 2)


def _is_number(cell: str) -> bool:
    return cell.lstrip("-+").replace(",", "").replace(".", "", 1).isdigit()
