import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import OptionError
from mtlzoo.sharing._experts import (
    ExpertBank,
    Mixture,
    check_at_least,
    expert_names,
    shares,
)
from mtlzoo.sharing._features import FeatureSharing, Layers, check_units
from mtlzoo.sharing._readable import Readable, mean_over_rows


@keras.saving.register_keras_serializable("mtlzoo")
class DSelectKGate(Readable, keras.layers.Layer):
    """A gate that comes to choose at most `k` experts, by gradient descent.

    Selector `j` of `k` has `b = ceil(log2(num_experts))` numbers `z_j`, made into bits
    by a smooth step `S`: 0 below `-gamma / 2`, 1 above `gamma / 2`, and
    `-2 z^3 / gamma^3 + 3 z / (2 gamma) + 1/2` between. It chooses expert `e` to the
    degree `r_j(e) = prod_i (S(z_{j,i}) if bit i of e is 1 else 1 - S(z_{j,i}))`. The
    gate is `g = sum_j softmax(w)_j r_j`.

    Two penalties are added to the loss: `entropy * sum_j H(r_j)`, which drives each
    selector to one expert, and, where the number of experts is no power of two,
    `sum_j (1 / sum_e r_j(e) - 1)`, which keeps selectors from codes of no expert.

    Args:
        experts: the names of the experts, in order.
        k: how many selectors there are.
        gamma: the width of the smooth step.
        entropy: the weight of the entropy penalty.
        per_example: whether `z` and `w` are linear functions of the input; else they
            are the same for all inputs.

    Input shape: `(batch, ..., width)`.

    Output shape: `(batch, ..., num_experts)`.
    """

    quantity = "mean gate weight"

    def __init__(
        self,
        experts: Sequence[str],
        *,
        k: int = 2,
        gamma: float = 1.0,
        entropy: float = 1e-6,
        per_example: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True
        self.experts = tuple(experts)
        self.k = k
        self.gamma = gamma
        self.entropy = entropy
        self.per_example = per_example
        self.num_bits = math.ceil(math.log2(len(self.experts)))
        codes = np.arange(len(self.experts))[:, None] >> np.arange(self.num_bits)
        self._codes = (codes & 1).astype(bool)

    def build(self, input_shape: Any) -> None:
        rows = (input_shape[-1],) if self.per_example else ()
        limit = self.gamma / 100
        near_zero = keras.initializers.RandomUniform(-limit, limit)
        self.bits = self.add_weight(
            name="bits", shape=(*rows, self.k * self.num_bits), initializer=near_zero
        )
        self.mixing = self.add_weight(
            name="mixing",
            shape=(*rows, self.k),
            initializer=keras.initializers.RandomUniform(-0.05, 0.05),
        )

    def call(self, inputs: Any) -> Any:
        bits, mixing = self.bits, self.mixing
        if self.per_example:
            bits, mixing = ops.matmul(inputs, bits), ops.matmul(inputs, mixing)
        selectors = self._selectors(bits)
        self._penalize(selectors)
        weights = ops.expand_dims(shares(mixing), -2)
        gate = ops.squeeze(ops.matmul(weights, selectors), -2)
        return ops.broadcast_to(gate, (*ops.shape(inputs)[:-1], len(self.experts)))

    def _selectors(self, bits: Any) -> Any:
        """Return how far each selector chooses each expert: `(..., k, num_experts)`."""
        shape = (*ops.shape(bits)[:-1], self.k, 1, self.num_bits)
        bits = smooth_step(ops.reshape(bits, shape), self.gamma)
        codes = ops.convert_to_tensor(self._codes)
        return ops.prod(ops.where(codes, bits, 1.0 - bits), axis=-1)

    def _penalize(self, selectors: Any) -> None:
        logs = ops.log(selectors + 1e-6)
        penalty = -self.entropy * ops.sum(selectors * logs, axis=(-2, -1))
        if len(self.experts) != 2**self.num_bits:
            reached = ops.sum(selectors, axis=-1)
            penalty += ops.sum(1.0 / (reached + 1e-6) - 1.0, axis=-1)
        self.add_loss(ops.mean(penalty))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], len(self.experts))

    def get_config(self) -> dict[str, Any]:
        names = ("experts", "k", "gamma", "entropy", "per_example")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    @property
    def read_from(self) -> Sequence[str]:
        return self.experts

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return mean_over_rows(outputs[0], keep=1)


