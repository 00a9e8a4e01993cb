"""A tensor from a JSON value: its shape from the lists, its type from the signature."""

import base64
import binascii
import itertools
import re
from typing import Any

import numpy as np

from mtlzoo.serving._errors import Code, ServingError, invalid
from mtlzoo.serving._json._dump import dump, type_name

MAX_RANK = 64
"""Axes that NumPy's arrays have at most."""

_INT32 = (-(2**31), 2**31 - 1)
_RANGES = {
    # Narrow types take what fits 32 bits, and wrap: the server sends them on as int32.
    **dict.fromkeys(["int8", "uint8", "int16", "int32"], _INT32),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_SERVER_NAMES = {"float32": "float", "float64": "double", "float16": "half"}
_TYPES: dict[str, set[type]] = {
    "float32": {int, float},
    "float64": {int, float},
    "bool": {bool},
    "string": {str},
    **{name: {int} for name in _RANGES},
}
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def server_name(dtype: str) -> str:
    """Return the name of a type in the server's messages."""
    return _SERVER_NAMES.get(dtype, dtype)


def is_base64(value: Any) -> bool:
    """Return whether `value` is an object that stands for bytes."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and isinstance(value.get("b64"), str)
    )


def decode_base64(value: dict[str, Any]) -> bytes:
    """Return the bytes that an object stands for."""
    text = re.sub(r"\s", "", value["b64"])
    if not _BASE64.fullmatch(text):
        raise invalid("Unable to base64 decode")
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error as error:
        raise invalid("Unable to base64 decode") from error


def to_tensor(value: Any, dtype: str) -> Any:
    """Return a JSON value as an array of `dtype`, `object` of bytes for strings.

    Raises:
        ServingError: lists of unequal length, or values that are none of `dtype`.
    """
    shape, leaves = _flatten(value)
    if leaves is None or not _all_fit(leaves, dtype):
        _check(value, 0, _first_shape(value), dtype)
        leaves = [
            decode_base64(one) if isinstance(one, dict) else one for one in leaves or []
        ]
    return _array(leaves, dtype).reshape(shape)


def _flatten(value: Any) -> tuple[list[int], list[Any] | None]:
    """Return shape and values, `None` where lists are of unequal length or depth."""
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        if set(map(type, level)) != {list}:
            return shape, None
        size = len(level[0])
        if any(len(one) != size for one in level):
            return shape, None
        shape.append(size)
        if len(shape) > MAX_RANK:
            raise invalid(f"Tensors have at most {MAX_RANK} dimensions")
        level = list(itertools.chain.from_iterable(level))
    deeper = any(isinstance(one, list) for one in level)
    return shape, None if deeper else level


def _all_fit(leaves: list[Any], dtype: str) -> bool:
    if dtype not in _TYPES or not set(map(type, leaves)) <= _TYPES[dtype]:
        return False
    if dtype not in _RANGES or not leaves:
        return True
    low, high = _RANGES[dtype]
    return bool(low <= min(leaves) and max(leaves) <= high)


def _array(leaves: list[Any], dtype: str) -> Any:
    if dtype == "string":
        array = np.empty(len(leaves), object)
        array[:] = [
            one.encode("utf-8", "surrogateescape") if isinstance(one, str) else one
            for one in leaves
        ]
        return array
    if dtype in _RANGES:
        return np.array(leaves, np.uint64 if dtype == "uint64" else np.int64).astype(
            dtype
        )
    with np.errstate(over="ignore"):  # beyond float32 is infinity, as in the server
        return np.array(leaves, np.float64 if dtype == "float32" else dtype).astype(
            dtype
        )


def _first_shape(value: Any) -> list[int]:
    """Return the shape that the first entry of each list has."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def _check(value: Any, level: int, shape: list[int], dtype: str) -> None:
    """Raise the server's error for the first thing that is wrong in `value`."""
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {dump(value)} found at incorrect level: {level + 1} in "
                f"the JSON DOM. Expected at level: {len(shape)}"
            )
        _check_leaf(value, dtype)
        return
    if level >= len(shape):
        raise invalid(
            f"Encountered list at unexpected level: {level} expected < {len(shape)}"
        )
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for one in value:
        _check(one, level + 1, shape, dtype)


def _check_leaf(value: Any, dtype: str) -> None:
    if dtype not in _TYPES:
        raise ServingError(
            Code.UNIMPLEMENTED,
            f"Conversion of JSON Value: {dump(value)} to type: {server_name(dtype)}",
        )
    if dtype == "string" and isinstance(value, dict):
        if not is_base64(value):
            raise invalid(
                f"JSON Value: {dump(value)} not formatted correctly for base64 data"
            )
        decode_base64(value)
    elif not _all_fit([value], dtype):
        raise invalid(
            f"JSON Value: {dump(value)} Type: {type_name(value)} is not of expected "
            f"type: {server_name(dtype)}"
        )
