"""Predictions as JSON text, with the server's digits."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mtlzoo.serving._errors import invalid
from mtlzoo.serving._json._dump import quote
from mtlzoo.serving._json._tensors import server_name

_BYTES_SUFFIX = "_bytes"


def error_response(message: str) -> bytes:
    """Return the body that carries an error."""
    text = f'{{\n    "error": {quote(message)}\n}}'
    return text.encode("utf-8", "surrogateescape")


def predict_response(outputs: Mapping[str, Any], *, by_rows: bool) -> bytes:
    """Return the body for arrays by output name.

    One output stands alone, several stand by name. Numbers that are no JSON (`NaN`,
    `Infinity`) stand bare, and strings that are no UTF-8 raw, as the server has them.

    Args:
        outputs: arrays; of `object` where they hold bytes.
        by_rows: as `instances` ask for, each row apart.

    Raises:
        ServingError: a type that JSON can't hold, or by rows, outputs without rows.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    text = _rows(outputs) if by_rows else _columns(outputs)
    return text.encode("utf-8", "surrogateescape")


def float32_texts(values: Any) -> list[str]:
    """Return numbers of single precision as JSON has them."""
    return _float_texts(np.asarray(values, np.float32), ".9g")


def _rows(outputs: Mapping[str, Any]) -> str:
    batch = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if batch is not None and len(array) != batch:
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} "
                f"expecting: {batch}"
            )
        batch = len(array)
    columns = {name: _texts(name, array, 1) for name, array in outputs.items()}
    if len(columns) == 1:
        (rows,) = columns.values()
    else:
        names = [quote(name) for name in columns]
        rows = [
            "{" + ", ".join(map("{}: {}".format, names, row)) + "}"
            for row in zip(*columns.values(), strict=True)
        ]
    return f'{{"predictions": [{", ".join(rows)}]}}'


def _columns(outputs: Mapping[str, Any]) -> str:
    texts = {name: _texts(name, array, 0)[0] for name, array in outputs.items()}
    if len(texts) == 1:
        (found,) = texts.values()
    else:
        pairs = (f"{quote(name)}: {text}" for name, text in texts.items())
        found = "{" + ", ".join(pairs) + "}"
    return f'{{"outputs": {found}}}'


def _texts(name: str, array: Any, outer: int) -> list[str]:
    """Return the text of each entry of the first `outer` axes together."""
    texts = _leaves(name, array)
    for axis in range(array.ndim - 1, outer - 1, -1):
        size = array.shape[axis]
        count = int(np.prod(array.shape[:axis], dtype=np.int64))
        texts = [
            "[" + ", ".join(texts[index * size : (index + 1) * size]) + "]"
            for index in range(count)
        ]
    return texts


def _leaves(name: str, array: Any) -> list[str]:
    dtype = "string" if array.dtype.kind in "OS" else array.dtype.name
    if dtype == "string":
        write = _base64_text if name.endswith(_BYTES_SUFFIX) else _string_text
        return [write(one) for one in array.ravel().tolist()]
    if dtype not in _WRITERS:
        raise invalid(
            f"Failed to write JSON value for tensor type: {server_name(dtype)}"
        )
    return _WRITERS[dtype](array.ravel())


def _float_texts(array: Any, exact: str) -> list[str]:
    """Return six digits where they tell the number from others, else all it takes."""
    values: Sequence[float] = array.tolist()
    texts = [f"{value:g}" for value in values]
    with np.errstate(over="ignore"):
        differ = (
            np.asarray([float(text) for text in texts]).astype(array.dtype) != array
        )
    for index in np.flatnonzero(differ).tolist():
        texts[index] = format(values[index], exact)
    return [_NOT_FINITE.get(text) or _with_point(text) for text in texts]


def _with_point(text: str) -> str:
    return text if "." in text or "e" in text else text + ".0"


def _int_texts(array: Any) -> list[str]:
    return list(map(str, array.tolist()))


def _bool_texts(array: Any) -> list[str]:
    return ["true" if one else "false" for one in array.tolist()]


def _string_text(value: bytes) -> str:
    return quote(value.decode("utf-8", "surrogateescape"))


def _base64_text(value: bytes) -> str:
    return f'{{"b64": "{base64.b64encode(value).decode()}"}}'


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_INTEGERS = ("int8", "uint8", "int16", "int32", "int64", "uint32", "uint64")
_WRITERS: dict[str, Callable[[Any], list[str]]] = {
    "float32": lambda array: _float_texts(array, ".9g"),
    "float64": lambda array: _float_texts(array, ".17g"),
    "bool": _bool_texts,
    **dict.fromkeys(_INTEGERS, _int_texts),
}
