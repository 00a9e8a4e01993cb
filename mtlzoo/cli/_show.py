import click

from mtlzoo import _bundles
from mtlzoo.cli import _bundle
from mtlzoo.cli._kinds import Named, lookup
from mtlzoo.cli._list import describe
from mtlzoo.cli._output import as_json, print_json, print_table, say_next
from mtlzoo.cli._pretrained import PRETRAINED, show_bundle
from mtlzoo.cli._source import Option, options

USES = {
    "architectures": "mtlzoo train adult {name} -o OPTION=VALUE",
    "trunks": "mtlzoo train adult shared_bottom --trunk {name} -t OPTION=VALUE",
    "bases": "mtlzoo.trunks.Pretrained({written})      in Python",
    "balancing": "mtlzoo train adult shared_bottom --balancing {name} -b OPTION=VALUE",
    "datasets": "mtlzoo train {name} shared_bottom -d OPTION=VALUE",
    "tasks": "mtlzoo.tasks.{attribute}(...)      in Python",
    "features": "mtlzoo.{attribute}(...)      in Python",
}


@click.command()
@click.argument("name")
@as_json
def show(name: str, as_json: bool) -> None:
    """Show what NAME is, and its options; or a pretrained bundle, by name or folder."""
    if (place := _bundle.source(name)) is not None:
        bundle = _bundles.find(place)
        if as_json:
            print_json([{"kind": PRETRAINED, **bundle.info.to_data()}])
        else:
            show_bundle(bundle)
        return
    found = lookup(name)
    if as_json:
        print_json(
            [
                {**describe(one), "options": [o._asdict() for o in _options(one)]}
                for one in found
            ]
        )
        return
    for one in found:
        _print(one)
    say_next(*(_use(one) for one in found))


def _print(named: Named) -> None:
    kind, entry = named
    click.echo(f"{entry.name}  ({kind})\n  {entry.summary}\n")
    facts = {**entry.facts, "class": f"{entry.module}.{entry.attribute}"}
    width = 2 + max(map(len, facts))
    for fact, value in facts.items():
        click.echo(f"  {fact + ':':{width}}{value}")
    rows = [
        (option.name, option.default or "needed", option.description)
        for option in _options(named)
    ]
    if rows:
        print_table(["option", "default", "what it does"], rows)
    elif kind != "bases":
        click.echo("\n  It has no options.")


def _options(named: Named) -> list[Option]:
    # What a base takes are arguments of `Pretrained`; its function is for that alone.
    return [] if named.kind == "bases" else options(named.entry)


def _use(named: Named) -> str:
    kind, entry = named
    use = USES[kind].format(
        name=entry.name,
        attribute=entry.attribute,
        written=entry.facts.get("written", ""),
    )
    return use if _options(named) else use.rpartition(" -")[0] or use
