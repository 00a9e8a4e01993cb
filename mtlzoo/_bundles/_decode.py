"""From plain JSON data to frozen dataclasses, strictly."""

import dataclasses
import types
import typing
from typing import Any

from mtlzoo.errors import BundleError


def decode(kind: Any, data: Any, where: str) -> Any:
    """Return `data` as a value of the type `kind`.

    Args:
        kind: a dataclass, `tuple[kind, ...]`, `dict[str, Any]`, a union with `None`,
            `Any`, or one of str, bool, int, float.
        data: of JSON.
        where: what `data` is, for messages.

    Raises:
        BundleError: a field is missing, unknown or of another type.
    """
    if kind is Any:
        return data
    if dataclasses.is_dataclass(kind):
        return _decode_fields(kind, data, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        (inner,) = (one for one in arguments if one is not types.NoneType)
        return None if data is None else decode(inner, data, where)
    if origin is tuple and isinstance(data, list):
        return tuple(
            decode(arguments[0], one, f"{where}[{index}]")
            for index, one in enumerate(data)
        )
    if origin is dict and isinstance(data, dict):
        return {key: decode(arguments[1], one, where) for key, one in data.items()}
    if kind is float and type(data) is int:
        return float(data)
    if origin is None and type(data) is kind:
        return data
    expected = getattr(origin or kind, "__name__", kind)
    expected = {"tuple": "list", "str": "string"}.get(expected, expected)
    raise BundleError(f"{where} must be a {expected}. Received: {data!r:.100}.")


def encode(value: Any) -> Any:
    """Return a dataclass as plain JSON data."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: encode(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, tuple | list):
        return [encode(one) for one in value]
    if isinstance(value, dict):
        return {key: encode(one) for key, one in value.items()}
    return value


def _decode_fields(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise BundleError(f"{where} must be an object. Received: {data!r:.100}.")
    types_of = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(data) - set(fields)):
        raise BundleError(f"{where} has unknown fields: {', '.join(unknown)}.")
    needed = {
        name
        for name, field in fields.items()
        if field.default is field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(needed - set(data)):
        raise BundleError(f"{where} lacks: {', '.join(missing)}.")
    return kind(
        **{
            name: decode(types_of[name], one, f"{where}.{name}")
            for name, one in data.items()
        }
    )
