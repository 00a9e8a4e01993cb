from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import keras
from keras import ops

from mtlzoo.errors import OptionError
from mtlzoo.sharing._readable import Readable, mean_over_rows


def per_slice(initializer: Any) -> Callable[..., Any]:
    """Return an initializer that draws each slice of the first axis by itself.

    A bank's kernel has shape `(num_experts, width, units)`. Drawn as a whole, an
    initializer such as Glorot's takes the number of experts for a part of the fan and
    gives kernels that are too small; drawn from one seed several times, the experts
    would all be equal. Here each expert gets what a `Dense` of its own would.
    """
    initializer = keras.initializers.get(initializer)
    config = initializer.get_config()
    if "seed" in config:
        # A generator gives other numbers at each draw; an integer would give the same.
        seed = keras.random.SeedGenerator(config["seed"])
        initializer = type(initializer).from_config({**config, "seed": seed})

    def draw(shape: Sequence[int], dtype: Any = None) -> Any:
        slices = [initializer(shape[1:], dtype=dtype) for _ in range(shape[0])]
        return ops.stack(slices)

    return draw


@keras.saving.register_keras_serializable("mtlzoo")
class ExpertBank(keras.layers.Layer):
    """Networks of dense layers that all have the same shape, computed together.

    Layer `l` of expert `e` is `h_e = activation(h_e W_{l,e} + b_{l,e})`, and all
    experts of a layer are one batched product. Each kernel is drawn as a `Dense` of
    that size would draw it.

    Args:
        num_experts: how many networks there are.
        units: the width of each layer.
        activation: of each layer.
        own_inputs: whether each expert reads an input of its own.
        kernel_initializer: of each kernel `W_{l,e}`.

    Input shape: `(batch, ..., width)`, which every expert reads; with `own_inputs`
    `(batch, ..., num_experts, width)`.

    Output shape: `(batch, ..., num_experts, units[-1])`.
    """

    def __init__(
        self,
        num_experts: int,
        units: Sequence[int] = (64,),
        *,
        activation: Any = "relu",
        own_inputs: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_experts = num_experts
        self.units = tuple(units)
        self.activation = keras.activations.get(activation)
        self.own_inputs = own_inputs
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        self.kernels, self.biases = [], []
        width = input_shape[-1]
        for index, units in enumerate(self.units, start=1):
            self.kernels.append(
                self.add_weight(
                    name=f"kernel_{index}",
                    shape=(self.num_experts, width, units),
                    initializer=per_slice(self.kernel_initializer),
                )
            )
            self.biases.append(
                self.add_weight(
                    name=f"bias_{index}",
                    shape=(self.num_experts, units),
                    initializer="zeros",
                )
            )
            width = units

    def call(self, inputs: Any) -> Any:
        tensor = inputs
        for index, (kernel, bias) in enumerate(
            zip(self.kernels, self.biases, strict=True)
        ):
            if index == 0 and not self.own_inputs:
                tensor = apply_all(tensor, kernel)
            else:
                tensor = apply_each(tensor, kernel)
            tensor = self.activation(tensor + bias)
        return tensor

    def compute_output_shape(self, input_shape: Any) -> Any:
        leading = input_shape[:-2] if self.own_inputs else input_shape[:-1]
        return (*leading, self.num_experts, self.units[-1])

    def get_config(self) -> dict[str, Any]:
        config = {
            "num_experts": self.num_experts,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "own_inputs": self.own_inputs,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("mtlzoo")
class Gate(Readable, keras.layers.Layer):
    """How much each expert counts for an input: `softmax(W x)`, without a bias.

    Computed in float32 under every precision policy.

    Args:
        experts: the names of the experts, in order, for reports.
        num_gates: how many gates there are, each with a `W` of its own; `None` for one,
            without an axis for it.

    Input shape: `(batch, ..., width)`.

    Output shape: `(batch, ..., num_experts)`, or with `num_gates`
    `(batch, ..., num_gates, num_experts)`.
    """

    quantity = "mean gate weight"

    def __init__(
        self, experts: Sequence[str], *, num_gates: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True
        self.experts = tuple(experts)
        self.num_gates = num_gates

    def build(self, input_shape: Any) -> None:
        shape = (self.num_gates or 1, input_shape[-1], len(self.experts))
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=per_slice("glorot_uniform")
        )

    def call(self, inputs: Any) -> Any:
        if self.num_gates is None:
            return shares(ops.matmul(inputs, self.kernel[0]))
        return shares(apply_all(inputs, self.kernel))

    def compute_output_shape(self, input_shape: Any) -> Any:
        gates = () if self.num_gates is None else (self.num_gates,)
        return (*input_shape[:-1], *gates, len(self.experts))

    def get_config(self) -> dict[str, Any]:
        config = {"experts": self.experts, "num_gates": self.num_gates}
        return {**super().get_config(), **config}

    @property
    def read_from(self) -> Sequence[str]:
        return self.experts

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return mean_over_rows(outputs[0], keep=1 if self.num_gates is None else 2)


@keras.saving.register_keras_serializable("mtlzoo")
class Mixture(keras.layers.Layer):
    """The sum of experts' outputs, weighted by a gate: `sum_e g_e f_e`.

    Called on a list: the gate, then one bank of experts or several, whose experts
    follow each other in the gate's order.

    Input shape: gate `(batch, ..., num_experts)` and banks
    `(batch, ..., experts of the bank, units)`; a gate of shape
    `(batch, ..., num_gates, num_experts)` gives as many mixtures.

    Output shape: `(batch, ..., units)`, or `(batch, ..., num_gates, units)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        gate, *banks = inputs
        experts = banks[0] if len(banks) == 1 else ops.concatenate(banks, axis=-2)
        if len(gate.shape) == len(experts.shape):
            return ops.matmul(gate, experts)
        if experts.shape[-2] <= 4:
            # A product a row, so small, costs TensorFlow 1.3 to 2 times as much.
            return ops.sum(ops.expand_dims(gate, -1) * experts, axis=-2)
        return ops.squeeze(ops.matmul(ops.expand_dims(gate, -2), experts), -2)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return next((one for one in mask or [] if one is not None), None)

    def compute_output_shape(self, input_shape: Any) -> Any:
        gate, bank = input_shape[:2]
        return (*gate[:-1], bank[-1])


def mix(tensor: Any, weights: Any) -> Any:
    """Return weighted sums over experts, the same for each row, as one matrix product.

    Args:
        tensor: shape `(..., count, width)`.
        weights: shape `(outputs, count)`.

    Returns:
        A tensor of shape `(..., outputs, width)`.
    """
    count, width = tensor.shape[-2:]
    # As `weights @ tensor`, TensorFlow would make the gradient of the weights for each
    # row and then add it all up.
    rows = ops.swapaxes(ops.reshape(tensor, (-1, count, width)), 0, 1)
    mixed = ops.matmul(weights, ops.reshape(rows, (count, -1)))
    mixed = ops.swapaxes(ops.reshape(mixed, (weights.shape[0], -1, width)), 0, 1)
    return ops.reshape(mixed, (*ops.shape(tensor)[:-2], weights.shape[0], width))


def apply_all(tensor: Any, kernels: Any) -> Any:
    """Return the product of one tensor and each matrix, as a single matrix product.

    Args:
        tensor: shape `(..., width)`.
        kernels: shape `(count, width, units)`.

    Returns:
        A tensor of shape `(..., count, units)`.
    """
    count, width, units = kernels.shape
    wide = ops.reshape(ops.transpose(kernels, (1, 0, 2)), (width, count * units))
    products = ops.matmul(ops.reshape(tensor, (-1, width)), wide)
    return ops.reshape(products, (*ops.shape(tensor)[:-1], count, units))


def apply_each(tensor: Any, kernels: Any) -> Any:
    """Return the product of each tensor and its own matrix, as one batched product.

    Args:
        tensor: shape `(..., count, width)`.
        kernels: shape `(count, width, units)`.

    Returns:
        A tensor of shape `(..., count, units)`.
    """
    # With axes that only one factor has, as in einsum("...ed,edu->...eu"), TensorFlow
    # would make the gradient of the kernels for each row and then add it all up.
    rows = ops.reshape(tensor, (-1, *kernels.shape[:2]))
    products = ops.swapaxes(ops.matmul(ops.swapaxes(rows, 0, 1), kernels), 0, 1)
    return ops.reshape(products, (*ops.shape(tensor)[:-1], kernels.shape[-1]))


def shares(scores: Any) -> Any:
    """Return the softmax over the last axis; a single entry gets all, 1."""
    if scores.shape[-1] == 1:
        return ops.ones_like(scores)  # where Keras's own would warn on each call
    return ops.softmax(scores, axis=-1)


def expert_names(count: int, owner: str = "expert") -> list[str]:
    """Return the names of `count` experts, for gates and their reports."""
    return [f"{owner} {index}" for index in range(1, count + 1)]


def check_at_least(minimum: int, owner: str, **options: Any) -> None:
    """Refuse options that are no integers, or below `minimum`.

    Raises:
        OptionError: naming the option, what was expected and what came.
    """
    for name, value in options.items():
        if not isinstance(value, Integral):
            raise OptionError(
                f"`{name}` of the architecture {owner!r} must be an integer. "
                f"Received: {name}={value!r}."
            )
        if value < minimum:
            raise OptionError(
                f"`{name}` of the architecture {owner!r} must be at least {minimum}. "
                f"Received: {name}={value}."
            )
