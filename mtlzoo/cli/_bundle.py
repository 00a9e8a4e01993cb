"""Bundles as arguments: names, folders, and several by a wildcard."""

from pathlib import Path

from mtlzoo import _bundles
from mtlzoo._bundles import Bundle, Entry
from mtlzoo._registry import unknown_name
from mtlzoo.errors import UnknownNameError


def source(text: str) -> str | Path | None:
    """Return what `mtlzoo.load` takes, if `text` means a bundle.

    A folder is one if it has a manifest; a word that is no path is one if it looks like
    a name. So `model.keras` and `runs/adult` mean no bundle.
    """
    if text.startswith("hf://"):
        return text
    path = Path(text)
    if path.is_dir():
        return path if any(_manifests(path)) else None
    is_name = _bundles.NAME.fullmatch(text) and not text.endswith(".keras")
    return text if is_name else None


def _manifests(path: Path) -> list[Path]:
    return [*path.glob("bundle.json"), *path.glob("*/bundle.json")]


def find(text: str, version: int | None = None, *, everything: bool = False) -> Bundle:
    """Return the bundle that `text` means; see `mtlzoo.hub.locate`.

    Raises:
        UnknownNameError: it means none.
    """
    found = source(text)
    # What is no name and no folder gets the message that says what names there are.
    return _bundles.find(
        text if found is None else found, version, everything=everything
    )


def entries(patterns: tuple[str, ...]) -> list[Entry]:
    """Return the newest entry of each bundle that names or patterns mean.

    The bases that they stand on are among them.

    Raises:
        UnknownNameError: one means none.
    """
    found: dict[str, Entry] = {}
    for pattern in patterns:
        matching = _bundles.find_pretrained(pattern)
        if not matching and any(sign in pattern for sign in "*?["):
            known = _bundles.list_pretrained()
            raise UnknownNameError(unknown_name("bundle", pattern, known))
        for one in matching or [_bundles.find_entry(pattern)]:
            if one.base:
                found[one.base] = _bundles.find_entry(one.base)
            found[one.name] = one
    return [found[name] for name in sorted(found)]
