from collections.abc import Sequence
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._experts import (
    ExpertBank,
    Gate,
    Mixture,
    check_at_least,
    expert_names,
)
from mtlzoo.sharing._features import FeatureSharing, Layers, check_units


@ARCHITECTURES.register(
    "omoe",
    paper="Ma et al., KDD 2018",
    tasks="one or more, any kind",
    inputs="any",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class OMoE(FeatureSharing):
    """Experts and one gate that all tasks share: one-gate mixture of experts.

    `h = sum_e g_e(x) f_e(x)` with `g(x) = softmax(W x)`: every task reads the same
    mixture `h` of the experts `f_1 ... f_E`, chosen for each row by the gate `g`. It is
    what MMoE is compared with: there each task has a gate of its own.

    Args:
        num_experts: how many experts there are, `E`.
        expert_units: the width of each dense layer of an expert.
        activation: of these layers.

    Reference: Jiaqi Ma, Zhe Zhao, Xinyang Yi, Jilin Chen, Lichan Hong, Ed H. Chi,
    *Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts*, KDD 2018, <https://doi.org/10.1145/3219819.3220007>.
    """

    def __init__(
        self,
        num_experts: int = 8,
        *,
        expert_units: tuple[int, ...] = (64,),
        activation: str = "relu",
    ) -> None:
        self.num_experts = num_experts
        self.expert_units = check_units("omoe", expert_units)
        self.activation = activation
        check_at_least(1, "omoe", num_experts=num_experts)

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
        gate = layers(Gate, "gate", expert_names(self.num_experts))(features)
        mixture = layers(Mixture, "mixture")([gate, experts])
        return dict.fromkeys(tasks, mixture)
