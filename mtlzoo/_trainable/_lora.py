from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from mtlzoo._trainable._places import Place
from mtlzoo.errors import OptionError

LINEAR = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


def add_lora(places: Iterable[Place], rank: int) -> list[Any]:
    """Add low-rank changes to the layers of `places` that have none yet.

    It is done to dense layers, the projections of attention among them, and to
    convolutions, except depthwise ones: there, a kernel `W` becomes `W + A B`, whose
    `B` starts at 0. Embeddings and recurrent layers stay as they are.

    Args:
        places: of `places`.
        rank: the width of `A`.

    Returns:
        The layers that have changes.

    Raises:
        OptionError: none of the layers can have them, or they have another rank.
    """
    layers = {id(place.layer): place.layer for place in places}.values()
    able = [layer for layer in layers if _is_able(layer)]
    if not able:
        raise OptionError(
            f"'lora:{rank}' changes dense layers, attention and convolutions, and "
            "there is none of these here."
        )
    for layer in able:
        if not layer.lora_enabled:
            layer.enable_lora(rank)
        elif layer.lora_rank != rank:
            raise OptionError(
                f"The layer {layer.name!r} has low-rank changes of rank "
                f"{layer.lora_rank} already. Received: 'lora:{rank}'. Take them into "
                "its weights first, by mtlzoo.transfer.merge_lora(model)."
            )
    return able


def has_lora(layer: Any) -> bool:
    """Whether a layer has low-rank changes."""
    return bool(getattr(layer, "lora_enabled", False))


def renew_lora(layers: Iterable[Any]) -> None:
    """Give changes that are 0 a start from which they can be learned.

    Keras saves them as part of the kernel, and loads both `A` and `B` as 0: there, the
    gradient of either is 0, and nothing would ever be learned.
    """
    for layer in filter(has_lora, layers):
        first, second = _changes(layer)
        if not ops.any(first) and not ops.any(second):
            first.assign(keras.initializers.HeUniform()(first.shape, first.dtype))


def merge_lora(layers: Iterable[Any]) -> None:
    """Add the changes to the kernels that they change, and take them off the layers."""
    for layer in filter(has_lora, layers):
        name = _changed(layer)
        kernel = getattr(layer, f"_{name}")
        kernel.assign(ops.cast(getattr(layer, name), kernel.dtype))
        layer._tracker.unlock()
        for variable in _changes(layer):
            layer._untrack_variable(variable)
        layer._tracker.lock()
        layer.lora_enabled = False
        layer.lora_rank = layer.lora_alpha = None


def _changed(layer: Any) -> str:
    return "embeddings" if isinstance(layer, keras.layers.Embedding) else "kernel"


def _changes(layer: Any) -> tuple[Any, Any]:
    name = _changed(layer)
    return getattr(layer, f"lora_{name}_a"), getattr(layer, f"lora_{name}_b")


def _is_able(layer: Any) -> bool:
    # Keras refuses a layer with a constraint; a depthwise kernel is of rank 1 as it is.
    return isinstance(layer, LINEAR) and layer.kernel_constraint is None
