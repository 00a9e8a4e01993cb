from typing import Any

import keras

from mtlzoo._registry import BASES
from mtlzoo.errors import OptionError
from mtlzoo.trunks._base import Source, Sources
from mtlzoo.trunks._get import get
from mtlzoo.trunks._pretrained._base import Base, Request
from mtlzoo.trunks._pretrained._weights_file import load_weights, refuse_arguments


@BASES.register(
    "trunk",
    written='"efficientnet_lite0", weights=Path("my.weights.h5")',
    takes="what the trunk takes",
    needs="weights=, the path of a .weights.h5 file",
)
def trunk(rest: Any, request: Request) -> Base:
    """Any trunk of mtlzoo, with weights from a file.

    The file is what `save_weights` wrote of a `keras.Model` from the inputs to the
    features of this trunk, and of nothing else.
    """
    refuse_arguments(request)
    if request.weights == "pretrained":
        raise OptionError(
            f"The trunk {request.name!r} comes without weights. Pass the path of a "
            ".weights.h5 file as `weights`, or take a base that has its own."
        )
    inputs = _inputs(request)
    features = get(rest).connect(inputs, "trunk")
    outputs = {
        kind: tensor
        for kind in ("pooled", "sequence", "map")
        if (tensor := getattr(features, kind)) is not None
    }
    model = keras.Model({key: one.tensor for key, one in inputs.items()}, outputs)
    if request.weights is not None:
        load_weights(model, request)
    return Base(request.name, model, outputs, "trunk.")


def _inputs(request: Request) -> Sources:
    """Return inputs like those of the model to build, of the size after resizing."""
    made = {}
    for key, (feature, tensor) in request.sources.items():
        shape = list(tensor.shape[1:])
        if len(shape) == 3 and request.image_size:
            shape[:2] = request.image_size
        made[key] = Source(feature, keras.Input(shape, dtype=tensor.dtype, name=key))
    return made
