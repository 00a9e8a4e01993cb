from typing import Any

import keras

from mtlzoo._registry import FEATURES
from mtlzoo.errors import DataError
from mtlzoo.features._base import Feature


@FEATURES.register("sequence")
@keras.saving.register_keras_serializable("mtlzoo")
class Sequence(Feature):
    """A series of vectors, such as a time series; padding can be masked.

    Args:
        shape: of one row, `(steps, width)`; `steps` may be `None`.
        mask_value: a step whose entries all have this value is padding. `None` masks
            nothing.
    """

    form = "sequence"
    dtype = "float32"

    def __init__(
        self, shape: tuple[int | None, int], *, mask_value: float | None = None
    ) -> None:
        self.shape = tuple(shape)
        self.mask_value = mask_value
        if len(self.shape) != 2 or not self.shape[1]:
            raise DataError(
                "`shape` of a Sequence must be (steps, width). Received: "
                f"shape={self.shape}."
            )

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return self.shape

    def encode(self, inputs: Any, name: str) -> Any:
        if self.mask_value is None:
            return inputs
        return keras.layers.Masking(self.mask_value, name=f"{name}.mask")(inputs)


@FEATURES.register("image")
@keras.saving.register_keras_serializable("mtlzoo")
class Image(Feature):
    """A picture, scaled inside the model by `pixel * scale + offset`.

    Args:
        shape: of one row, `(height, width, channels)`.
        scale: what pixels are multiplied by; the default takes 0..255 to 0..1.
        offset: what is added after that.
        dtype: of the raw pixels, such as `"uint8"` or `"float32"`.
    """

    form = "image"

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        scale: float = 1 / 255,
        offset: float = 0.0,
        dtype: str = "uint8",
    ) -> None:
        self.shape = tuple(shape)
        self.scale = scale
        self.offset = offset
        self.dtype = dtype
        if len(self.shape) != 3 or not all(self.shape):
            raise DataError(
                "`shape` of an Image must be (height, width, channels). Received: "
                f"shape={self.shape}."
            )

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return self.shape

    def encode(self, inputs: Any, name: str) -> Any:
        if (self.scale, self.offset) == (1.0, 0.0) and self.dtype == "float32":
            return inputs
        return keras.layers.Rescaling(self.scale, self.offset, name=f"{name}.rescale")(
            inputs
        )
