"""Options that several commands have."""

from collections.abc import Callable
from typing import Any

import click

from mtlzoo.cli._settings import parse_options


def pairs(*names: str, of: str) -> Callable[[Any], Any]:
    """Return an option NAME=VALUE that may be repeated, and becomes a dict.

    Args:
        *names: of the option, as `click.option` takes them.
        of: what it is an option of, for its help.
    """
    return click.option(
        *names,
        multiple=True,
        metavar="NAME=VALUE",
        callback=lambda context, parameter, value: parse_options(value),
        help=f"Option of {of}; repeatable.",
    )


def training(command: Any) -> Any:
    """Give a command the options of every training: rows, epochs, batches, rate."""
    for option in reversed(
        (
            click.option(
                "--rows",
                type=click.IntRange(1),
                help="Training rows used; by default all.",
            ),
            click.option(
                "--epochs", type=click.IntRange(1), default=5, show_default=True
            ),
            click.option(
                "--batch-size", type=click.IntRange(1), default=256, show_default=True
            ),
            click.option(
                "--learning-rate",
                type=click.FloatRange(0, min_open=True),
                default=1e-3,
                show_default=True,
                help="Of Adam.",
            ),
        )
    ):
        command = option(command)
    return command
