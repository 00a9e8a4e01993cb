import math
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from mtlzoo._dtypes import MISSING_INTEGER, as_dtype
from mtlzoo._moments import moments
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


@keras.saving.register_keras_serializable("mtlzoo")
class PiecewiseLinear(keras.layers.Layer):
    """Encode a number by how far it gets through each of a row of bins.

    Bin `t` from `edge_t` to `edge_(t+1)` gives `(x - edge_t) / (edge_(t+1) - edge_t)`,
    kept within 0 and 1. NaN gives 0 everywhere.

    Args:
        edges: at least two numbers, ascending.

    Input shape: `(batch,)`.

    Output shape: `(batch, len(edges) - 1)`.
    """

    def __init__(self, edges: list[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.edges = [float(edge) for edge in edges]

    def call(self, inputs: Any) -> Any:
        lower = ops.convert_to_tensor(self.edges[:-1], "float32")
        width = ops.convert_to_tensor(np.diff(self.edges), "float32")
        values = ops.expand_dims(ops.cast(inputs, "float32"), -1)
        parts = ops.clip((values - lower) / width, 0.0, 1.0)
        return ops.where(ops.isnan(parts), ops.zeros_like(parts), parts)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, len(self.edges) - 1)


@FEATURES.register("numeric")
@keras.saving.register_keras_serializable("mtlzoo")
class Numeric(Feature):
    """A number, or a vector of them, normalised inside the model.

    NaN is read as the mean, that is 0 after normalisation.

    With `edges`, a number is also encoded by how far it gets through each bin between
    two edges. That lets dense layers see steps and heavy tails, which they learn slowly
    from one normalised number.

    Args:
        shape: of one row: `()` for a number, `(n,)` for a vector.
        mean: a number, or one for each entry.
        variance: a positive number, or one for each entry.
        edges: of the bins of a single number, ascending, or `None` for no bins.

    Example:

    ```python
    Numeric.from_values(train["age"])
    Numeric.from_values(train["capital_gain"], bins=16)
    ```

    Reference: Yury Gorishniy, Ivan Rubachev, Artem Babenko, *On Embeddings for
    Numerical Features in Tabular Deep Learning*, NeurIPS 2022,
    <https://arxiv.org/abs/2203.05556>, section 3.2 (piecewise linear encoding).

    Differences from the paper: the normalised number is kept beside its encoding, the
    first and last bin don't extend beyond their edges, and `from_values` takes
    quantiles of the distinct values, so that a value that most rows share doesn't use
    up all bins.
    """

    form = "vector"
    dtype = "float32"

    def __init__(
        self,
        shape: tuple[int, ...] = (),
        *,
        mean: float | list[float] = 0.0,
        variance: float | list[float] = 1.0,
        edges: list[float] | None = None,
    ) -> None:
        self.shape = tuple(shape)
        self.mean = mean
        self.variance = variance
        self.edges = edges
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
        if edges is not None and (
            self.shape or len(edges) < 2 or not (np.diff(edges) > 0).all()
        ):
            raise DataError(
                "`edges` of a Numeric feature must be two or more ascending numbers, "
                f"and its shape (). Received: shape={self.shape}, edges={edges}."
            )

    @classmethod
    def from_values(cls, values: Any, *, bins: int = 0) -> Self:
        """Return a feature normalised by the mean and variance of `values`.

        Args:
            values: shape `(rows,)` or `(rows, n)`; NaN is left out. An entry that never
                varies keeps variance 1, and one that is always NaN mean 0, too.
            bins: how many bins to encode a single number by, at most: their edges are
                quantiles of the distinct values. 0 for none.
        """
        values = as_dtype(values, "float64", "`values`")
        mean, variance = moments(values, "`values`")
        edges = None
        if bins:
            distinct = np.unique(values[~np.isnan(values)])
            if distinct.size:
                edges = np.unique(np.quantile(distinct, np.linspace(0, 1, bins + 1)))
        return cls(
            values.shape[1:],
            mean=mean.tolist(),
            variance=variance.tolist(),
            edges=None if edges is None or len(edges) < 2 else edges.tolist(),
        )

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return self.shape

    def encode(self, inputs: Any, name: str) -> Any:
        standardized = Standardize(
            self.mean, self.variance, dtype="float32", name=f"{name}.standardize"
        )(inputs)
        if self.edges is None:
            return standardized
        binned = PiecewiseLinear(self.edges, dtype="float32", name=f"{name}.bins")(
            inputs
        )
        return keras.layers.Concatenate(dtype="float32", name=f"{name}.encoded")(
            [standardized, binned]
        )


@keras.saving.register_keras_serializable("mtlzoo")
class Calendar(keras.layers.Layer):
    """Turn seconds since 1970 into a trend and the sine and cosine of three cycles.

    The cycles are the day, the week and the year (365.2425 days). A missing time, the
    smallest integer, gives zeros.

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
        values = ops.cast(ops.stack(parts, axis=-1), "float32")
        missing = ops.expand_dims(ops.equal(inputs, MISSING_INTEGER), -1)
        return ops.where(missing, ops.zeros_like(values), values)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, 1 + 2 * len(self.CYCLES))


@FEATURES.register("date")
@keras.saving.register_keras_serializable("mtlzoo")
class Date(Feature):
    """A point in time: whole seconds since 1970-01-01 UTC, as an integer.

    The model reads it as a normalised trend and as the time of day, of the week and of
    the year, each on a circle. Dates of Python, NumPy and pandas are converted when
    they are passed to `fit`, `evaluate` and `predict`; a missing one, NaT or the
    smallest 64-bit integer, is read as zeros, which no date gives.

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
        """Return a feature normalised by the dates in `values`, shape `(rows,)`.

        Missing dates, NaT, are left out.
        """
        seconds = to_seconds(values)
        mean, variance = moments(
            np.where(seconds == MISSING_INTEGER, np.nan, seconds), "`values`"
        )
        return cls(mean=float(mean), variance=float(variance))

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return ()

    def encode(self, inputs: Any, name: str) -> Any:
        return Calendar(
            self.mean, self.variance, dtype="float32", name=f"{name}.calendar"
        )(inputs)


def to_seconds(values: Any) -> Any:
    """Return dates, or integers that are seconds already, as int64 seconds.

    A missing date becomes the smallest integer, which `Date` reads as missing.
    """
    return as_dtype(values, "int64", "Dates")
