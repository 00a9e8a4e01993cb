from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

LORA_KERNELS = ("kernel", "embeddings")


class Place(NamedTuple):
    """One variable that can be trained, and where it stands.

    Attributes:
        path: the names on the way to it, joined by `/`. Dots in the names of layers
            count as such joints: the kernel of the layer `trunk.dense_1` is
            `trunk/dense_1/kernel`.
        variable: the variable. A batch normalisation that learns neither scale nor
            shift stands here with its moving mean, since it can be frozen all the same.
        layer: the layer that holds it.
    """

    path: str
    variable: Any
    layer: Any


def places(model: Any, prefix: str = "") -> list[Place]:
    """Return every variable of a layer or model that can be trained, frozen or not.

    Args:
        model: a built Keras layer or model. Models inside it are looked into.
        prefix: what to begin the paths with.

    Returns:
        A place for each variable, from the inputs to the outputs.
    """
    found: dict[int, Place] = {}
    for place in _walk(model, prefix):
        found.setdefault(id(place.variable), place)
    return list(found.values())


def children(layer: Any) -> list[Any]:
    """Return the layers that a layer is made of; those of a graph in its order."""
    # The operations of a functional model leave out what it holds beside its graph.
    operations = getattr(layer, "operations", None)
    if operations is not None:
        return [one for one in operations if isinstance(one, keras.layers.Layer)]
    return list(layer._flatten_layers(include_self=False, recursive=False))


def own_variables(layer: Any) -> list[Any]:
    """Return the variables that a layer itself holds and that can be trained.

    Where a layer has low-rank changes, the matrix that they change isn't among them.
    """
    variables = list(layer._trainable_variables)
    if getattr(layer, "lora_enabled", False):
        return [one for one in variables if one.name not in LORA_KERNELS]
    if isinstance(layer, keras.layers.BatchNormalization) and not variables:
        return [layer.moving_mean]
    return variables


def path_of(name: str) -> str:
    """Return the name of a layer as the part of a path that stands for it."""
    return name.replace(".", "/")


def _walk(layer: Any, prefix: str) -> Iterator[Place]:
    if getattr(layer, "never_trained", False):
        return
    start = f"{prefix}/" if prefix else ""
    for variable in own_variables(layer):
        yield Place(start + variable.name, variable, layer)
    for child in children(layer):
        yield from _walk(child, start + path_of(child.name))
