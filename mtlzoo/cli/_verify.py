import click

from mtlzoo import _bundles
from mtlzoo.cli import _bundle
from mtlzoo.cli._output import as_json, load_tensorflow, print_json, print_table, say
from mtlzoo.errors import BundleError, MTLZooError


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|DIR...]")
@click.option(
    "--golden/--no-golden",
    default=True,
    help="Whether models must answer their golden inputs as published.",
)
@as_json
def verify(names: tuple[str, ...], golden: bool, as_json: bool) -> None:
    """Check bundles: every file, config, weights, golden answers, SavedModel.

    By default all that are on this machine: those that come with mtlzoo, and those in
    the cache.
    """
    chosen = names or tuple(
        one.name
        for one in _bundles.find_pretrained()
        if not _bundles.missing_bytes(one)
    )
    load_tensorflow()
    from mtlzoo import hub

    rows = []
    for name in chosen:
        try:
            place = _bundle.source(name) or name
            bundle = hub.verify(place, golden=golden)
            rows.append((name, str(bundle.info.version), ""))
        except MTLZooError as error:
            rows.append((name, "", str(error)))
            say(f"{name}: {error}")
    bad = [name for name, _, problem in rows if problem]
    if as_json:
        keys = ("name", "version", "problem")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        states = [
            (name, version, "not sound" if problem else "sound")
            for name, version, problem in rows
        ]
        print_table(["name", "version", "state"], states)
    if bad:
        raise BundleError(f"{len(bad)} of {len(rows)} are not sound: {', '.join(bad)}")
