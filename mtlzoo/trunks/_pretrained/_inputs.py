"""From the inputs of a model to those of a base."""

from typing import Any

import keras

from mtlzoo.errors import DataError
from mtlzoo.trunks._base import Sources
from mtlzoo.trunks._pretrained._base import Base

KINDS = {4: "image", 3: "sequence", 2: "vector"}


def picture_size(
    sources: Sources, image_size: int | tuple[int, int] | None
) -> tuple[int, int] | None:
    """Return height and width of the only picture after resizing, if there is one."""
    shapes = [
        one.tensor.shape for one in sources.values() if len(one.tensor.shape) == 4
    ]
    if len(shapes) != 1:
        return None
    if image_size is None:
        return tuple(shapes[0][1:3])
    sizes = (image_size,) if isinstance(image_size, int) else tuple(image_size)
    return sizes[0], sizes[-1]


def match_inputs(
    base: Base, sources: Sources, size: tuple[int, int] | None, name: str
) -> list[Any]:
    """Return the raw tensor for each input of a base, in its order.

    A base with one input takes the only one, whatever its name; several are found by
    their names.

    Raises:
        DataError: they are not those that the base takes.
    """
    wanted = {tensor.name: tensor for tensor in base.model.inputs}
    if len(wanted) == 1 and len(sources) == 1:
        found = {next(iter(wanted)): next(iter(sources.values())).tensor}
    else:
        found = {key: one.tensor for key, one in sources.items() if key in wanted}
    fits = len(found) == len(wanted) == len(sources) and all(
        _kind(wanted[key]) == _kind(found[key]) for key in wanted
    )
    if not fits:
        came = ", ".join(f"{key} ({_kind(one.tensor)})" for key, one in sources.items())
        takes = ", ".join(f"{key} ({_kind(one)})" for key, one in wanted.items())
        several = (
            ""
            if len(sources) < 2
            else (" For several inputs take trunks.Multimodal, with a trunk for each.")
        )
        raise DataError(
            f"The base {base.name!r} takes {takes}. Received: {came}.{several}"
        )
    return [_adapt(found[key], one, size, name, base) for key, one in wanted.items()]


def _kind(tensor: Any) -> str:
    if keras.backend.standardize_dtype(tensor.dtype) == "string":
        return "text"
    return KINDS.get(len(tensor.shape), "number")


def _adapt(
    tensor: Any, wanted: Any, size: tuple[int, int] | None, name: str, base: Base
) -> Any:
    """Give a picture the channels, the size and the type that are asked for."""
    if len(tensor.shape) != 4:
        return tensor
    cast = "int" in tensor.dtype and "float" in wanted.dtype
    if size and size != tuple(tensor.shape[1:3]):
        tensor = keras.layers.Resizing(*size, name=f"{name}.resize")(tensor)
    if cast:
        # A convolution that comes first refuses whole numbers, and what is resized is
        # as whole as it was, whatever Keras says of its type.
        tensor = keras.layers.Rescaling(1.0, name=f"{name}.pixels")(tensor)
    channels, expected = tensor.shape[-1], wanted.shape[-1]
    if channels == 1 and expected == 3:
        return keras.layers.Concatenate(name=f"{name}.colour")([tensor] * 3)
    if channels != expected:
        raise DataError(
            f"The base {base.name!r} takes pictures of {expected} channels. Received: "
            f"{channels}."
        )
    return tensor
