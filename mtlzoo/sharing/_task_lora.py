from typing import Any

import keras
import numpy as np

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._conditioned import Conditioned, name_of
from mtlzoo.sharing._experts import check_at_least
from mtlzoo.sharing._readable import ReadableAt
from mtlzoo.trunks import Features, Trunk

LINEAR = (keras.layers.Dense, keras.layers.Conv2D)


@keras.saving.register_keras_serializable("mtlzoo")
class LowRank(ReadableAt, keras.layers.Layer):
    """A linear map of low rank, at first 0: `scale * B A x`.

    `A` takes `x` to `rank` numbers and is drawn as He's uniform, `B` takes these to
    `units` and starts at 0. With a `kernel_size`, `A` is a convolution.

    Args:
        units: the width of the output.
        rank: of the map.
        scale: what the output is multiplied by.
        convolution: `kernel_size`, `strides` and `padding` of a convolution.

    Input shape: `(batch, ..., width)`; for a convolution a map.

    Output shape: `(batch, ..., units)`.
    """

    quantity = "size of the change, root mean square"

    def __init__(
        self,
        units: int,
        *,
        rank: int,
        scale: float,
        convolution: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = units
        self.rank = rank
        self.scale = scale
        self.convolution = convolution

    def build(self, input_shape: Any) -> None:
        size = tuple(self.convolution["kernel_size"]) if self.convolution else ()
        self.down = self.add_weight(
            name="down",
            shape=(*size, input_shape[-1], self.rank),
            initializer="he_uniform",
        )
        self.up = self.add_weight(
            name="up", shape=(self.rank, self.units), initializer="zeros"
        )

    def call(self, inputs: Any) -> Any:
        if self.convolution:
            strides, padding = (
                self.convolution["strides"],
                self.convolution["padding"],
            )
            low = keras.ops.conv(
                inputs, self.down, strides, padding, data_format="channels_last"
            )
        else:
            low = keras.ops.matmul(inputs, self.down)
        return self.scale * keras.ops.matmul(low, self.up)

    def get_config(self) -> dict[str, Any]:
        names = ("units", "rank", "scale", "convolution")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return np.asarray([np.sqrt(np.mean(np.square(outputs[0])))])


@ARCHITECTURES.register(
    "task_lora",
    paper="Hu et al., ICLR 2022",
    tasks="one or more, any kind",
    inputs="any, over a trunk of dense, convolution or attention layers",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class TaskLoRA(Conditioned):
    """One trunk for all tasks, its weight matrices changed a little for each task.

    Where a layer of the trunk computes `act(W x + b)`, task `t` has
    `act(W x + (alpha / rank) B_t A_t x + b)`: low-rank adaptation. `B_t` starts at 0,
    so all tasks start as one. It is done to dense layers and convolutions, and to the
    queries and values of attention.

    Args:
        rank: of each `B_t A_t`.
        alpha: what the change is multiplied by, times `rank`; `None` for `rank` itself.
        train_trunk: whether the trunk is trained too; `False` freezes it, as in the
            paper, which takes a pretrained trunk.

    Reference: Edward J. Hu, Yelong Shen, Phillip Wallis, Zeyuan Allen-Zhu, Yuanzhi Li,
    Shean Wang, Lu Wang, Weizhu Chen, *LoRA: Low-Rank Adaptation of Large Language
    Models*, ICLR 2022, <https://arxiv.org/abs/2106.09685>.

    Differences from the paper: one change a task instead of one a model; of attention,
    `x` is changed to `x + (alpha / rank) B_t A_t x` before the matrices `W` of queries
    and values, which changes them by the low-rank `W B_t A_t`; dense layers are changed
    too; the trunk is trained unless `train_trunk=False`.
    """

    def __init__(
        self, rank: int = 8, *, alpha: float | None = None, train_trunk: bool = True
    ) -> None:
        super().__init__(train_trunk=train_trunk)
        self.rank = rank
        self.alpha = alpha
        check_at_least(1, "task_lora", rank=rank)

    def places(self, trunk: Trunk, features: Features, layers: list[Any]) -> set[str]:
        kinds = (*LINEAR, keras.layers.MultiHeadAttention)
        return {layer.name for layer in layers if isinstance(layer, kinds)}

    def condition(
        self, layer: Any, arguments: tuple[Any, ...], output: Any, task: str
    ) -> Any:
        if isinstance(layer, keras.layers.MultiHeadAttention):
            return self._attend(layer, arguments, task)
        return self._add(layer, arguments[0], output, task)

    def _add(self, layer: Any, inputs: Any, output: Any, task: str) -> Any:
        activation = _take_activation(layer)
        changed = keras.layers.Add(name=name_of("lora_add", layer, task))(
            [output, self._low_rank(layer, inputs, output.shape[-1], "lora", task)]
        )
        return keras.layers.Activation(
            activation, name=name_of("lora_activation", layer, task)
        )(changed)

    def _attend(self, layer: Any, arguments: tuple[Any, ...], task: str) -> Any:
        query, value = arguments[:2]
        return layer(
            self._shifted(layer, query, "query", task),
            self._shifted(layer, value, "value", task),
            key=value,
        )

    def _shifted(self, layer: Any, tensor: Any, part: str, task: str) -> Any:
        change = self._low_rank(layer, tensor, tensor.shape[-1], f"lora_{part}", task)
        return keras.layers.Add(name=name_of(f"lora_{part}_add", layer, task))(
            [tensor, change]
        )

    def _low_rank(
        self, layer: Any, inputs: Any, units: int, part: str, task: str
    ) -> Any:
        convolution = None
        if isinstance(layer, keras.layers.Conv2D):
            convolution = {
                "kernel_size": list(layer.kernel_size),
                "strides": list(layer.strides),
                "padding": layer.padding,
            }
        return LowRank(
            units,
            rank=self.rank,
            scale=(self.rank if self.alpha is None else self.alpha) / self.rank,
            convolution=convolution,
            name=name_of(part, layer, task),
        )(inputs)


def _take_activation(layer: Any) -> Any:
    """Make a layer linear, and return the activation that it had.

    The trunk is new, and every path through the layer goes on through `condition`,
    which applies the activation after the change.
    """
    if not hasattr(layer, "_activation_before_lora"):
        layer._activation_before_lora = layer.activation
        layer.activation = keras.activations.linear
    return layer._activation_before_lora
