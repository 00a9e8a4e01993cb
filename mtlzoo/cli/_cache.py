from pathlib import Path

import click

from mtlzoo import _bundles
from mtlzoo.cli._output import as_json, print_json, print_table, say, say_next
from mtlzoo.errors import DownloadError, UnknownNameError

_YES = click.option("--yes", is_flag=True, help="Don't ask.")
_DRY = click.option("--dry-run", is_flag=True, help="Only say what would go.")


@click.group()
def cache() -> None:
    """List or remove bundles that were downloaded.

    They are in the folder that MTLZOO_HOME names, or in the user's cache. Bundles that
    come with mtlzoo are not among them.
    """


@cache.command()
@as_json
def ls(as_json: bool) -> None:
    """List what there is, and whether it is sound."""
    found = _bundles.cached()
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "version": one.version,
                    "folder": str(one.folder),
                    "size": one.size,
                    "state": one.state,
                }
                for one in found
            ]
        )
        return
    if not found:
        say(f"Nothing is in {_bundles.cache()}.")
        return
    words = _bundles.size_in_words
    print_table(
        ["name", "version", "size", "state"],
        [(one.name, one.version, words(one.size), one.state) for one in found],
    )
    say(f"In {_bundles.cache()}.")
    say_next("mtlzoo cache rm NAME", "mtlzoo cache prune")


@cache.command()
@click.argument("names", nargs=-1, required=True)
@_DRY
@_YES
def rm(names: tuple[str, ...], dry_run: bool, yes: bool) -> None:
    """Remove bundles, all versions of each."""
    found = _bundles.cached()
    known = {one.name for one in found}
    for name in names:
        if name not in known:
            raise UnknownNameError(
                f"{name!r} is not in the cache. There: "
                f"{', '.join(sorted(known)) or 'nothing'}."
            )
    _remove([one.folder for one in found if one.name in names], dry_run, yes)


@cache.command()
@_DRY
@_YES
def prune(dry_run: bool, yes: bool) -> None:
    """Remove what killed downloads left, and what is damaged."""
    _remove(_bundles.unneeded(), dry_run, yes)


def _remove(paths: list[Path], dry_run: bool, yes: bool) -> None:
    if not paths:
        say("There is nothing to remove.")
        return
    for path in paths:
        say(f"  {path}")
    if dry_run or not (yes or click.confirm("Remove these?", err=True)):
        return
    try:
        for path in paths:
            _bundles.remove(path)
    except OSError as error:
        raise DownloadError(
            f"Can't remove {error.filename!r}: {error.strerror}. Whoever owns the "
            "cache can."
        ) from error
    say(f"Removed: {len(paths)}.")
