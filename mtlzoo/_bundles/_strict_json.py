"""JSON as bundles have it: no key twice, no NaN, no endless file."""

import json
from typing import Any

from mtlzoo.errors import BundleError


def parse(content: bytes, name: str, *, limit: int) -> Any:
    """Return what `content` says.

    Args:
        content: UTF-8 text.
        name: of the file, for messages.
        limit: the most bytes that such a file may have.

    Raises:
        BundleError: it is too long or not such JSON.
    """
    if len(content) > limit:
        raise BundleError(
            f"{name} has {len(content):,} bytes; at most {limit:,} are allowed."
        )
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
        )
    # A number of very many digits is a ValueError, deep nesting a RecursionError.
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} can't be read as JSON: {error}") from error


def text(data: Any) -> str:
    """Return `data` as JSON text, always the same for the same data."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON")
