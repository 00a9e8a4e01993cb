"""The kinds of things that have names, and the entries behind a name."""

from typing import NamedTuple

from mtlzoo._registry import (
    ARCHITECTURES,
    BALANCING,
    BASES,
    DATASETS,
    FEATURES,
    TASKS,
    TRUNKS,
    Entry,
    Registry,
    unknown_name,
)
from mtlzoo.errors import UnknownNameError

KINDS: dict[str, Registry] = {
    "architectures": ARCHITECTURES,
    "trunks": TRUNKS,
    "bases": BASES,
    "balancing": BALANCING,
    "tasks": TASKS,
    "features": FEATURES,
    "datasets": DATASETS,
}


class Named(NamedTuple):
    """An entry and its kind."""

    kind: str
    entry: Entry


def find(kind: str | None, pattern: str) -> list[Named]:
    """Return the entries of one kind, or of all, whose names match a pattern."""
    chosen = KINDS if kind is None else {kind: KINDS[kind]}
    return [
        Named(one, registry.entry(name))
        for one, registry in chosen.items()
        for name in registry.list(pattern)
    ]


def lookup(name: str) -> list[Named]:
    """Return the entries that have a name; some names are used in two kinds.

    Raises:
        UnknownNameError: nothing has it; the message lists close names.
    """
    found = find(None, name)
    if not found:
        known = [entry.name for _, entry in find(None, "*")]
        raise UnknownNameError(unknown_name("name", name, known))
    return found


def kind_named(word: str) -> str | None:
    """Return the kind that a word means, in the singular or plural, if any."""
    word = word.lower().replace("-", "").replace("_", "")
    return next(
        (kind for kind in KINDS if word in (kind, kind.removesuffix("s"))), None
    )
