from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._conditioned import Conditioned, name_of, stage_ends
from mtlzoo.sharing._readable import ReadableChange
from mtlzoo.trunks import Features, Trunk


@keras.saving.register_keras_serializable("mtlzoo")
class FeatureModulation(ReadableChange, keras.layers.Layer):
    """Scale and shift each channel: `gamma * h + beta`, at first the identity.

    Input shape: `(batch, ..., width)`.

    Output shape: the same.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        self.gamma = self.add_weight(name="gamma", shape=(width,), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(width,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return self.gamma * inputs + self.beta

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@ARCHITECTURES.register(
    "film",
    paper="Perez et al., AAAI 2018",
    tasks="one or more, any kind",
    inputs="any, over a trunk of several stages",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class FiLM(Conditioned):
    """One trunk for all tasks, each scaling and shifting its channels in its own way.

    After each stage `l` of the trunk, task `t` goes on with
    `gamma_{l,t} * h_{l,t} + beta_{l,t}`, a number each for every channel; `gamma`
    starts at 1 and `beta` at 0, so all tasks start as one: feature-wise linear
    modulation.

    Args:
        train_trunk: whether the trunk is trained too; `False` freezes it, which is for
            trunks that carry pretrained weights.

    Reference: Ethan Perez, Florian Strub, Harm de Vries, Vincent Dumoulin, Aaron
    Courville, *FiLM: Visual Reasoning with a General Conditioning Layer*, AAAI 2018,
    <https://arxiv.org/abs/1709.07871>.

    Differences from the paper: `gamma` and `beta` are weights of the task, where the
    paper has a network that computes them from a question.
    """

    def __init__(self, *, train_trunk: bool = True) -> None:
        super().__init__(train_trunk=train_trunk)

    def places(self, trunk: Trunk, features: Features, layers: list[Any]) -> set[str]:
        return stage_ends(features)

    def condition(
        self, layer: Any, arguments: tuple[Any, ...], output: Any, task: str
    ) -> Any:
        return FeatureModulation(name=name_of("film", layer, task))(output)
