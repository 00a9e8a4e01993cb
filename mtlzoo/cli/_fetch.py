import shutil
from pathlib import Path

import click

from mtlzoo import _bundles
from mtlzoo._bundles import Bundle
from mtlzoo._staging import not_writable, publish, staging
from mtlzoo.cli import _bundle
from mtlzoo.cli._output import as_json, print_json, print_table, say, say_next


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|PATTERN...")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Copy them there, for a machine without a network.",
)
@click.option("--dry-run", is_flag=True, help="Only say what there is to fetch.")
@as_json
def fetch(
    names: tuple[str, ...], to: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Fetch pretrained bundles whole, and the bases that they stand on.

    With --to, DIR can be the MTLZOO_HOME of another machine, or be served as a mirror.

    \b
    mtlzoo fetch mmoe.adult
    mtlzoo fetch "*.efficientnet_lite0" --to zoo --dry-run
    """  # noqa: D301
    entries = _bundle.entries(names)
    rows = []
    for entry in entries:
        missing = _bundles.missing_bytes(entry)
        rows.append(
            {
                "name": entry.name,
                "version": entry.version,
                "size": entry.size,
                "to_fetch": missing,
            }
        )
    if not dry_run:
        for entry in entries:
            bundle = _bundles.find(entry.name, entry.version, everything=True)
            if to is not None:
                _copy(bundle, to)
        if to is not None:
            (to / "index.json").write_text(_bundles.make_index(to), "utf-8")
    if as_json:
        print_json(rows)
    else:
        words = _bundles.size_in_words
        print_table(
            ["name", "version", "size", "to fetch" if dry_run else "fetched"],
            [
                (one["name"], one["version"], words(entry.size), words(missing))
                for one, entry in zip(rows, entries, strict=True)
                for missing in [float(str(one["to_fetch"]))]
            ],
        )
    if to is not None and not dry_run:
        say(f"They are in {to}/.")
        say_next(f"MTLZOO_HOME={to} MTLZOO_OFFLINE=1 python ...")


def _copy(bundle: Bundle, to: Path) -> None:
    """Copy a bundle, whole or not at all, and check the copy."""
    target = to / bundle.info.name / str(bundle.info.version)
    if not target.exists():
        with staging(target.parent) as stage:
            try:
                for one in bundle.info.files:
                    path = stage / "bundle" / one.path
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(bundle.read(one.path))
                shutil.copyfile(
                    bundle.folder / "bundle.json", stage / "bundle" / "bundle.json"
                )
                publish(stage / "bundle", target)
            except OSError as error:
                raise not_writable(target, error) from error
    Bundle(target, sha256=bundle.sha256).verify()
