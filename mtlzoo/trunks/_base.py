from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import keras

from mtlzoo._config import Configured
from mtlzoo.errors import DataError, TaskError
from mtlzoo.features import Feature
from mtlzoo.tasks import Task


class Source(NamedTuple):
    """One input of the model: its feature and its raw symbolic tensor."""

    feature: Feature
    tensor: Any


Sources = Mapping[str, Source]
Stage = Callable[[Any], Any]


@dataclass
class Features:
    """What a trunk gives: tensors of up to three kinds, `None` where it has none.

    Attributes:
        pooled: shape `(batch, width)`.
        sequence: shape `(batch, steps, width)`.
        map: shape `(batch, height, width, channels)`.
        stages: the output of each stage of the trunk, first to last.
    """

    pooled: Any = None
    sequence: Any = None
    map: Any = None
    stages: list[Any] = field(default_factory=list)

    def read(self, task: Task) -> Any:
        """Return the tensor of the kind that `task` reads.

        Raises:
            TaskError: the trunk doesn't give that kind.
        """
        tensor = getattr(self, task.reads)
        if tensor is None:
            there = [
                kind
                for kind in ("pooled", "sequence", "map")
                if getattr(self, kind) is not None
            ]
            trunks = {"sequence": "rnn or transformer", "map": "cnn or resnet"}
            raise TaskError(
                f"Task {task.name!r} ({type(task).__name__}) reads {task.reads} "
                f"features, and this trunk gives {' and '.join(there) or 'none'}. "
                f"Take a trunk that has them: {trunks.get(task.reads, 'any')}."
            )
        return tensor


class Trunk(Configured, ABC):
    """From inputs to features.

    A trunk is a recipe: each call of `connect` makes new layers, so an architecture may
    have one trunk for all tasks or one for each. It works in three steps, which
    architectures that mix trunks halfway take one by one: `begin` encodes the inputs,
    each of `stages` transforms one tensor, `finish` derives the features.

    The names of all layers start with the `name` that is passed, such as `trunk` or
    `trunk.income`.
    """

    sublayers: ClassVar[tuple[str, ...]] = ()
    """How the names of layers end whose outputs a stage adds to what came in."""

    @abstractmethod
    def begin(self, sources: Sources, name: str) -> Any:
        """Encode the inputs into the one tensor that the first stage takes."""

    @abstractmethod
    def stages(self, name: str) -> list[Stage]:
        """Return the functions from tensor to tensor, in order."""

    @abstractmethod
    def finish(self, tensor: Any, name: str) -> Features:
        """Derive the features from the output of the last stage."""

    def connect(self, sources: Sources, name: str = "trunk") -> Features:
        """Apply new layers to the inputs and return the features."""
        tensor = self.begin(sources, name)
        outputs = []
        for stage in self.stages(name):
            tensor = stage(tensor)
            outputs.append(tensor)
        features = self.finish(tensor, name)
        features.stages = outputs
        return features


def encode(sources: Sources, name: str) -> dict[str, Any]:
    """Return each input encoded by its feature."""
    return {
        key: source.feature.encode(source.tensor, f"{name}.{key}")
        for key, source in sources.items()
    }


def only_source(sources: Sources, form: str, trunk: str) -> Source:
    """Return the only input, which must have the given form.

    Raises:
        DataError: there are several inputs, or the one has another form.
    """
    if len(sources) != 1 or next(iter(sources.values())).feature.form != form:
        came = ", ".join(f"{key} ({one.feature.form})" for key, one in sources.items())
        raise DataError(
            f"The trunk {trunk!r} takes one {form} input. Received: {came}. For "
            "several inputs take trunk='multimodal' (one trunk an input) or 'tabular'."
        )
    return next(iter(sources.values()))


def encode_one(sources: Sources, form: str, name: str, trunk: str) -> Any:
    """Return the only input, encoded, which must have the given form.

    Raises:
        DataError: there are several inputs, or the one has another form.
    """
    only_source(sources, form, trunk)
    return next(iter(encode(sources, name).values()))


def concatenate(tensors: list[Any], name: str) -> Any:
    """Join tensors on the last axis; one alone is returned as it is."""
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate(name=name)(tensors)


def dense_stages(
    units: tuple[int, ...], activation: str, dropout: float, name: str
) -> list[Stage]:
    """Return one stage for each of `units`: a dense layer, and dropout if any."""

    def stage(index: int, width: int) -> Stage:
        def apply(tensor: Any) -> Any:
            tensor = keras.layers.Dense(
                width, activation=activation, name=f"{name}.dense_{index}"
            )(tensor)
            if dropout:
                tensor = keras.layers.Dropout(dropout, name=f"{name}.dropout_{index}")(
                    tensor
                )
            return tensor

        return apply

    return [stage(index, width) for index, width in enumerate(units, start=1)]
