"""Rows on which an export is compared with its model."""

from typing import Any

import keras
import numpy as np

from mtlzoo._graph import steps

ROWS = 8
UNKNOWN_SIZE = 32
"""Steps or pixels along an axis of any size."""


def make_golden(model: keras.Model) -> dict[str, Any]:
    """Return rows that reach what the model knows: its words, codes and ids.

    Vocabularies are read from the layers that take an input; what a layer rescales is
    pixels, 0 to 255. Where an input goes into something else, numbers are normal,
    integers 0 and 1 or those of a byte, and strings empty.
    """
    random = np.random.default_rng(0)
    consumers = {
        id(tensor): step.layer
        for step in steps(model.outputs)
        for tensor in step.inputs
    }
    return {
        tensor.name: _values(tensor, consumers.get(id(tensor)), random)
        for tensor in model.inputs
    }


def _values(tensor: Any, consumer: Any, random: Any) -> Any:
    shape = (ROWS, *(size or UNKNOWN_SIZE for size in tensor.shape[1:]))
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    if hasattr(consumer, "get_vocabulary"):
        known = [entry for entry in consumer.get_vocabulary() if entry != ""]
        return random.choice(known, shape)
    if dtype == "string":
        return np.full(shape, "")
    if dtype == "bool":
        return random.integers(0, 2, shape).astype("bool")
    if dtype.startswith(("int", "uint")):
        limit = 256 if dtype == "uint8" else getattr(consumer, "input_dim", 2)
        return random.integers(0, limit, shape).astype(dtype)
    if isinstance(consumer, keras.layers.Rescaling):
        return random.integers(0, 256, shape).astype(dtype)
    return random.normal(size=shape).astype(dtype)
