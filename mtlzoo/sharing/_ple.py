from collections.abc import Sequence
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._cgc import Extraction
from mtlzoo.sharing._experts import check_at_least
from mtlzoo.sharing._features import FeatureSharing, Layers, check_units


@ARCHITECTURES.register(
    "ple",
    paper="Tang et al., RecSys 2020",
    tasks="one or more, any kind",
    inputs="any",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class PLE(FeatureSharing):
    """Levels of own and shared experts: progressive layered extraction.

    With `h_{0,t} = h_{0,s} = x`, level `l` has experts of each task `t` that read
    `h_{l-1,t}` and shared ones that read `h_{l-1,s}`. The gate of task `t` reads
    `h_{l-1,t}` and mixes the task's own and the shared experts into `h_{l,t}`. The
    shared gate reads `h_{l-1,s}` and mixes all experts, those of every task and the
    shared ones, into `h_{l,s}`; the last level has none. With one level it is CGC.

    Args:
        num_levels: how many levels there are.
        num_task_experts: how many experts each task has to itself, on each level.
        num_shared_experts: how many experts all tasks share, on each level.
        expert_units: the width of each dense layer of an expert.
        activation: of these layers.

    Reference: Hongyan Tang, Junning Liu, Ming Zhao, Xudong Gong, *Progressive Layered
    Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for Personalized
    Recommendations*, RecSys 2020, <https://doi.org/10.1145/3383313.3412236>,
    section 4.2.
    """

    def __init__(
        self,
        num_levels: int = 2,
        *,
        num_task_experts: int = 2,
        num_shared_experts: int = 2,
        expert_units: tuple[int, ...] = (64,),
        activation: str = "relu",
    ) -> None:
        self.num_levels = num_levels
        self.num_task_experts = num_task_experts
        self.num_shared_experts = num_shared_experts
        self.expert_units = check_units("ple", expert_units)
        self.activation = activation
        check_at_least(0, "ple", num_task_experts=num_task_experts)
        check_at_least(
            1, "ple", num_levels=num_levels, num_shared_experts=num_shared_experts
        )

    def mix(
        self, features: Any, tasks: Sequence[str], layers: Layers
    ) -> dict[str, Any]:
        mixtures, shared = dict.fromkeys(tasks, features), features
        for level in range(1, self.num_levels + 1):
            extraction = Extraction(self, layers, place=f"level_{level}.")
            mixtures, shared = extraction.connect(
                mixtures, shared, shared_gate=level < self.num_levels
            )
        return mixtures
