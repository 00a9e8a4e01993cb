"""`python -m mtlzoo.benchmarks [NAME ...]`; without a name, what there is."""

import importlib
from pathlib import Path

import click

from mtlzoo._registry import unknown_name

HERE = Path(__file__).parent


def known() -> list[str]:
    """Return the names of the benchmarks."""
    return sorted(path.stem[1:] for path in HERE.glob("_[a-z]*.py"))


@click.command(help=f"Run benchmarks, by name: {', '.join(known())}.")
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Run the named benchmarks, or list them."""
    if not names:
        click.echo("\n".join(known()))
    for name in names:
        if name not in known():
            raise click.UsageError(unknown_name("benchmark", name, known()))
        module = importlib.import_module(f"mtlzoo.benchmarks._{name}")
        click.echo(module.run())


if __name__ == "__main__":
    main()
