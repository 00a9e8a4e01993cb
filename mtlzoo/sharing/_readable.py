from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops


class Readable:
    """What a layer has that shows how tasks share; see `sharing_report`.

    The name of such a layer is `sharing.<place>.<reader>`, or without a reader where
    it computes for several.
    """

    quantity: ClassVar[str]
    """What `use` returns, in words."""

    name: str

    @property
    def place(self) -> str:
        """The table that the layer has a row in."""
        return self.name.removeprefix("sharing.").rpartition(".")[0]

    @property
    def read_from(self) -> Sequence[str]:
        """What is read from, such as the names of the experts."""
        raise NotImplementedError

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        """Return how much of each is read: shape `(len(read_from),)`.

        With an axis for the readers before it, where the layer computes for several.

        Args:
            inputs: what the layer is applied to, as arrays, on the rows of the report.
            outputs: what it gives for them.
        """
        raise NotImplementedError


class ReadableAt(Readable):
    """A layer that shows one number for one point of the model.

    Its name is `sharing.<place>.<point>.<reader>`; the points are the columns.
    """

    @property
    def place(self) -> str:
        return self.name.split(".")[1]

    @property
    def read_from(self) -> Sequence[str]:
        return [self.name.split(".", 2)[2].rpartition(".")[0]]


class ReadableChange(ReadableAt):
    """A layer that changes what comes in: how much, relative to what comes in."""

    quantity = "size of the change, relative"

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        change = _root_mean_square(outputs[0] - inputs[0])
        return np.asarray([change / max(_root_mean_square(inputs[0]), 1e-12)])


@keras.saving.register_keras_serializable("mtlzoo")
class AttentionMask(ReadableAt, keras.layers.Layer):
    """The sigmoid of what comes in: a mask of numbers from 0 to 1.

    Input shape: any.

    Output shape: the same.
    """

    quantity = "mean of the mask"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return ops.sigmoid(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return np.asarray([np.mean(outputs[0])])


def mean_over_rows(values: Any, keep: int) -> Any:
    """Return the mean over all axes of an array but the last `keep`."""
    return np.mean(np.asarray(values, "float64"), axis=tuple(range(values.ndim - keep)))


def _root_mean_square(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(np.asarray(values, "float64")))))
