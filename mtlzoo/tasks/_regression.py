from typing import Any, Self

import keras
import numpy as np
from keras import ops

from mtlzoo._dtypes import as_dtype
from mtlzoo._moments import moments
from mtlzoo._registry import TASKS
from mtlzoo.errors import TaskError
from mtlzoo.tasks._base import Task


@TASKS.register("regression")
@keras.saving.register_keras_serializable("mtlzoo")
class Regression(Task):
    """A number, or several, on a continuous scale.

    Predictions have shape `(batch, *shape)`, or `(batch, 1)` for a single number, and
    come in the units of the labels. Labels have the same shape; a single number's may
    be `(batch,)`. The loss is the squared error; the metrics are the mean absolute
    error and the coefficient of determination.

    With `mean` and `variance` the head works on the normalised scale and the model
    undoes it: predictions keep the labels' units, also when exported, while the loss is
    that of `(label - mean) / sqrt(variance)`, so tasks of different units compare.

    Args:
        name: of the task.
        shape: of one row's labels: `()` for a number, `(n,)` for `n` of them.
        mean: of the labels: a number, or one for each of `n`.
        variance: of the labels: a positive number, or one for each of `n`.
        loss_weight: what the loss is multiplied by.
        loss: a Keras loss in place of the default; it sees the normalised scale.
        metrics: Keras metrics in place of the defaults; they see the labels' units.
        missing: a value that marks a missing label; NaN always does.

    Example:

    ```python
    Regression.from_values("hours", train["hours"], loss="huber")
    ```
    """

    default_loss = staticmethod(keras.losses.mean_squared_error)
    headline = ("mae", False)

    def __init__(
        self,
        name: str,
        *,
        shape: tuple[int, ...] = (),
        mean: float | list[float] = 0.0,
        variance: float | list[float] = 1.0,
        loss_weight: float = 1.0,
        loss: Any = None,
        metrics: list[Any] | None = None,
        missing: float | None = None,
    ) -> None:
        self.shape = tuple(shape)
        if len(self.shape) > 1:
            raise TaskError(
                f"`shape` of Regression {name!r} must be () or (n,). Received: "
                f"shape={self.shape}. For a value a pixel take tasks.Dense."
            )
        self.mean = np.asarray(mean, "float64").tolist()
        self.variance = np.asarray(variance, "float64").tolist()
        if not (np.isfinite(mean).all() and (np.asarray(variance) > 0).all()):
            raise TaskError(
                f"Regression {name!r} needs a finite mean and a positive variance. "
                f"Received: mean={mean}, variance={variance}."
            )
        super().__init__(
            name,
            loss_weight=loss_weight,
            loss=loss,
            metrics=metrics,
            class_weight=None,
            missing=missing,
        )

    @classmethod
    def from_values(cls, name: str, values: Any, **options: Any) -> Self:
        """Return a task normalised by the mean and variance of `values`.

        Args:
            name: of the task.
            values: training labels, shape `(rows,)` or `(rows, n)`; NaN is left out.
                Labels that never vary keep variance 1.
            **options: any other argument of the constructor.

        Raises:
            TaskError: some labels are infinite, or all are missing.
        """
        what = f"Labels of Regression {name!r}"
        values = as_dtype(values, "float64", what)
        if np.isnan(values).all(axis=0).any():
            raise TaskError(
                f"{what} are all missing, so there is nothing to normalise by. Give "
                "rows that have some, or the mean and variance yourself: "
                f"Regression({name!r}, mean=..., variance=...)."
            )
        mean, variance = moments(values, what, TaskError)
        shape = values.shape[1:] if values.shape[1:] != (1,) else ()
        return cls(
            name,
            shape=shape,
            mean=mean.reshape(shape).tolist(),
            variance=variance.reshape(shape).tolist(),
            **options,
        )

    @property
    def units(self) -> int:
        return self.shape[0] if self.shape else 1

    @property
    def prediction_shape(self) -> tuple[int | None, ...]:
        return self.shape or (1,)

    @property
    def expected_range(self) -> str:
        return "finite, or NaN where missing"

    @property
    def is_normalised(self) -> bool:
        return bool(np.any(self.mean) or np.any(np.asarray(self.variance) != 1))

    def out_of_range(self, labels: Any) -> Any:
        return ops.isinf(labels)

    def activate(self, logits: Any, name: str) -> Any:
        if not self.is_normalised:
            return keras.layers.Identity(dtype="float32", name=f"{name}.value")(logits)
        return keras.layers.Rescaling(
            scale=np.sqrt(self.variance).tolist(),
            offset=self.mean,
            dtype="float32",
            name=f"{name}.value",
        )(logits)

    def row_losses(self, labels: Any, predictions: Any) -> Any:
        if self.is_normalised:
            mean = ops.convert_to_tensor(self.mean, "float32")
            scale = ops.convert_to_tensor(np.sqrt(self.variance), "float32")
            labels = (labels - mean) / scale
            predictions = (predictions - mean) / scale
        return super().row_losses(labels, predictions)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.R2Score(name="r2"),
        ]
