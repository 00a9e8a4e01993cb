from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mtlzoo._extras import require
from mtlzoo._registry import BASES
from mtlzoo.errors import OptionError, WeightsError
from mtlzoo.trunks._pooling import MaskedMean
from mtlzoo.trunks._pretrained._base import Base, Request
from mtlzoo.trunks._pretrained._hub_network import on
from mtlzoo.trunks._pretrained._hub_preset import check_name, load, load_network
from mtlzoo.trunks._pretrained._hub_text import HubText
from mtlzoo.trunks._pretrained._weights_file import refuse_arguments

LENGTH = 128
TOKENS = {"token_ids", "padding_mask", "segment_ids"}
"""The inputs of networks for texts."""


@BASES.register(
    "keras_hub",
    written='"keras_hub/resnet_18_imagenet"',
    takes="one image or one text, raw",
    needs='pip install "mtlzoo[keras_hub]"; presets are downloaded by keras_hub',
)
def keras_hub(rest: str | Path, request: Request) -> Base:
    """A preset of keras_hub: a network for images or texts, with its preprocessing.

    After `keras_hub/` stands what keras_hub itself takes: the name of a preset, or a
    handle such as `hf://user/model` or `kaggle://user/model/keras/variation`. A preset
    in a folder, as `save_to_preset` writes it, is given by its path.

    Pixels are scaled as the preset says; a network that takes pictures of one size only
    asks for `image_size`. Texts are cut into tokens by the tokenizer of the preset,
    inside the graph, for the networks for which keras_hub has what it takes (BERT,
    RoBERTa, ALBERT, DeBERTa and others). The pooled features are the mean over the
    tokens; for others, `output` names a layer, such as BERT's `"pooled_dense"`. The
    argument `length` says how many tokens are read of a text: 128 by default.

    A network of Keras's own layers alone, such as a ResNet, makes a model that loads
    without keras_hub. Others need it where they are loaded; Keras imports it by itself.
    Where keras_hub can't make a layer from its config, as in a ViT, the network is one
    layer without stages to mix.
    """
    hub = require("keras_hub", extra="keras_hub", what=f"The base {request.name!r}")
    if isinstance(rest, str):
        check_name(hub, rest)
    network = load_network(hub, rest, request)
    if isinstance(network.input, Mapping) and set(network.input) <= TOKENS:
        refuse_arguments(request, ("length",))
        return _text(hub, rest, request, network)
    if len(network.inputs) == 1 and len(network.inputs[0].shape) == 4:
        refuse_arguments(request)
        return _image(hub, rest, request, network)
    raise WeightsError(
        f"The network of {request.name!r} takes "
        f"{', '.join(one.name for one in network.inputs)}. A base of keras_hub takes "
        "one image or one text."
    )


def _image(hub: Any, rest: str | Path, request: Request, network: Any) -> Base:
    (pixels,) = network.inputs
    scaling = _rescaling(load(hub.layers.ImageConverter, rest), request)
    image = keras.Input(pixels.shape[1:], name="image")
    features = on(network, {pixels.name: scaling(image)}, request.output)
    return Base(request.name, keras.Model(image, features))


def _rescaling(converter: Any, request: Request) -> Any:
    """Return a layer of Keras that does to pixels what an image converter does.

    Raises:
        WeightsError: the converter does more.
    """
    converter.image_size = None
    layer = keras.layers.Rescaling(
        1.0 if converter.scale is None else converter.scale,
        0.0 if converter.offset is None else converter.offset,
        name="preprocessing",
    )
    pixels = np.linspace(0, 255, 4 * 4 * 3, dtype="float32").reshape(1, 4, 4, 3)
    expected, found = (np.asarray(one(pixels)) for one in (converter, layer))
    # Half precision rounds each step of either.
    if expected.shape != found.shape or not np.allclose(found, expected, 0.02, 0.02):
        raise WeightsError(
            f"The image converter of {request.name!r} does more than scale pixels. "
            "Build the network with keras_hub, and pass it as a model that takes what "
            "yours gives: trunks.Pretrained(model)."
        )
    return layer


def _text(hub: Any, rest: str | Path, request: Request, network: Any) -> Base:
    text = keras.Input((), dtype="string", name="text")
    cls = _preprocessor_class(hub, network, request)
    length = _length(request, network)
    preprocessor = load(cls, rest, sequence_length=length)
    tokens = HubText(preprocessor, sorted(network.input), name="tokens")(text)
    values = {one.name: tokens[key] for key, one in network.input.items()}
    features = on(network, values, request.output)
    if request.output is not None:
        return Base(request.name, keras.Model(text, features))
    mean = MaskedMean(name="average")(features, mask=tokens["padding_mask"])
    outputs = {"sequence": features, "pooled": mean}
    return Base(request.name, keras.Model(text, outputs), outputs)


def _preprocessor_class(hub: Any, network: Any, request: Request) -> Any:
    """Return the class that makes texts into the inputs of a network.

    Raises:
        WeightsError: keras_hub has none.
    """
    models = hub.models
    kinds = (models.TextClassifierPreprocessor, models.TextEmbedderPreprocessor)
    for kind in kinds:
        for cls in vars(models).values():
            fits = isinstance(cls, type) and issubclass(cls, kind)
            if fits and cls.backbone_cls is type(network):
                return cls
    raise WeightsError(
        f"keras_hub can't make texts into what the {type(network).__name__} of "
        f"{request.name!r} takes to give features. It can for BERT, RoBERTa, ALBERT, "
        "DeBERTa and others; keras_hub.models has a TextClassifierPreprocessor or "
        "TextEmbedderPreprocessor for each."
    )


def _length(request: Request, network: Any) -> int:
    longest = getattr(network, "max_sequence_length", None)
    length = request.arguments.get("length", min(LENGTH, longest or LENGTH))
    if not isinstance(length, int) or not 3 <= length <= (longest or length):
        wanted = f"from 3 to {longest}" if longest else "at least 3"
        raise OptionError(
            f"`length` of the base {request.name!r} must be {wanted}. Received: "
            f"length={length!r}."
        )
    return length
