import math
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from mtlzoo._registry import FEATURES
from mtlzoo.errors import DataError
from mtlzoo.features._base import Feature


@keras.saving.register_keras_serializable("mtlzoo")
class Standardize(keras.layers.Layer):
    """Subtract the mean, divide by the standard deviation, read NaN as the mean.

    Args:
        mean: a number, or one for each entry of the last axis.
        variance: likewise, positive.

    Input shape: any; a row of shape `()` becomes one of shape `(1,)`.

    Output shape: as the input's, float.
    """

    def __init__(self, mean: Any, variance: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = np.asarray(mean, "float64").tolist()
        self.variance = np.asarray(variance, "float64").tolist()

    def call(self, inputs: Any) -> Any:
        values = ops.cast(inputs, "float32")
        if len(values.shape) == 1:
            values = ops.expand_dims(values, -1)
        mean = ops.convert_to_tensor(self.mean, "float32")
        scale = ops.convert_to_tensor(np.sqrt(self.variance), "float32")
        values = (values - mean) / scale
        return ops.where(ops.isnan(values), ops.zeros_like(values), values)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, 1) if len(input_shape) == 1 else tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = {"mean": self.mean, "variance": self.variance}
        return {**super().get_config(), **config}


@FEATURES.register("numeric")
@keras.saving.register_keras_serializable("mtlzoo")
class Numeric(Feature):
    """A number, or a vector of them, normalised inside the model.

    NaN is read as the mean, that is 0 after normalisation.

    Args:
        shape: of one row: `()` for a number, `(n,)` for a vector.
        mean: a number, or one for each entry.
        variance: a positive number, or one for each entry.

    Example:

    ```python
    Numeric.from_values(train["age"])
    ```
    """

    form = "vector"
    dtype = "float32"

    def __init__(
        self,
        shape: tuple[int, ...] = (),
        *,
        mean: float | list[float] = 0.0,
        variance: float | list[float] = 1.0,
    ) -> None:
        self.shape = tuple(shape)
        self.mean = mean
        self.variance = variance
        if len(self.shape) > 1 or not all(isinstance(n, int) for n in self.shape):
            raise DataError(
                "`shape` of a Numeric feature must be () or (n,). Received: "
                f"shape={self.shape}."
            )
        if not (np.isfinite(mean).all() and (np.asarray(variance) > 0).all()):
            raise DataError(
                "A Numeric feature needs a finite mean and a positive variance. "
                f"Received: mean={mean}, variance={variance}."
            )

    @classmethod
    def from_values(cls, values: Any) -> Self:
        """Return a feature normalised by the mean and variance of `values`.

        Args:
            values: shape `(rows,)` or `(rows, n)`; NaN is left out. An entry that never
                varies keeps variance 1.
        """
        values = np.asarray(values, "float64")
        mean = np.nan_to_num(np.nanmean(values, axis=0))
        variance = np.nan_to_num(np.nanvar(values, axis=0))
        variance = np.where(variance > 0, variance, 1.0)
        return cls(values.shape[1:], mean=mean.tolist(), variance=variance.tolist())

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return self.shape

    def encode(self, inputs: Any, name: str) -> Any:
        return Standardize(
            self.mean, self.variance, dtype="float32", name=f"{name}.standardize"
        )(inputs)


@keras.saving.register_keras_serializable("mtlzoo")
class Calendar(keras.layers.Layer):
    """Turn seconds since 1970 into a trend and the sine and cosine of three cycles.

    The cycles are the day, the week and the year (365.2425 days).

    Args:
        mean: of the time, in seconds since 1970.
        variance: of the time, in seconds squared.

    Input shape: `(batch,)`, integers.

    Output shape: `(batch, 7)`.
    """

    DAY = 86_400.0
    # 1970 began on a Thursday; the phase doesn't matter, the period does.
    CYCLES = (DAY, 7 * DAY, 365.2425 * DAY)

    def __init__(self, mean: float, variance: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = float(mean)
        self.variance = float(variance)

    def call(self, inputs: Any) -> Any:
        seconds = ops.cast(inputs, "float64")
        parts = [(seconds - self.mean) / math.sqrt(self.variance)]
        for period in self.CYCLES:
            angle = 2 * math.pi * (seconds / period - ops.floor(seconds / period))
            parts += [ops.sin(angle), ops.cos(angle)]
        return ops.cast(ops.stack(parts, axis=-1), "float32")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, 1 + 2 * len(self.CYCLES))


@FEATURES.register("date")
@keras.saving.register_keras_serializable("mtlzoo")
class Date(Feature):
    """A point in time: whole seconds since 1970-01-01 UTC, as an integer.

    The model reads it as a normalised trend and as the time of day, of the week and of
    the year, each on a circle. NumPy and pandas dates are converted when they are
    passed to `fit`, `evaluate` and `predict`.

    Args:
        mean: of the training dates, in seconds since 1970.
        variance: of the training dates, in seconds squared.

    Example:

    ```python
    Date.from_values(train["admitted"])
    ```
    """

    form = "vector"
    dtype = "int64"

    def __init__(self, *, mean: float = 0.0, variance: float = 1e18) -> None:
        self.mean = mean
        self.variance = variance

    @classmethod
    def from_values(cls, values: Any) -> Self:
        """Return a feature normalised by the dates in `values`, shape `(rows,)`."""
        seconds = to_seconds(values).astype("float64")
        variance = float(seconds.var())
        return cls(mean=float(seconds.mean()), variance=variance or 1.0)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return ()

    def encode(self, inputs: Any, name: str) -> Any:
        return Calendar(
            self.mean, self.variance, dtype="float32", name=f"{name}.calendar"
        )(inputs)


def to_seconds(values: Any) -> Any:
    """Return NumPy dates, or integers that are seconds already, as int64 seconds."""
    values = np.asarray(values)
    if np.issubdtype(values.dtype, np.datetime64):
        if np.isnat(values).any():
            raise DataError("A date is missing (NaT). Fill it in, or drop its row.")
        return values.astype("datetime64[s]").astype("int64")
    return values.astype("int64")
