import math
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from mtlzoo.sharing._experts import (
    ExpertBank,
    apply_all,
    check_at_least,
    expert_names,
    mix,
    per_slice,
)
from mtlzoo.sharing._features import FeatureSharing, Layers, check_units
from mtlzoo.sharing._readable import Readable

# The temperature and the interval that the binary variable is stretched to: the values
# of Louizos et al., which the SNR paper takes over.
BETA, LOW, HIGH = 2 / 3, -0.1, 1.1


@keras.saving.register_keras_serializable("mtlzoo")
class Connections(Readable, keras.layers.Layer):
    """Connections from sub-networks, each of which may be learned away.

    `v_o = sum_i z_{o,i} W_{o,i} u_i`, or without `units` `v_o = sum_i z_{o,i} u_i`. In
    training `z` is drawn once a batch from the hard concrete distribution:
    `s = sigmoid((log u - log(1 - u) + log_alpha) / beta)` with `u` uniform on (0, 1),
    stretched and cut, `z = min(1, max(0, s (high - low) + low))`. Otherwise
    `z = min(1, max(0, sigmoid(log_alpha) (high - low) + low))`. The penalty
    `sparsity * sum sigmoid(log_alpha - beta log(-low / high))`, the expected number of
    connections that are not 0, is added to the loss.

    Args:
        experts: the names of the sub-networks that are read, in order.
        num_outputs: how many outputs there are; `None` for one, without an axis for it.
        units: the width of the outputs; `None` leaves the matrices `W` out.
        sparsity: the weight of the penalty.
        seed: of the random draws.

    Input shape: `(batch, ..., num_inputs, width)`.

    Output shape: `(batch, ..., units)`, or `(batch, ..., num_outputs, units)`.

    Reference: Christos Louizos, Max Welling, Diederik P. Kingma, *Learning Sparse
    Neural Networks through L0 Regularization*, ICLR 2018,
    <https://arxiv.org/abs/1712.01312>.
    """

    quantity = "how open the connection is"

    def __init__(
        self,
        experts: Sequence[str],
        *,
        num_outputs: int | None = None,
        units: int | None = None,
        sparsity: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.experts = tuple(experts)
        self.num_outputs = num_outputs
        self.units = units
        self.sparsity = sparsity
        self.seed = seed
        self._random = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        outputs, (inputs, width) = self.num_outputs or 1, input_shape[-2:]
        self.log_alpha = self.add_weight(
            name="log_alpha",
            shape=(outputs, inputs),
            initializer="zeros",
            dtype="float32",
            autocast=False,
        )
        if self.units is not None:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(outputs * inputs, width, self.units),
                initializer=per_slice("glorot_uniform"),
            )

    def open(self, training: bool = False) -> Any:
        """Return `z`, how open connections are: shape `(num_outputs, num_inputs)`."""
        logits = ops.convert_to_tensor(self.log_alpha)
        if training:
            noise = keras.random.uniform(
                ops.shape(logits), 1e-6, 1 - 1e-6, seed=self._random
            )
            logits = (ops.log(noise) - ops.log(1 - noise) + logits) / BETA
        return ops.clip(ops.sigmoid(logits) * (HIGH - LOW) + LOW, 0.0, 1.0)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if self.sparsity:
            shifted = self.log_alpha - BETA * math.log(-LOW / HIGH)
            self.add_loss(self.sparsity * ops.sum(ops.sigmoid(shifted)))
        weights = ops.cast(self.open(training), self.compute_dtype)
        if self.units is None:
            outputs = mix(inputs, weights)
        else:
            outputs = self._transform(inputs, weights)
        return outputs if self.num_outputs is not None else ops.squeeze(outputs, -2)

    def _transform(self, inputs: Any, weights: Any) -> Any:
        """Return `sum_i z_{o,i} W_{o,i} u_i`, as a single matrix product."""
        outputs, sources = weights.shape
        _, width, units = self.kernel.shape
        kernel = ops.reshape(self.kernel, (outputs, sources, width, units))
        kernel = ops.reshape(
            kernel * weights[:, :, None, None], (outputs, sources * width, units)
        )
        joined = ops.reshape(inputs, (*ops.shape(inputs)[:-2], sources * width))
        return apply_all(joined, kernel)

    def compute_output_shape(self, input_shape: Any) -> Any:
        outputs = () if self.num_outputs is None else (self.num_outputs,)
        return (*input_shape[:-2], *outputs, self.units or input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        names = ("experts", "num_outputs", "units", "sparsity", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    @property
    def read_from(self) -> Sequence[str]:
        return self.experts

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        opened = ops.convert_to_numpy(self.open())
        return opened if self.num_outputs is not None else opened[0]


class Routing(FeatureSharing):
    """What the two kinds of sub-network routing have in common.

    Args:
        num_experts: how many sub-networks each level has.
        num_levels: how many levels of sub-networks there are.
        expert_units: the width of each dense layer of a sub-network.
        activation: of these layers.
        sparsity: the weight of the expected number of open connections in the loss.
    """

    owner: ClassVar[str]
    transforms: ClassVar[bool]
    """Whether a connection has a matrix."""

    def __init__(
        self,
        num_experts: int = 4,
        *,
        num_levels: int = 2,
        expert_units: tuple[int, ...] = (64,),
        activation: str = "relu",
        sparsity: float = 1e-4,
    ) -> None:
        self.num_experts = num_experts
        self.num_levels = num_levels
        self.expert_units = check_units(self.owner, expert_units)
        self.activation = activation
        self.sparsity = sparsity
        check_at_least(1, self.owner, num_experts=num_experts, num_levels=num_levels)

    def mix(
        self, features: Any, tasks: Sequence[str], layers: Layers
    ) -> dict[str, Any]:
        tensor = features
        for level in range(1, self.num_levels + 1):
            tensor = layers(
                ExpertBank,
                f"level_{level}.experts",
                self.num_experts,
                self.expert_units,
                activation=self.activation,
                own_inputs=level > 1,
            )(tensor)
            if level < self.num_levels:
                tensor = self._connections(
                    layers, f"level_{level}.connections", self.num_experts
                )(tensor)
        place = f"level_{self.num_levels}.connections"
        return {
            task: self._connections(layers, f"{place}.{task}", None)(tensor)
            for task in tasks
        }

    def _connections(self, layers: Layers, name: str, outputs: int | None) -> Any:
        return layers(
            Connections,
            name,
            expert_names(self.num_experts),
            num_outputs=outputs,
            units=self.expert_units[-1] if self.transforms else None,
            sparsity=self.sparsity,
        )
