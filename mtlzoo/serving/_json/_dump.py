"""JSON values as the server quotes them in messages: RapidJSON's pretty printer."""

import json
from collections.abc import Iterator
from typing import Any

LIMIT = 256
"""Bytes after which the server quotes no further; what it began, it ends."""

LONGEST = 1024
"""Bytes of a quoted value; the server has no such limit for one long string."""

_LARGEST_UINT64 = 2**64 - 1
_SMALLEST_INT64 = -(2**63)


def dump(value: Any) -> str:
    """Return the beginning of `value` as text."""
    found = bytearray()
    for part in _parts(value, 0):
        found += part.encode("utf-8", "surrogateescape")
        if len(found) >= LIMIT:
            break
    return bytes(found[:LONGEST]).decode("utf-8", "replace")


def type_name(value: Any) -> str:
    """Return the name of a value's JSON type, as RapidJSON has it."""
    if value is None or isinstance(value, bool):
        return {None: "Null", True: "True", False: "False"}[value]
    names: dict[type, str] = {dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def quote(text: str) -> str:
    """Return a JSON string."""
    return json.dumps(text, ensure_ascii=False)


def number(value: float) -> str:
    """Return a number with the digits that tell it from every other double."""
    if isinstance(value, int) and _SMALLEST_INT64 <= value <= _LARGEST_UINT64:
        return str(value)
    value = float(value)
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    mantissa, _, exponent = repr(value).partition("e")
    if abs(value) < 1e21 and (abs(value) >= 1e-6 or value == 0):
        text = repr(value) if not exponent else f"{value:f}"
        if exponent.startswith("-"):
            digits = len(mantissa.replace("-", "").replace(".", "")) - 1
            text = f"{value:.{digits - int(exponent)}f}"
        return text if "." in text else text + ".0"
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def _parts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, dict) and value:
        indent = "    " * (depth + 1)
        for index, (key, one) in enumerate(value.items()):
            yield ("," if index else "{") + f"\n{indent}{quote(key)}: "
            yield from _parts(one, depth + 1)
        yield f"\n{indent[4:]}}}"
    elif isinstance(value, list) and value:
        for index, one in enumerate(value):
            yield ", " if index else "["
            yield from _parts(one, depth + 1)
        yield "]"
    elif isinstance(value, (dict, list)):
        yield "{}" if isinstance(value, dict) else "[]"
    elif isinstance(value, str):
        yield quote(value)
    elif value is None or isinstance(value, bool):
        yield json.dumps(value)
    else:
        yield number(value)
