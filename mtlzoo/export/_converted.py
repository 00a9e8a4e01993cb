"""What exports of one file have in common: golden rows, differences, publishing."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo._data import prepare_inputs
from mtlzoo._staging import not_writable, publish, staging
from mtlzoo.errors import ExportError
from mtlzoo.export._golden import make_golden
from mtlzoo.export._signatures import call, check_model


@dataclasses.dataclass(frozen=True)
class Converted:
    """A model converted into one file, and what that cost.

    Attributes:
        path: the file.
        size: of the file, in bytes.
        weights: of the model before, in bytes.
        differences: the largest difference on golden rows, by output name.
    """

    path: Path
    size: int
    weights: int
    differences: dict[str, float]

    @classmethod
    def measured(
        cls,
        model: keras.Model,
        path: Path,
        size: int,
        expected: Mapping[str, Any],
        found: Mapping[str, Any],
    ) -> "Converted":
        """Return what a conversion cost, from what both models answered."""
        differences = {
            name: float(np.max(np.abs(values - found[name])))
            for name, values in expected.items()
        }
        weights = sum(one.nbytes for one in model.get_weights())
        return cls(path, size, weights, differences)

    def check(self, limit: float) -> None:
        """Refuse a difference above `limit`, NaN included.

        Raises:
            ExportError: saying which output is off most.
        """
        name = max(self.differences, key=lambda one: _order(self.differences[one]))
        if not self.differences[name] <= limit:
            raise ExportError(
                f"The converted model answers otherwise than {name!r} of the model: "
                f"off by {self.differences[name]:.3g}, more than tolerance={limit}. It "
                "was not written. Raise `tolerance` if that is good enough for you."
            )


def golden_rows(model: keras.Model, golden: Any) -> dict[str, Any]:
    """Return golden rows as arrays by input name, of a model that can be converted.

    Raises:
        ExportError: it can't be, or an output isn't of floats.
    """
    check_model(model)
    for name, tensor in model.output.items():
        if not keras.backend.is_float_dtype(tensor.dtype):
            raise ExportError(
                f"Only outputs of floats can be compared. Received: {name!r} of type "
                f"{tensor.dtype}."
            )
    rows = prepare_inputs(model, make_golden(model) if golden is None else golden)
    return {name: keras.ops.convert_to_numpy(one) for name, one in rows.items()}


def answers_of(model: keras.Model, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the model answers to rows, as float32 arrays by output name."""
    with tf.device("CPU:0"):
        tensors = {name: tf.convert_to_tensor(one) for name, one in rows.items()}
        predictions = call(model, tensors)
    return {
        name: keras.ops.convert_to_numpy(one).astype("float32")
        for name, one in predictions.items()
    }


@contextlib.contextmanager
def publishing(path: Path, suffix: str) -> Iterator[Path]:
    """Give a file to write that takes its place at the end, where nothing is yet.

    Raises:
        ExportError: the name doesn't end so, it is there already, or it can't be
            written.
    """
    if path.suffix != suffix:
        raise ExportError(f"`path` must end in {suffix}. Received: {str(path)!r}.")
    if path.exists():
        raise ExportError(
            f"{str(path)!r} exists already. Choose another, or remove it."
        )
    with staging(path.parent) as stage:
        yield stage / path.name
        try:
            publish(stage / path.name, path)
        except OSError as error:
            raise not_writable(path.parent, error) from error


def _order(difference: float) -> float:
    return np.inf if np.isnan(difference) else difference
