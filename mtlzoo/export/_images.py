"""The signature `serving_bytes`: pictures as the files they come in."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo._graph import steps
from mtlzoo.errors import ExportError

SIGNATURE = "serving_bytes"


class Picture:
    """The one input of a model that is a picture, and how pixels become it.

    Args:
        tensor: that input.
        scale: what pixels, 0 to 255, are multiplied by.
    """

    def __init__(self, tensor: Any, scale: float) -> None:
        self.name = tensor.name
        self.dtype = tf.as_dtype(tensor.dtype)
        self.shape = tuple(tensor.shape[1:])
        self.scale = scale

    def decode(self, files: Any) -> Any:
        """Return files, a tensor of strings, as rows of that input."""
        return tf.map_fn(
            self._decode_one,
            files,
            fn_output_signature=tf.TensorSpec(self.shape, self.dtype),
        )

    def encode(self, rows: Any) -> Any:
        """Return rows of that input as an array of PNG files."""
        pixels = np.clip(np.round(np.asarray(rows, "float32") / self.scale), 0, 255)
        return np.array(
            [tf.io.encode_png(one).numpy() for one in pixels.astype("uint8")], object
        )

    def _decode_one(self, file: Any) -> Any:
        height, width, channels = self.shape
        pixels = tf.io.decode_image(file, channels, expand_animations=False)
        pixels = tf.image.resize(pixels, (height, width), antialias=True)
        if self.dtype.is_floating:
            pixels = tf.cast(pixels * self.scale, self.dtype)
        else:
            pixels = tf.saturate_cast(tf.round(pixels), self.dtype)
        return tf.ensure_shape(pixels, self.shape)


def find_picture(model: keras.Model, scale: float | None) -> Picture | None:
    """Return the picture that a model takes, if that is one and its pixels are known.

    Pixels are 0 to 255 where the input holds integers or the model rescales it first.

    Args:
        model: the model.
        scale: what pixels are multiplied by, as the user says.

    Raises:
        ExportError: the user says so of a model that doesn't take one picture.
    """
    found = [tensor for tensor in model.inputs if _is_picture(tensor)]
    if len(found) != 1:
        if scale is None:
            return None
        raise ExportError(
            "`pixel_scale` needs a model with one input of shape (height, width, 1, 3 "
            f"or 4). Received: {', '.join(tensor.name for tensor in model.inputs)}."
        )
    (tensor,) = found
    if scale is not None:
        return Picture(tensor, scale)
    rescaled = any(
        isinstance(step.layer, keras.layers.Rescaling)
        for step in steps(model.outputs)
        if any(one is tensor for one in step.inputs)
    )
    integers = not keras.backend.is_float_dtype(tensor.dtype)
    return Picture(tensor, 1.0) if rescaled or integers else None


def trace_pictures(model: keras.Model, predict: Any, picture: Picture) -> Any:
    """Return `serving_bytes` as a concrete function: `predict`, from files."""

    def signature(**inputs: Any) -> dict[str, Any]:
        predictions: dict[str, Any] = predict(**decoded(picture, inputs))
        return predictions

    specs = {
        tensor.name: tf.TensorSpec((None,), tf.string, name=tensor.name)
        if tensor.name == picture.name
        else tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    }
    return tf.function(signature).get_concrete_function(**specs)


def decoded(picture: Picture, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs with the files of a picture decoded."""
    return {**inputs, picture.name: picture.decode(inputs[picture.name])}


def _is_picture(tensor: Any) -> bool:
    if len(tensor.shape) != 4 or tensor.dtype in ("string", "bool"):
        return False
    _, height, width, channels = tensor.shape
    return bool(height and width and channels in (1, 3, 4))
