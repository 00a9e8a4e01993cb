from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._conditioned import Conditioned, name_of, stage_ends
from mtlzoo.sharing._experts import check_at_least
from mtlzoo.sharing._readable import ReadableChange
from mtlzoo.trunks import Features, Trunk


@keras.saving.register_keras_serializable("mtlzoo")
class Adapter(ReadableChange, keras.layers.Layer):
    """A bottleneck added to what comes in: `h + W_up act(W_down h + a) + b`.

    `W_down` and `W_up` start near 0, so that an adapter starts as nearly the identity.

    Args:
        units: the width of the bottleneck.
        activation: `act`.
        scale: the standard deviation of the normal distribution, truncated at two of
            them, from which `W_down` and `W_up` are drawn.

    Input shape: `(batch, ..., width)`.

    Output shape: the same.
    """

    def __init__(
        self,
        units: int,
        *,
        activation: Any = "gelu",
        scale: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = units
        self.activation = keras.activations.get(activation)
        self.scale = scale

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]

        def matrix(name: str, shape: tuple[int, int]) -> Any:
            near_zero = keras.initializers.TruncatedNormal(stddev=self.scale)
            return self.add_weight(name=name, shape=shape, initializer=near_zero)

        self.down = matrix("down", (width, self.units))
        self.up = matrix("up", (self.units, width))
        self.down_bias = self.add_weight(
            name="down_bias", shape=(self.units,), initializer="zeros"
        )
        self.up_bias = self.add_weight(
            name="up_bias", shape=(width,), initializer="zeros"
        )

    def call(self, inputs: Any) -> Any:
        inside = keras.ops.matmul(inputs, self.down) + self.down_bias
        inside = keras.ops.matmul(self.activation(inside), self.up) + self.up_bias
        return inputs + inside

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "scale": self.scale,
        }
        return {**super().get_config(), **config}


@ARCHITECTURES.register(
    "adapters",
    paper="Houlsby et al., ICML 2019",
    tasks="one or more, any kind",
    inputs="any, over a trunk of several stages",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class Adapters(Conditioned):
    """One trunk for all tasks, with small bottlenecks of each task's own inside.

    An adapter `h + W_up act(W_down h + a) + b` follows each sub-layer of a Transformer
    (attention and feed-forward network, before they are added to what came in), or each
    stage of another trunk. Adapters start near the identity, so a task starts from what
    the trunk knows. With `train_trunk=False` only adapters and heads learn, and a task
    costs a few percent of the trunk.

    Args:
        units: the width of each bottleneck.
        activation: `act`.
        scale: the standard deviation that the matrices of an adapter start with.
        train_trunk: whether the trunk is trained too; `False` freezes it, as in the
            paper, which takes a pretrained trunk.

    Reference: Neil Houlsby, Andrei Giurgiu, Stanislaw Jastrzebski, Bruna Morrone,
    Quentin de Laroussilhe, Andrea Gesmundo, Mona Attariyan, Sylvain Gelly,
    *Parameter-Efficient Transfer Learning for NLP*, ICML 2019,
    <https://arxiv.org/abs/1902.00751>.

    Differences from the paper: the parameters of layer normalisations belong to the
    trunk, they are not a task's own; the trunk is trained unless `train_trunk=False`.
    """

    def __init__(
        self,
        units: int = 64,
        *,
        activation: str = "gelu",
        scale: float = 1e-3,
        train_trunk: bool = True,
    ) -> None:
        super().__init__(train_trunk=train_trunk)
        self.units = units
        self.activation = activation
        self.scale = scale
        check_at_least(1, "adapters", units=units)

    def places(self, trunk: Trunk, features: Features, layers: list[Any]) -> set[str]:
        if not trunk.sublayers:
            return stage_ends(features)
        names = {layer.name for layer in layers}
        return {name for name in names if name.endswith(trunk.sublayers)}

    def condition(
        self, layer: Any, arguments: tuple[Any, ...], output: Any, task: str
    ) -> Any:
        return Adapter(
            self.units,
            activation=self.activation,
            scale=self.scale,
            name=name_of("adapter", layer, task),
        )(output)
