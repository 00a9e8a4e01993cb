from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtlzoo.trunks._base import Sources


@dataclass(frozen=True)
class Request:
    """What a source is asked for.

    Attributes:
        name: what the caller named, for messages.
        weights: `"pretrained"`, `None` for none, or the path of a file.
        output: the name of the layer whose output is the features, if any.
        arguments: for the source, by name.
        sources: the inputs of the model to build.
        image_size: height and width that the picture among them will have, if any.
    """

    name: str
    weights: Any
    output: str | None
    arguments: Mapping[str, Any]
    sources: Sources
    image_size: tuple[int, int] | None


@dataclass(frozen=True)
class Base:
    """What a source gives: a network from raw inputs to features, with its weights.

    Attributes:
        name: what the caller named, for messages.
        model: a functional model that is nobody else's: its layers will be frozen.
        outputs: the features by kind, symbolic tensors of `model`; empty for its own
            outputs, whose kinds follow from their axes.
        prefix: what the names of its layers begin with and those of copies don't.
        frozen: whether nothing of it can be trained.
    """

    name: str
    model: Any
    outputs: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    frozen: bool = False


Loader = Callable[[Request], Base]
