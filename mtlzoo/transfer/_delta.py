from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
from keras import ops

from mtlzoo._graph import steps
from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._around import train_around
from mtlzoo.transfer._compared import compared_layers
from mtlzoo.transfer._regularize import Loss, Regularizer, check_strength


class DELTA(Regularizer):
    """Keep what the trunk sees in an input, rather than its weights.

    Added to the loss is `strength / 2 * sum_j d_j`: `d_j` is the squared distance
    between the features of layer `j` and those that the trunk gave when `regularize`
    was called, summed over channels, averaged over the batch and over pixels or steps.
    A frozen copy of the trunk computes the latter while the model trains. With
    `weights`, the paper's attention, each channel counts as much as it is worth to the
    tasks: `channel_weights` measures that.

    Args:
        strength: the paper's `alpha`.
        layers: names of the layers that are compared. `None` takes the last of each
            stage of the trunk, or those that have `weights`.
        weights: of the channels, by the name of a layer, as `channel_weights` returns
            them; `None` for 1, which the paper calls DELTA without attention.

    Reference: Xingjian Li, Haoyi Xiong, Hanchao Wang, Yuxuan Rao, Liping Liu, Jun Huan,
    *DELTA: Deep Learning Transfer Using Feature Map with Attention for Convolutional
    Networks*, ICLR 2019, <https://arxiv.org/abs/1901.09229>.

    Differences from the paper: the distance is averaged over the batch, and over pixels
    or steps; weight decay of the heads is left to the optimizer, or to `L2SP` with
    `strength=0`. Differences from the authors' code: it sums over the batch; with
    attention it averages over pixels, too, and multiplies by the number of channels, as
    `channel_weights` has done already.
    """

    def __init__(
        self,
        strength: float = 0.01,
        *,
        layers: Sequence[str] | None = None,
        weights: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.strength = strength
        self.layers = None if layers is None else list(layers)
        self.weights = weights and {key: list(one) for key, one in weights.items()}
        check_strength("strength", strength)
        if self.layers and self.weights and set(self.layers) != set(self.weights):
            raise OptionError(
                "`weights` must be those of `layers`, which may be left out. Received: "
                f"layers={self.layers}, weights of {', '.join(self.weights)}."
            )

    def around(self, model: MultiTaskModel) -> MultiTaskModel:
        names = self.layers or (list(self.weights) if self.weights else None)
        compared = compared_layers(model, names)
        weights = self._weights_of(compared)
        tensors = list(compared.values())
        network = keras.Model(model.inputs, tensors, name="source")
        source = Source(_copy(network), name="delta.source")
        task, end = _task_behind(model, tensors)
        before = source(model.inputs)
        layer = FeatureDistance(
            strength=self.strength, weights=weights, name="delta.distance"
        )
        output = layer([end, *tensors, *before])
        return train_around(model, {task: output}, name="delta")

    def _weights_of(self, compared: Mapping[str, Any]) -> list[Any] | None:
        """Return the weights of the compared layers, in their order."""
        if not self.weights:
            return None
        for name, tensor in compared.items():
            if len(self.weights[name]) != tensor.shape[-1]:
                raise OptionError(
                    f"The layer {name!r} has {tensor.shape[-1]} channels, and there "
                    f"are weights for {len(self.weights[name])}. Measure them on this "
                    "model: transfer.channel_weights(model, data)."
                )
        return [self.weights[name] for name in compared]


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
        weights: of the channels of each layer; `None` for 1.

    Input shape: a list: a prediction, features of several layers, each of shape
        `(batch, ..., channels)`, and those of the source for the same layers.

    Output shape: as the prediction.
    """

    def __init__(self, *, weights: Sequence[Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weights_of_channels = weights

    def loss(self, tensors: list[Any]) -> Any:
        half = len(tensors) // 2
        weights: Sequence[Any] = self.weights_of_channels or [1.0] * half
        total = ops.zeros(())
        for now, before, weight in zip(
            tensors[:half], tensors[half:], weights, strict=True
        ):
            change = ops.square(now - ops.stop_gradient(before))
            total += ops.mean(ops.sum(change * ops.convert_to_tensor(weight), axis=-1))
        return total / 2

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": self.weights_of_channels}


def _copy(network: Any) -> Any:
    copy = type(network).from_config(network.get_config())
    copy.set_weights(network.get_weights())
    return copy


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
