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
    "ml_mmoe",
    paper="Li et al., KDD 2023",
    tasks="one or more, any kind",
    inputs="any",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class MLMMoE(FeatureSharing):
    """MMoE of several levels: mixtures of experts feed the experts of the next level.

    With `h_{0,e} = x`, level `l` computes `u_{l,e} = f_{l,e}(h_{l-1,e})`. Below the
    last level there is a gate for each expert of the next one,
    `h_{l,e} = sum_i softmax(W_{l,e} x)_i u_{l,i}`; on the last there is a gate for each
    task, `h_t = sum_i softmax(W_t x)_i u_{L,i}`. Every gate reads the features `x`, on
    whichever level it is.

    Args:
        num_experts: how many experts each level has.
        num_levels: how many levels there are, `L`; with 1 it is MMoE.
        expert_units: the width of each dense layer of an expert.
        activation: of these layers.

    Reference: Danwei Li, Zhengyu Zhang, Siyang Yuan, Mingze Gao, Weilin Zhang, Chaofei
    Yang, Xi Liu, Jiyan Yang, *AdaTT: Adaptive Task-to-Task Fusion Network for Multitask
    Learning in Recommendations*, KDD 2023, <https://arxiv.org/abs/2304.04959>, which
    compares with it.
    """

    def __init__(
        self,
        num_experts: int = 8,
        *,
        num_levels: int = 2,
        expert_units: tuple[int, ...] = (64,),
        activation: str = "relu",
    ) -> None:
        self.num_experts = num_experts
        self.num_levels = num_levels
        self.expert_units = check_units("ml_mmoe", expert_units)
        self.activation = activation
        check_at_least(1, "ml_mmoe", num_experts=num_experts, num_levels=num_levels)

    def mix(
        self, features: Any, tasks: Sequence[str], layers: Layers
    ) -> dict[str, Any]:
        names = expert_names(self.num_experts)
        tensor = features
        for level in range(1, self.num_levels + 1):
            experts = layers(
                ExpertBank,
                f"level_{level}.experts",
                self.num_experts,
                self.expert_units,
                activation=self.activation,
                own_inputs=level > 1,
            )(tensor)
            if level < self.num_levels:
                gates = layers(
                    Gate, f"level_{level}.gates", names, num_gates=self.num_experts
                )(features)
                tensor = layers(Mixture, f"level_{level}.mixtures")([gates, experts])
        place = f"level_{self.num_levels}"
        return {
            task: layers(Mixture, f"{place}.mixture.{task}")(
                [layers(Gate, f"{place}.gate.{task}", names)(features), experts]
            )
            for task in tasks
        }
