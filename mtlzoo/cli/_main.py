from typing import Any

import click

from mtlzoo._version import __version__
from mtlzoo.cli._cache import cache
from mtlzoo.cli._card import card
from mtlzoo.cli._catalogue import catalogue
from mtlzoo.cli._compare import compare
from mtlzoo.cli._demo import demo
from mtlzoo.cli._evaluate import evaluate
from mtlzoo.cli._export import export
from mtlzoo.cli._fetch import fetch
from mtlzoo.cli._list import list_
from mtlzoo.cli._publish import publish
from mtlzoo.cli._serve import serve
from mtlzoo.cli._show import show
from mtlzoo.cli._train import train
from mtlzoo.cli._verify import verify
from mtlzoo.errors import MTLZooError


class Stopped(click.ClickException):
    """Ctrl-C."""

    exit_code = 130  # 128 + SIGINT, as shells have it


class Commands(click.Group):
    """Commands in the order in which one meets them, whose errors are one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MTLZooError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt as error:
            raise Stopped("Stopped. Nothing half-written was left.") from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mtlzoo")
def main() -> None:
    """Multi-task learning for Keras.

    Start with `mtlzoo demo`: two minutes, real data, from training to an exported
    model.
    """


for command in (
    demo,
    list_,
    show,
    train,
    evaluate,
    compare,
    export,
    serve,
    fetch,
    verify,
    card,
    publish,
    catalogue,
    cache,
):
    main.add_command(command)
