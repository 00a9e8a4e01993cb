"""Copies of models, and whether models are copies of one base."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from mtlzoo.errors import ModelError

SAME_BASE = 0.3
"""The cosine of two models' weight matrices below which they have another origin.

Matrices that were drawn at random are near 0, within a few hundredths for a thousand
weights; fine-tuned copies of one base are near 1. For the default network on `adult` it
was 0.002 for two seeds, and 0.961 for a model and a copy trained five epochs more.
"""


def copy_of(model: Any) -> Any:
    """Return a model of the same layers, weights and way to train, which shares none.

    The optimizer of the copy starts anew.
    """
    made = type(model).from_config(model.get_config())
    config = model.get_compile_config()
    if config:
        made.compile_from_config(config)
    made.set_weights(model.get_weights())
    return made


def check_same_layers(models: Sequence[Any]) -> None:
    """Refuse models that differ in tasks, layers or the shapes of their weights.

    Raises:
        ModelError: naming the first difference.
    """
    first = models[0]
    for index, model in enumerate(models[1:], start=1):
        tasks = [getattr(one, "tasks", None) for one in (first, model)]
        if tasks[0] != tasks[1]:
            raise ModelError(
                f"Models that are combined must have the same tasks. Model 0 has "
                f"{tasks[0]}, model {index} has {tasks[1]}."
            )
        ours, theirs = _layers(first), _layers(model)
        for one, other in zip(ours, theirs, strict=False):
            if one[1:] != other[1:]:
                raise ModelError(
                    "Models that are combined must have the same layers. "
                    f"{one[0]!r} of model 0 is {one[1]} with {one[2]}, where "
                    f"model {index} has {other[0]!r}, {other[1]} with {other[2]}."
                )
        if len(ours) != len(theirs):
            raise ModelError(
                "Models that are combined must have the same layers. Model 0 has "
                f"{len(ours)} of them, model {index} has {len(theirs)}."
            )


def check_same_base(models: Sequence[Any]) -> None:
    """Refuse models that don't descend from the same weights.

    Raises:
        ModelError: the weights of one are unrelated to those of the first.
    """
    first = _matrices(models[0])
    for index, model in enumerate(models[1:], start=1):
        other = _matrices(model)
        lengths = np.linalg.norm(first) * np.linalg.norm(other)
        cosine = float(first @ other / lengths) if lengths else 1.0
        if not cosine >= SAME_BASE:
            raise ModelError(
                "Models that are combined must be fine-tuned copies of one base: the "
                "average of models that were trained from other weights is no better "
                f"than chance. The weights of model {index} have a cosine of "
                f"{cosine:.3f} to those of model 0; at least {SAME_BASE} is expected."
            )


def averaged(weights: Sequence[Sequence[Any]], shares: Sequence[float]) -> list[Any]:
    """Return the sum of lists of weights, each times its share.

    What is no float, such as a counter, is that of the first.
    """
    return [
        sum(share * one for share, one in zip(shares, column, strict=True))
        if np.issubdtype(column[0].dtype, np.floating)
        else column[0]
        for column in zip(*weights, strict=True)
    ]


def _layers(model: Any) -> list[tuple[str, str, Any]]:
    """Return name, class and options of each layer; models inside are looked into."""
    return [
        (layer.name, type(layer).__name__, _options(layer))
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.Layer)
    ]


def _options(layer: keras.layers.Layer) -> Any:
    return {} if isinstance(layer, keras.Model) else _compared(layer.get_config())


def _compared(config: Any) -> Any:
    """Leave out of a config what may differ between copies.

    That is whether layers are trained, and names, which Keras may number anew.
    """
    if isinstance(config, Mapping):
        return {
            key: _compared(value)
            for key, value in config.items()
            if key not in ("trainable", "dtype", "name")
        }
    if isinstance(config, list | tuple):
        return [_compared(value) for value in config]
    return config


def _matrices(model: Any) -> Any:
    parts = [np.ravel(one) for one in model.get_weights() if one.ndim >= 2]
    return np.concatenate([*parts, np.zeros(0)]).astype("float64")
