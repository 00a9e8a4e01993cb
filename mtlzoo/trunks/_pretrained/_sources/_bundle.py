from typing import Any

from mtlzoo import _bundles
from mtlzoo._registry import BASES, TRUNKS, unknown_name
from mtlzoo.errors import UnknownNameError
from mtlzoo.trunks._pretrained._base import Base, Request
from mtlzoo.trunks._pretrained._sources._model import from_model


@BASES.register(
    "bundle",
    written='"efficientnet_lite0.imagenet"',
    takes="what its model takes",
    needs="nothing, or a network where it isn't on this machine",
)
def bundle(rest: Any, request: Request) -> Base:
    """The trunk of a bundle, by a name of `mtlzoo.list_pretrained()` or in a folder."""
    try:
        found = _bundles.find(rest)
    except UnknownNameError as error:
        if not isinstance(rest, str) or rest.startswith("hf://"):
            raise
        bundles = {entry.name for entry in _bundles.entries()}
        known = {*bundles, *TRUNKS.list(), *BASES.list()}
        raise UnknownNameError(
            f"{unknown_name('base', rest, known)} A model of Keras is written "
            "'keras.applications/MobileNetV2', a preset 'keras_hub/resnet_18_imagenet'."
        ) from error
    return from_model(_bundles.build_model(found, _bundles.find), request)