def smooth_step(values: Any, gamma: float) -> Any:
    """Return 0 below `-gamma / 2`, 1 above `gamma / 2`, and a cubic between."""
    inside = -2.0 * (values / gamma) ** 3 + 1.5 * values / gamma + 0.5
    below = ops.where(values <= -gamma / 2, 0.0, inside)
    return ops.where(values >= gamma / 2, 1.0, below)


@ARCHITECTURES.register(
    "dselect_k",
    paper="Hazimeh et al., NeurIPS 2021",
    tasks="one or more, any kind",
    inputs="any",
    extra_losses="entropy of the gates",
)
@keras.saving.register_keras_serializable("mtlzoo")
class DSelectK(FeatureSharing):
    """MMoE whose gates come to use at most `k` experts each.

    `h_t = sum_e g_{t,e} f_e(x)`, where the gate `g_t` is a `DSelectKGate`: continuous
    and differentiable, and exactly sparse once trained, so that `sharing_report` shows
    which experts a task has settled on.

    Args:
        num_experts: how many experts there are, at least 2.
        k: the largest number of experts that a task ends up with.
        gamma: the width of the smooth step that turns numbers into bits.
        entropy: the weight of the penalty that drives each selector to one expert.
        per_example: whether the choice depends on the row; else it is one a task.
        expert_units: the width of each dense layer of an expert.
        activation: of these layers.

    Reference: Hussein Hazimeh, Zhe Zhao, Aakanksha Chowdhery, Maheswaran Sathiamoorthy,
    Yihua Chen, Rahul Mazumder, Lichan Hong, Ed H. Chi, *DSelect-k: Differentiable
    Selection in the Mixture of Experts with Applications to Multi-Task Learning*,
    NeurIPS 2021, <https://arxiv.org/abs/2106.03760>.

    Differences from the authors' code: the penalty on codes of no expert is counted
    from its least value, so that it ends at 0.
    """

    def __init__(
        self,
        num_experts: int = 8,
        *,
        k: int = 2,
        gamma: float = 1.0,
        entropy: float = 1e-6,
        per_example: bool = False,
        expert_units: tuple[int, ...] = (64,),
        activation: str = "relu",
    ) -> None:
        self.num_experts = num_experts
        self.k = k
        self.gamma = gamma
        self.entropy = entropy
        self.per_example = per_example
        self.expert_units = check_units("dselect_k", expert_units)
        self.activation = activation
        check_at_least(2, "dselect_k", num_experts=num_experts)
        check_at_least(1, "dselect_k", k=k)
        if gamma <= 0:
            raise OptionError(
                "`gamma` of the architecture 'dselect_k' must be above 0. Received: "
                f"gamma={gamma}."
            )

    def mix(
        self, features: Any, tasks: Sequence[str], layers: Layers
    ) -> dict[str, Any]:
        experts = layers(
            ExpertBank,
            "experts",
            self.num_experts,
            self.expert_units,
            activation=self.activation,
        )(features)
        mixtures = {}
        for task in tasks:
            gate = layers(
                DSelectKGate,
                f"gate.{task}",
                expert_names(self.num_experts),
                k=self.k,
                gamma=self.gamma,
                entropy=self.entropy,
                per_example=self.per_example,
            )
            mixture = layers(Mixture, f"mixture.{task}")
            mixtures[task] = mixture([gate(features), experts])
        return mixtures
