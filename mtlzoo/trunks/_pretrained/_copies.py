"""Copies of layers: same config, same weights, another name."""

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras

from mtlzoo import _trainable
from mtlzoo._graph import Step, carried_masks
from mtlzoo.errors import WeightsError
from mtlzoo.trunks._pretrained._weights_file import first_line


def lay(
    steps: Sequence[Step],
    values: dict[int, Any],
    name_of: Callable[[str], str],
    *,
    weights: bool,
) -> None:
    """Repeat steps of a graph on other symbolic tensors, with copies of their layers.

    Args:
        steps: each after those that it depends on.
        values: the tensors to repeat them on, by the id of the original ones; what the
            steps give is added.
        name_of: from the name of a layer to that of its copy.
        weights: whether the copies get the weights of the originals.

    Raises:
        WeightsError: a layer doesn't fit these tensors.
    """
    copies: dict[int, Any] = {}
    for step in steps:
        original = step.layer
        if isinstance(original, keras.layers.InputLayer):
            continue
        layer = copies.get(id(original)) or copy(original, name_of(original.name))
        positional, named = step.arguments.fill_in(values)
        for mask in carried_masks(step):
            del named[mask]
        try:
            outputs = keras.tree.flatten(layer(*positional, **named))
        except (TypeError, ValueError) as error:
            raise _does_not_fit(original, first_line(error)) from error
        if id(original) not in copies and isinstance(layer, keras.layers.Layer):
            fill(layer, original, weights=weights)
        copies[id(original)] = layer
        values |= {id(old): new for old, new in zip(step.outputs, outputs, strict=True)}


class Group(keras.layers.Layer):
    """Holds layers, so that what works on a model works on a few layers, too."""

    def __init__(self, members: list[Any]) -> None:
        super().__init__()
        self.members = members


def copy(operation: Any, name: str) -> Any:
    """Return a new layer or operation of the same config, not built yet.

    A layer that computes in float32 follows the precision policy of the day.

    Raises:
        WeightsError: Keras can't make it from its config.
    """
    if not isinstance(operation, keras.layers.Layer):
        config = {**operation.get_config(), "name": name}
        return type(operation).from_config(config)
    config = keras.saving.serialize_keras_object(operation)
    config["config"]["name"] = name
    policy = keras.config.dtype_policy()
    if operation.dtype_policy.name == "float32" and policy.name != "float32":
        config["config"]["dtype"] = keras.saving.serialize_keras_object(policy)
    try:
        return keras.saving.deserialize_keras_object(config)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"The layer {operation.name!r} of the base can't be made anew from its "
            f"config: {first_line(error)} A class of one's own is registered by "
            "@keras.saving.register_keras_serializable(), and its get_config names the "
            "arguments that it takes."
        ) from error


def fill(layer: Any, original: Any, *, weights: bool) -> None:
    """Give a built copy what its original has: weights, vocabulary, what is frozen.

    Args:
        layer: the copy.
        original: a layer.
        weights: whether to copy weights that are learned; statistics of the inputs and
            vocabularies, which belong to the preprocessing, are copied anyway.

    Raises:
        WeightsError: the copy has other shapes.
    """
    copied, kept = Group([layer]), Group([original])
    _trainable.restore(copied, _trainable.state(kept))
    if hasattr(original, "save_assets"):
        with tempfile.TemporaryDirectory() as folder:
            original.save_assets(folder)
            layer.load_assets(folder)
    if original.weights and (weights or not _trainable.places(kept)):
        _set_weights(layer, original)


def _set_weights(layer: Any, original: Any) -> None:
    shapes = [[tuple(one.shape) for one in each.weights] for each in (layer, original)]
    if shapes[0] != shapes[1]:
        raise _does_not_fit(original, f"its weights would be {shapes[0]}.")
    layer.set_weights(original.get_weights())
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()  # Normalization keeps constants made of its weights


def _does_not_fit(layer: Any, reason: str) -> WeightsError:
    return WeightsError(
        f"The layer {layer.name!r} of the base doesn't fit these inputs: {reason} "
        "Give it inputs of the size that it was made for; pictures are resized by "
        "`image_size`."
    )
