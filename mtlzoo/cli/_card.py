import click

from mtlzoo.cli import _bundle
from mtlzoo.cli._output import as_json, print_json


@click.command()
@click.argument("name", metavar="NAME|DIR")
@click.option("--version", type=click.IntRange(1), help="By default the newest.")
@as_json
def card(name: str, version: int | None, as_json: bool) -> None:
    """Print the card of a bundle, or with --json its manifest."""
    bundle = _bundle.find(name, version, everything=True)
    if as_json:
        print_json(bundle.info.to_data())
        return
    click.echo(bundle.read("card.md").decode("utf-8"), nl=False)
