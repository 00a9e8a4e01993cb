from abc import ABC, abstractmethod
from typing import Any, ClassVar

import keras

from mtlzoo._config import Configured


class Feature(Configured, ABC):
    """One input of a model: what the caller passes, and how it becomes numbers.

    Whatever a feature needs to know (mean and variance, vocabulary) ends up in layers
    of the model, so that a saved or exported model takes raw values.

    A feature is encoded by its `form`:

    | form | shape after encoding | examples |
    |---|---|---|
    | vector | (batch, width) | a number, a category |
    | sequence | (batch, steps, width) | a text, a time series |
    | image | (batch, height, width, channels) | a photo |
    """

    form: ClassVar[str]
    dtype: str
    """Type of the raw values."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of one raw row."""

    @abstractmethod
    def encode(self, inputs: Any, name: str) -> Any:
        """Apply new layers, whose names start with `name`, to the raw tensor."""

    def input(self, name: str) -> Any:
        """Return the symbolic input of this feature."""
        return keras.Input(self.input_shape, dtype=self.dtype, name=name)
