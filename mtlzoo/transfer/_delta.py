from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from mtlzoo._graph import steps
from mtlzoo._registry import unknown_name
from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._around import train_around
from mtlzoo.transfer._parts import trunk_stages
from mtlzoo.transfer._regularize import Loss, Regularizer, check_strength


class DELTA(Regularizer):
    """Keep what the trunk sees in an input, rather than its weights.

    Added to the loss is `strength / 2 * sum_j d_j`: `d_j` is the squared distance
    between the features of layer `j` and those that the trunk gave when `regularize`
    was called, summed over channels, averaged over the batch and over pixels or steps.
    A frozen copy of the trunk computes the latter while the model trains.

    Args:
        strength: the paper's `alpha`.
        layers: names of the layers that are compared. `None` takes the last of each
            stage of the trunk.

    Reference: Xingjian Li, Haoyi Xiong, Hanchao Wang, Yuxuan Rao, Liping Liu, Jun Huan,
    *DELTA: Deep Learning Transfer Using Feature Map with Attention for Convolutional
    Networks*, ICLR 2019, <https://arxiv.org/abs/1901.09229>.

    Differences from the paper: all channels count the same, which the paper calls DELTA
    without attention; weight decay of the heads is left to the optimizer, or to `L2SP`
    with `strength=0`.
    """

    def __init__(
        self, strength: float = 0.01, *, layers: Sequence[str] | None = None
    ) -> None:
        self.strength = strength
        self.layers = None if layers is None else list(layers)
        check_strength("strength", strength)

    def around(self, model: MultiTaskModel) -> MultiTaskModel:
        tensors = _stage_ends(model) if self.layers is None else self._named(model)
        network = keras.Model(model.inputs, tensors, name="source")
        source = Source(_copy(network), name="delta.source")
        task, end = _task_behind(model, tensors)
        before = source(model.inputs)
        layer = FeatureDistance(strength=self.strength, name="delta.distance")
        output = layer([end, *tensors, *before])
        return train_around(model, {task: output}, name="delta")

    def _named(self, model: MultiTaskModel) -> list[Any]:
        there = {
            step.layer.name: step.outputs[0] for step in steps(list(model.outputs))
        }
        for name in self.layers or ():
            if name not in there:
                raise OptionError(unknown_name(f"layer of {model.name!r}", name, there))
        return [there[name] for name in self.layers or ()]


@keras.saving.register_keras_serializable("mtlzoo")
class Source(keras.layers.Layer):
    """A network that is never trained, and always as it is when it predicts.

    Args:
        network: a functional Keras model.

    Input shape: a list of its inputs.

    Output shape: a list of its outputs.
    """

    never_trained = True

    def __init__(self, network: Any, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "autocast": False, **kwargs})
        self.network = network
        network.trainable = False
        self.built = True

    @property
    def trainable(self) -> bool:
        return False

    @trainable.setter
    def trainable(self, value: bool) -> None:
        """Stay frozen, whatever is set for the model that this is a layer of."""

    def call(self, inputs: Any) -> Any:
        return keras.tree.flatten(self.network(inputs, training=False))

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.tree.flatten(self.network.compute_output_spec(inputs))

    def get_config(self) -> dict[str, Any]:
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})


@keras.saving.register_keras_serializable("mtlzoo")
class FeatureDistance(Loss):
    """The loss of `DELTA`.

    Args:
        strength: what it is multiplied by.

    Input shape: a list: a prediction, features of several layers, each of shape
        `(batch, ..., channels)`, and those of the source for the same layers.

    Output shape: as the prediction.
    """

    def loss(self, tensors: list[Any]) -> Any:
        half = len(tensors) // 2
        total = ops.zeros(())
        for now, before in zip(tensors[:half], tensors[half:], strict=True):
            change = now - ops.stop_gradient(before)
            total += ops.mean(ops.sum(ops.square(change), axis=-1))
        return total / 2


def _copy(network: Any) -> Any:
    copy = type(network).from_config(network.get_config())
    copy.set_weights(network.get_weights())
    return copy


def _stage_ends(model: MultiTaskModel) -> list[Any]:
    """Return the output of the last layer of each stage of the trunk."""
    stage_of = {
        id(place.layer): name
        for name, stage in trunk_stages(model).items()
        for place in stage
    }
    ends: dict[str, Any] = {}
    current = None
    for step in steps(list(model.outputs)):
        inside: Any = getattr(step.layer, "_flatten_layers", list)()
        found = [stage_of[id(one)] for one in inside if id(one) in stage_of]
        if found:
            current = found[-1]
        elif getattr(step.layer, "weights", ()) or step.layer.name.startswith("repr"):
            current = None  # of another part; what has no weights belongs to the last
        if current is not None:
            ends[current] = step.outputs[0]
    return list(ends.values())


def _task_behind(model: MultiTaskModel, tensors: Sequence[Any]) -> tuple[str, Any]:
    """Return the name and output of a task that depends on one of the tensors.

    Raises:
        OptionError: none does.
    """
    wanted = {id(one) for one in tensors}
    for task in model.tasks:
        output = model.output[task.name]
        if any(id(one) in wanted for step in steps([output]) for one in step.outputs):
            return task.name, output
    raise OptionError(
        f"DELTA compares what layers of the trunk give, and {model.name!r} has none to "
        "compare. Name some: transfer.DELTA(layers=[...])."
    )
