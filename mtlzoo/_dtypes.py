"""Arrays in the type that an input of a model declares, with nothing lost silently."""

from typing import Any

import numpy as np

from mtlzoo._columns import plain_array, text_of, typed
from mtlzoo.errors import DataError

MISSING_INTEGER = int(np.iinfo("int64").min)
"""What stands for a missing integer; NaT is that, too, when read as an integer."""

SCALED = (
    " For pixels that are scaled already, take Image(shape, scale=1.0, "
    "dtype='float32')."
)

CLIPPED = " Cut what is outside of 0 to 255: numpy.clip(pixels, 0, 255)."


def as_dtype(column: Any, dtype: str, what: str) -> Any:
    """Return a column as an array of the type that an input declares.

    Dates become seconds since 1970. A missing value becomes an empty text, NaN, or
    `MISSING_INTEGER`, as `dtype` has it.

    Args:
        column: an array, list, or column of a data frame.
        dtype: of the input, such as `"string"`, `"float32"` or `"int64"`.
        what: what the column is, for messages.

    Raises:
        DataError: the column holds texts where numbers are wanted, or numbers that
            `dtype` can't hold.
    """
    return cast(plain_array(column, what), dtype, what)


def cast(array: Any, dtype: str, what: str) -> Any:
    """Return what `as_dtype` does, of an array of `plain_array`."""
    if dtype == "string":
        return _texts(array, what)
    array = typed(array, what)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[s]").astype("int64")
    try:
        values = array.astype("float64") if array.dtype.kind in "OU" else array
    except ValueError as cause:
        raise DataError(
            f"{what} must hold numbers ({dtype}). Received: "
            f"{array.ravel()[:3].tolist()}."
        ) from cause
    if dtype.startswith(("int", "uint")):
        return _integers(values, dtype, what)
    with np.errstate(over="ignore"):  # beyond what the type holds is infinite
        return values.astype(dtype, copy=False)


def as_fed(column: Any, dtype: str, what: str) -> Any:
    """Return a column as a graph is fed: as `as_dtype` does, but texts as bytes.

    Bytes that are no text, such as a JPEG file, stay as they are.

    Raises:
        DataError: as `as_dtype` does.
    """
    if dtype != "string":
        return as_dtype(column, dtype, what)
    array = plain_array(column, what)
    fed = np.empty(array.size, object)
    fed[:] = [
        one if isinstance(one, bytes) else text_of(one, what).encode()
        for one in array.ravel()
    ]
    return fed.reshape(array.shape)


def _texts(array: Any, what: str) -> Any:
    if array.dtype.kind == "U":
        return array
    texts = np.empty(array.size, object)
    texts[:] = [text_of(one, what) for one in array.ravel()]
    return texts.reshape(array.shape)


def _integers(values: Any, dtype: str, what: str) -> Any:
    if np.can_cast(values.dtype, dtype):
        return values.astype(dtype, copy=False)
    missing = values != values  # NaN
    there = np.where(missing, 0, values) if missing.any() else values
    with np.errstate(invalid="ignore"):
        integers = there.astype(dtype)
    wrong, hint = integers != there, ""
    if dtype == "uint8":
        wrong, hint = _refused_pixels(there, wrong)
    if missing.any() and dtype == "int64":
        integers[missing] = MISSING_INTEGER
    elif missing.any():
        wrong = missing
    if wrong.any():
        raise DataError(
            f"{what} must hold whole numbers ({dtype}). Received {values.dtype}: "
            f"{values[wrong][0]}.{hint}"
        )
    return integers


def _refused_pixels(pixels: Any, broken: Any) -> tuple[Any, str]:
    """Return which pixels can't be bytes, and what to do about it.

    Those that were resized have fractions, and may be a little above 255, which doesn't
    matter; those from 0 to 1 would all be black.
    """
    if pixels.max(initial=0) <= 1:
        return broken, SCALED
    return (pixels <= -1) | (pixels >= 256), CLIPPED
