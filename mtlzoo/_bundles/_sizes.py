"""Sizes of files, as people write and read them."""

import re

from mtlzoo.errors import OptionError

_UNITS = {"": 1, "b": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def size_in_bytes(size: int | str) -> int:
    """Return a size as a number of bytes.

    Raises:
        OptionError: it is none.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", str(size))
    if match is None or match[2].lower() not in _UNITS:
        raise OptionError(
            "A size must be a number of bytes, or a text such as '5 MB'. Received: "
            f"{size!r}."
        )
    return int(float(match[1]) * _UNITS[match[2].lower()])


def size_in_words(size: float) -> str:
    """Return a number of bytes as people read it, such as `"1.5 MB"`."""
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} GB"
