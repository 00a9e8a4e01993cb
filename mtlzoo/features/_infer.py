from typing import Any

import numpy as np

from mtlzoo.errors import DataError
from mtlzoo.features._arrays import Image, Sequence
from mtlzoo.features._base import Feature
from mtlzoo.features._categorical import Categorical
from mtlzoo.features._numeric import Date, Numeric


def infer(columns: Any, *, bins: int = 0) -> dict[str, Feature]:
    """Return a feature for each column of training data, by its type.

    Numbers become `Numeric` with the column's mean and variance, strings and booleans
    `Categorical` with the column's vocabulary, dates `Date`. Integers count as numbers:
    where they are codes, put a `Categorical` in their place.

    Args:
        columns: a dict of arrays of shape `(rows,)` or `(rows, n)`, or a data frame.
        bins: how many bins to encode a number by besides, at most, as in
            `Numeric.from_values`; 16 is a good start for numbers with heavy tails.

    Example:

    ```python
    inputs = mtlzoo.features.infer(train[["age", "job", "admitted"]])
    ```
    """
    features: dict[str, Feature] = {}
    for name, column in columns.items():
        values = np.asarray(column)
        if np.issubdtype(values.dtype, np.datetime64):
            features[name] = Date.from_values(values)
        elif np.issubdtype(values.dtype, np.number):
            features[name] = Numeric.from_values(
                values, bins=bins if values.ndim == 1 else 0
            )
        elif values.dtype == bool:
            features[name] = Categorical.from_values(values.astype("int64"))
        else:
            features[name] = Categorical.from_values(values.astype("str"))
    return features


def as_feature(name: str, value: Any) -> Feature:
    """Return the feature that `value`, a feature or a shape, stands for.

    Raises:
        DataError: it is neither, or a shape of more than three axes.
    """
    if isinstance(value, Feature):
        return value
    if not isinstance(value, tuple | list) or not all(
        size is None or isinstance(size, int) for size in value
    ):
        raise DataError(
            f"Input {name!r} must be a shape such as (224, 224, 3), a feature such as "
            f"mtlzoo.Categorical(vocabulary), or a keras.Input. Received: {value!r}."
        )
    shape = tuple(value)
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
