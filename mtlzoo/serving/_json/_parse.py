"""JSON as RapidJSON reads it, at the speed of Python's own parser where they agree.

They agree on nearly every body that clients send. Python's parser reads those; whatever
it refuses, and what it would read otherwise, goes to `_exact`, which is slower and
knows each rule: `Inf` is a number, what follows the first value is ignored, bytes that
are no UTF-8 pass, half a surrogate pair and numbers beyond a double don't.
"""

import json
import re
from typing import Any

from mtlzoo.serving._json._exact import parse_exactly

_BOM = b"\xef\xbb\xbf"
_BEYOND_DOUBLE = re.compile(rb"\d{300}|[eE]\+?0*[1-9]\d\d")
_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SPACE = " \t\n\r"


def parse(body: bytes) -> Any:
    """Return the first JSON value in `body`.

    Of a key that is there twice, the first value counts. Strings whose bytes are no
    UTF-8 carry them as `surrogateescape` does.

    Args:
        body: UTF-8, with or without a byte order mark.

    Raises:
        ServingError: it is no JSON, or nested too deep; the message says what is wrong
            and where.
    """
    body = body.removeprefix(_BOM)
    if _BEYOND_DOUBLE.search(body) or _has_half_pair(body):
        return parse_exactly(body)
    text = body.decode("utf-8", "surrogateescape")
    start = len(text) - len(text.lstrip(_SPACE))
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return parse_exactly(body)
    return value


def _has_half_pair(body: bytes) -> bool:
    return bool(_SURROGATE.search(body) and _SURROGATE.search(_PAIR.sub(b"", body)))


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else dict(reversed(pairs))


_DECODER = json.JSONDecoder(object_pairs_hook=_first_wins)
