from collections.abc import Mapping, Sequence
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
    "cgc",
    paper="Tang et al., RecSys 2020",
    tasks="one or more, any kind",
    inputs="any",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class CGC(FeatureSharing):
    """Experts of each task's own beside shared ones: customised gate control.

    `h_t = sum_e softmax(W_t x)_e f_e(x)`, where `e` runs over the experts of task `t`
    and the shared ones. Experts of other tasks are out of reach, so a task that the
    others would harm has a place to itself. Without experts of the tasks' own it is
    MMoE.

    Args:
        num_task_experts: how many experts each task has to itself.
        num_shared_experts: how many experts all tasks share.
        expert_units: the width of each dense layer of an expert.
        activation: of these layers.

    Reference: Hongyan Tang, Junning Liu, Ming Zhao, Xudong Gong, *Progressive Layered
    Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for Personalized
    Recommendations*, RecSys 2020, <https://doi.org/10.1145/3383313.3412236>,
    section 4.1.
    """

    def __init__(
        self,
        num_task_experts: int = 2,
        *,
        num_shared_experts: int = 2,
        expert_units: tuple[int, ...] = (64,),
        activation: str = "relu",
    ) -> None:
        self.num_task_experts = num_task_experts
        self.num_shared_experts = num_shared_experts
        self.expert_units = check_units("cgc", expert_units)
        self.activation = activation
        check_at_least(0, "cgc", num_task_experts=num_task_experts)
        check_at_least(1, "cgc", num_shared_experts=num_shared_experts)

    def mix(
        self, features: Any, tasks: Sequence[str], layers: Layers
    ) -> dict[str, Any]:
        inputs = dict.fromkeys(tasks, features)
        extraction = Extraction(self, layers, place="")
        return extraction.connect(inputs, features)[0]


class Extraction:
    """One level of experts and gates, as in CGC and in each level of PLE.

    Args:
        options: an architecture with the options of CGC.
        layers: makes the layers.
        place: what their names start with.
    """

    def __init__(self, options: Any, layers: Layers, place: str) -> None:
        self._options = options
        self._layers = layers
        self._place = place

    def connect(
        self, inputs: Mapping[str, Any], shared: Any, *, shared_gate: bool = False
    ) -> tuple[dict[str, Any], Any]:
        """Return a mixture for each task and, with `shared_gate`, one of all experts.

        Args:
            inputs: what each task's experts and gate read, by task name.
            shared: what the shared experts and the shared gate read.
            shared_gate: whether there is one.
        """
        per_task = self._options.num_task_experts
        banks, names = {}, {}
        for task, tensor in inputs.items():
            # A task may have no experts of its own; it then reads the shared ones only.
            banks[task] = (
                [self._bank(f"experts.{task}", per_task, tensor)] if per_task else []
            )
            names[task] = expert_names(per_task, task)
        count = self._options.num_shared_experts
        shared_bank = self._bank("shared_experts", count, shared)
        shared_names = expert_names(count, "(shared)")
        mixtures = {
            task: self._mix(
                f".{task}",
                [*names[task], *shared_names],
                tensor,
                [*banks[task], shared_bank],
            )
            for task, tensor in inputs.items()
        }
        if not shared_gate:
            return mixtures, None
        everything = [bank for own in banks.values() for bank in own]
        all_names = [name for own in names.values() for name in own]
        return mixtures, self._mix(
            "",
            [*all_names, *shared_names],
            shared,
            [*everything, shared_bank],
        )

    def _bank(self, name: str, count: int, tensor: Any) -> Any:
        options = self._options
        return self._layers(
            ExpertBank,
            f"{self._place}{name}",
            count,
            options.expert_units,
            activation=options.activation,
        )(tensor)

    def _mix(self, suffix: str, names: list[str], tensor: Any, banks: list[Any]) -> Any:
        gate = "gate" if suffix else "shared_gate"
        mixture = "mixture" if suffix else "shared_mixture"
        weights = self._layers(Gate, f"{self._place}{gate}{suffix}", names)(tensor)
        return self._layers(Mixture, f"{self._place}{mixture}{suffix}")(
            [weights, *banks]
        )
