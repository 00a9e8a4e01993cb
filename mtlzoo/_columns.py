"""Columns as people have them, as NumPy arrays: one rule for frames, dicts and lists.

A value is missing where it is None, NaN, NaT, the NA of pandas or an empty text.
"""

import datetime
import numbers
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from mtlzoo.errors import DataError


def is_table(value: Any) -> bool:
    """Return whether `value` holds columns by name."""
    return isinstance(value, Mapping) or hasattr(value, "columns")


def columns_of(table: Any, what: str) -> dict[Any, Any]:
    """Return the columns of a dict or data frame by name, each as it is.

    Args:
        table: a dict, or a data frame of pandas, polars or pyarrow.
        what: the argument's name, for messages.

    Raises:
        DataError: it has no columns by name, or two of one name.
    """
    if isinstance(table, Mapping):
        return dict(table)
    # The `columns` of pyarrow are what others call the values.
    names = getattr(table, "column_names", None)
    if names is None:
        names = getattr(table, "columns", None)
    if names is None:
        raise DataError(
            f"{what} must be a data frame or a dict of arrays. "
            f"Received: {type(table).__name__}."
        )
    names = list(names)
    if twice := sorted({str(name) for name in names if names.count(name) > 1}):
        raise DataError(
            f"The columns of {what} need names of their own. Used more than once: "
            f"{', '.join(twice)}."
        )
    return {name: table[name] for name in names}


def is_category(column: Any) -> bool:
    """Return whether `column` is declared to hold categories, as pandas can."""
    return getattr(getattr(column, "dtype", None), "name", None) == "category"


def plain_array(column: Any, what: str, error: type[Exception] = DataError) -> Any:
    """Return a column as an array of NumPy's own types.

    Args:
        column: an array, list, or column of a data frame.
        what: what the column is, for messages.
        error: the class of what is raised.

    Raises:
        DataError: the rows have different shapes, or a row is no value.
    """
    try:
        array = np.asarray(_without_extension(column))
    except UnicodeDecodeError:  # texts and bytes in one list
        array = np.asarray(column, object)
    except ValueError as cause:
        raise error(
            f"{what} must have rows of one shape. Received rows of several; pad the "
            "shorter ones."
        ) from cause
    if array.dtype.kind in "US" and isinstance(column, list | tuple):
        # NumPy writes NaN among texts as 'nan', and takes the zeros off bytes.
        array = np.asarray(column, object)
    if array.dtype.kind == "O":
        for one in array.ravel():
            if isinstance(one, list | tuple | dict | set | np.ndarray):
                raise error(
                    f"{what} must hold one value a row. Received: {type(one).__name__}."
                    " Rows of one length become an array by numpy.stack(column)."
                )
    return array


def as_array(column: Any, what: str, error: type[Exception] = DataError) -> Any:
    """Return a column as an array whose type says what it holds.

    Numbers are numbers, and where some are missing floats with NaN; so is a column of
    which all is missing. Booleans are booleans, and where some are missing objects with
    None. Dates are `datetime64`, of UTC where they know their time zone; durations are
    seconds. All else are texts, as objects or NumPy's own.

    Args:
        column: an array, list, or column of a data frame.
        what: what the column is, for messages.
        error: the class of what is raised.

    Raises:
        DataError: the rows have different shapes, a row is no value, or the values are
            none of these.
    """
    return typed(plain_array(column, what, error), what, error)


def typed(array: Any, what: str, error: type[Exception] = DataError) -> Any:
    """Return what `as_array` does, of an array of `plain_array`."""
    kind = array.dtype.kind
    if kind in "OS":
        return _by_content(array.astype(object), what, error)
    if kind == "m":
        return _seconds(array)
    if kind not in "biufMU" and "float" not in array.dtype.name:  # such as bfloat16
        raise error(
            f"{what} must hold numbers, dates or texts. Received {array.dtype}."
        )
    return array


def holds_booleans(array: Any) -> bool:
    """Return whether an array of `as_array` holds booleans, some maybe missing."""
    if array.dtype.kind == "O":
        return any(isinstance(value, bool) for value in array.ravel())
    return bool(array.dtype.kind == "b")


def is_missing(value: Any) -> bool:
    """Return whether `value` stands for none."""
    if value is None or isinstance(value, str | bytes):
        return not value
    try:
        return bool(value != value)  # NaN and NaT alone differ from themselves
    except TypeError:
        return True  # the NA of pandas, which neither does nor doesn't
    except ValueError:
        return False  # an array


def text_of(value: Any, what: str, error: type[Exception] = DataError) -> str:
    """Return a value as text, a missing one as an empty one."""
    if is_missing(value):
        return ""
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError as cause:
        raise error(f"{what} must hold texts in UTF-8. Received: {value!r}.") from cause


def _without_extension(column: Any) -> Any:
    """Return what NumPy reads right, for the types that pandas has of its own."""
    dtype: Any = getattr(column, "dtype", None)
    kind = getattr(dtype, "kind", None)
    if isinstance(dtype, np.dtype) or not hasattr(column, "to_numpy"):
        return column
    if kind == "M":
        return column.to_numpy("datetime64[ns]")
    if kind in ("i", "u", "f"):
        if column.isna().any():
            return column.to_numpy("float64", na_value=np.nan)
        return column.to_numpy(f"{kind}{dtype.itemsize}")
    return column


def _by_content(array: Any, what: str, error: type[Exception]) -> Any:
    """Return objects as what all of them are."""
    flat = array.ravel()
    there = np.fromiter((not is_missing(one) for one in flat), "bool", len(flat))
    found = flat[there]
    kinds = {type(one) for one in found}

    def all_are(*classes: type) -> bool:
        return all(issubclass(kind, classes) for kind in kinds)

    def filled(values: Any, missing: Any, dtype: Any) -> Any:
        whole = np.full(flat.shape, missing, dtype)
        whole[there] = values
        return whole.reshape(array.shape)

    if not kinds:
        return filled(found, np.nan, "float64")
    if all_are(bool, np.bool_):
        whole = filled([bool(one) for one in found], None, object)
        return whole.astype("bool") if there.all() else whole
    if all_are(numbers.Real, Decimal):
        if there.all() and all_are(int, np.integer):
            # NumPy's own choice: integers beyond 64 bits stay objects.
            integers = np.array(found.tolist()).reshape(array.shape)
            if integers.dtype.kind in "iu":
                return integers
        return filled([float(one) for one in found], np.nan, "float64")
    if all_are(datetime.date, np.datetime64):
        return filled([_in_utc(one) for one in found], "NaT", "datetime64[us]")
    if all_are(datetime.timedelta, np.timedelta64):
        return _seconds(filled(found, "NaT", "timedelta64[us]"))
    return filled([text_of(one, what, error) for one in found], "", object)


def _seconds(durations: Any) -> Any:
    seconds = durations / np.timedelta64(1, "s")
    return np.where(np.isnat(durations), np.nan, seconds)


def _in_utc(date: Any) -> Any:
    """Return a date as NumPy takes it, which knows no time zones."""
    if getattr(date, "tzinfo", None) is None:
        return date
    return date.astimezone(datetime.UTC).replace(tzinfo=None)
