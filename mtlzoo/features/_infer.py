from typing import Any

import numpy as np

from mtlzoo._columns import as_array, columns_of, is_category
from mtlzoo.errors import DataError
from mtlzoo.features._arrays import Image, Sequence
from mtlzoo.features._base import Feature
from mtlzoo.features._categorical import Categorical
from mtlzoo.features._numeric import Date, Numeric


def infer(columns: Any, *, bins: int = 0) -> dict[str, Feature]:
    """Return a feature for each column of training data, by its type.

    | a column of | becomes |
    |---|---|
    | numbers, durations (in seconds) | `Numeric` with its mean and variance |
    | texts, booleans, pandas's categories | `Categorical` with its vocabulary |
    | dates | `Date` with its mean and variance |

    Integers count as numbers: where they are codes, put a `Categorical` in their place.
    What is missing, as None, NaN, NaT or an empty text, is left out of means and
    vocabularies, and the model reads it as unknown. A column of which all is missing
    counts as numbers.

    Args:
        columns: a dict of arrays of shape `(rows,)` or `(rows, n)`, or a data frame.
        bins: how many bins to encode a number by besides, at most, as in
            `Numeric.from_values`; 16 is a good start for numbers with heavy tails.

    Raises:
        DataError: a column has no feature: it has no rows, infinite numbers, or lists
            in its rows.

    Example:

    ```python
    inputs = mtlzoo.features.infer(train[["age", "job", "admitted"]])
    ```
    """
    return {
        name: infer_one(name, column, is_category(column), bins)
        for name, column in columns_of(columns, "`columns`").items()
    }


def infer_one(name: Any, column: Any, category: bool, bins: int) -> Feature:
    """Return the feature of one column.

    Args:
        name: of the column, for messages.
        column: its values.
        category: whether the column is declared to hold categories.
        bins: as for `infer`.
    """
    array = as_array(column, f"Column {name!r}")
    if not array.size:
        raise DataError(f"Column {name!r} has no values to infer a feature from.")
    if array.ndim > 2:
        raise DataError(
            f"Column {name!r} has rows of shape {array.shape[1:]}, of which no feature "
            f"is inferred. Give it one: {{**features.infer(others), {name!r}: "
            "mtlzoo.Image(shape)}; or, if no value needs scaling, the shape itself."
        )
    try:
        if array.dtype.kind == "M":
            return Date.from_values(array)
        if category or array.dtype.kind in "bOU":
            return Categorical.from_values(column)
        return Numeric.from_values(array, bins=bins if array.ndim == 1 else 0)
    except DataError as error:
        raise DataError(
            f"No feature can be inferred for column {name!r}: {error}"
        ) from error


def as_feature(name: str, value: Any) -> Feature:
    """Return the feature that `value`, a feature or a shape, stands for.

    Raises:
        DataError: it is neither, or a shape of more than three axes.
    """
    if isinstance(value, Feature):
        return value
    if not isinstance(value, tuple | list) or not all(
        size is None or (isinstance(size, int | np.integer) and size > 0)
        for size in value
    ):
        raise DataError(
            f"Input {name!r} must be a shape such as (224, 224, 3), a feature such as "
            "mtlzoo.Categorical(vocabulary), or a keras.Input; of data, "
            f"mtlzoo.features.infer(data) makes features. Received: {value!r}."
        )
    shape: Any = tuple(size if size is None else int(size) for size in value)
    if len(shape) <= 1:
        return Numeric(shape)
    if len(shape) == 2:
        return Sequence(shape)
    if len(shape) == 3:
        return Image(shape, scale=1.0, dtype="float32")
    raise DataError(
        f"Input {name!r} has {len(shape)} axes a row; features have at most 3. "
        "Pass a keras.Model as `trunk` for other inputs."
    )
