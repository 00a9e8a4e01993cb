from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

import keras

from mtlzoo import _trainable
from mtlzoo._registry import TRUNKS
from mtlzoo.errors import OptionError
from mtlzoo.trunks._base import Features, Sources, Stage, Trunk
from mtlzoo.trunks._pooling import with_pooled
from mtlzoo.trunks._pretrained._base import Base, Request
from mtlzoo.trunks._pretrained._inputs import match_inputs, picture_size
from mtlzoo.trunks._pretrained._network import Network
from mtlzoo.trunks._pretrained._source import source_of


@TRUNKS.register("pretrained", takes="what the base takes", gives="what the base gives")
@keras.saving.register_keras_serializable("mtlzoo")
class Pretrained(Trunk):
    """A trunk with weights that were learned before: a base.

    | `base` | what it is |
    |---|---|
    | `"efficientnet_lite0.imagenet"` | a bundle of `mtlzoo.list_pretrained()` |
    | `Path("bundles/mmoe.adult/1")` | a bundle in a folder |
    | `"keras.applications/MobileNetV2"` | a model of Keras, trained on ImageNet |
    | `"keras_hub/resnet_18_imagenet"` | a preset of keras_hub, for images or texts |
    | `Path("presets/bert")` | a preset in a folder |
    | `"minilm_l6"` | sentences to 384 numbers; a package has its weights |
    | `"efficientnet_lite0"` | any trunk by name, with `weights=` of a file |
    | `Path("model.keras")`, a `keras.Model` | a saved or living model |
    | `Path("serving/income")` | a SavedModel, frozen; `trainable=False` |

    Of a multi-task model the base is its trunk.

    The base takes raw values, as its own preprocessing is part of it: pixels from 0 to
    255 of any type, or strings. The scale of an `Image` feature has no effect. A grey
    picture becomes one of three equal channels where the base was trained in colour.

    The layers of the base become layers of the model, as copies with the same weights
    under the names `trunk.*`; they are not nested in it as one model. So parts of it
    can be named for training, architectures that mix or attend between stages work on
    it, several trunks are as many copies, and the saved model loads without the base.
    Only a model that isn't a graph of layers is nested, and has no stages.

    Args:
        base: see the table. A path is a `pathlib.Path`, or a string that begins with
            `./`, `../`, `~` or `/`; a bare name never means a file.
        trainable: what of it is trained: `True`, `False`, `"last:2"` (layers),
            `"stage:block_5"` (that stage and what follows), `"batch_norm"`, `"bias"`,
            `"lora:8"`, a pattern over the paths of its variables such as
            `"block_7/*"`, or a list of these. A frozen batch normalisation uses its
            statistics and keeps them.
        weights: `"pretrained"`, those of the base; `None` for its structure alone, with
            new random weights; or the path of a `.weights.h5` file for a base that is
            named.
        image_size: height and width to which pictures are resized inside the model;
            one number for a square. `None` takes them as they are.
        output: the name of the layer whose output is the features, for models that end
            in a classifier; of a SavedModel, that of the output. `None` takes the
            output of the model.
        arguments: for the source, such as `{"alpha": 0.35}` for MobileNetV2.

    Raises:
        UnknownNameError: there is no such base, stage or variable.
        WeightsError: weights that are damaged, missing, or of other shapes.
        MissingExtraError: the package that brings the base is not installed.
        DataError: the inputs are not those that the base takes.

    Example:

    ```python
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"photo": mtlzoo.Image((224, 224, 3))},
        tasks=[tasks.Multiclass("product", 8), tasks.Binary("worn")],
        trunk=trunks.Pretrained("efficientnet_lite0.imagenet", "stage:block_6"),
    )
    ```
    """

    def __init__(
        self,
        base: Any,
        trainable: bool | str | Iterable[str] = True,
        *,
        weights: str | PathLike[str] | None = "pretrained",
        image_size: int | tuple[int, int] | None = None,
        output: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.base = base
        self.trainable = trainable
        self.weights = weights
        self.image_size = image_size
        self.output = output
        self.arguments = dict(arguments or {})
        self._load = source_of(base)
        self._network: Network | None = None
        self._made_for: Any = None
        if image_size is not None and not _is_size(image_size):
            raise OptionError(
                "`image_size` must be one number or (height, width), in pixels. "
                f"Received: image_size={image_size!r}."
            )
        # Read now, so that a choice that makes no sense is refused before the base is.
        _trainable.lora_rank(trainable)

    def begin(self, sources: Sources, name: str) -> Any:
        size = picture_size(sources, self.image_size)
        key = [(one.tensor.shape, one.tensor.dtype) for one in sources.values()]
        if self._network is None or key != self._made_for:
            self._network, self._made_for = self._make(sources, size), key
        base = self._network.base
        return self._network.begin(match_inputs(base, sources, size, name), name)

    def stages(self, name: str) -> list[Stage]:
        network = self._network
        if network is None:
            raise OptionError(
                "The stages of a Pretrained trunk depend on its inputs: call `begin` "
                "or `connect` first."
            )

        def stage(index: int) -> Stage:
            return lambda tensor: network.stage(index, tensor, name)

        return [stage(index) for index in range(network.num_stages)]

    def finish(self, tensor: Any, name: str) -> Features:
        if self._network is None:
            raise OptionError("Call `begin` of a Pretrained trunk before `finish`.")
        return with_pooled(self._network.finish(tensor, name), name)

    def _make(self, sources: Sources, size: tuple[int, int] | None) -> Network:
        base = self._load(
            Request(
                name=str(getattr(self.base, "name", self.base)),
                weights=self.weights,
                output=self.output,
                arguments=self.arguments,
                sources=sources,
                image_size=size,
            )
        )
        choose(base, self.trainable)
        return Network(base, weights=self.weights is not None)


def choose(base: Base, choice: Any) -> None:
    """Freeze all of a base but what a choice names, by paths without its prefix.

    Raises:
        OptionError: nothing of it can be trained, and something is chosen.
    """
    if base.frozen:
        if choice is not False:
            raise OptionError(
                f"Nothing of the base {base.name!r} can be trained, as it is a "
                "SavedModel: take it with trainable=False. Received: "
                f"trainable={choice!r}."
            )
        return
    prefix = base.prefix.replace(".", "/")
    places = [
        place._replace(path=place.path.removeprefix(prefix))
        for place in _trainable.places(base.model)
    ]
    if rank := _trainable.lora_rank(choice):
        _trainable.add_lora(places, rank)
        places = [
            place._replace(path=place.path.removeprefix(prefix))
            for place in _trainable.places(base.model)
        ]
    _trainable.set_chosen(base.model, _trainable.select(places, choice))


def _is_size(value: Any) -> bool:
    sizes = (value,) if isinstance(value, int) else value
    return (
        isinstance(sizes, tuple | list)
        and len(sizes) in (1, 2)
        and all(isinstance(one, int) and one > 0 for one in sizes)
    )
