from pathlib import Path

import click

from mtlzoo.cli._output import load_tensorflow, say


@click.command()
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--models",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of bundles; by default those that come with mtlzoo.",
)
def catalogue(output: Path, models: Path | None) -> None:
    """Write a page of all pretrained bundles to the file OUTPUT, such as zoo.html.

    The page searches and filters, and needs nothing but itself.
    """
    load_tensorflow()
    from mtlzoo import hub

    output.write_text(hub.catalogue(models), "utf-8")
    say(f"Written to {output}. Open it in a browser.")
