import click

from mtlzoo.cli._kinds import KINDS, Named, find, kind_named
from mtlzoo.cli._output import as_json, print_json, print_table, say, say_next
from mtlzoo.errors import UnknownNameError


@click.command("list")
@click.argument("kind", required=False)
@click.argument("pattern", default="*")
@as_json
def list_(kind: str | None, pattern: str, as_json: bool) -> None:
    """List what there is, by kind or by pattern.

    KIND is one of architectures, trunks, bases, balancing, tasks, features, datasets.
    A PATTERN with wildcards may stand alone.

    \b
    mtlzoo list
    mtlzoo list architectures
    mtlzoo list "*moe*"
    """  # noqa: D301
    chosen = None
    if kind is not None:
        chosen = kind_named(kind)
        if chosen is None and pattern == "*" and any(sign in kind for sign in "*?["):
            pattern = kind
        elif chosen is None:
            raise UnknownNameError(
                f"There is no kind {kind!r}. Kinds: {', '.join(KINDS)}. A pattern that "
                'stands alone needs a wildcard, as in mtlzoo list "*moe*".'
            )
    found = find(chosen, pattern)
    if as_json:
        print_json([describe(one) for one in found])
        return
    if not found:
        say(f"Nothing matches {pattern!r}.")
    for kind_found in dict.fromkeys(one.kind for one in found):
        rows = [
            (entry.name, entry.summary, entry.facts.get("paper", ""))
            for one, entry in found
            if one == kind_found
        ]
        papers = any(paper for *_, paper in rows)
        columns = ["name", "what it is", "paper"]
        print_table(
            columns if papers else columns[:2],
            rows if papers else [row[:2] for row in rows],
            title=kind_found,
        )
    say_next("mtlzoo show NAME        its options, and where it comes from")


def describe(named: Named) -> dict[str, object]:
    """Return an entry as JSON has it."""
    kind, entry = named
    return {
        "kind": kind,
        "name": entry.name,
        "summary": entry.summary,
        "facts": entry.facts,
        "class": f"{entry.module}.{entry.attribute}",
    }
