import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._experts import (
    ExpertBank,
    Gate,
    Mixture,
    check_at_least,
    expert_names,
    mix,
)
from mtlzoo.sharing._features import FeatureSharing, Layers, check_units


@keras.saving.register_keras_serializable("mtlzoo")
class ExpertSum(keras.layers.Layer):
    """A weighted sum of experts, the weights learned: `sum_i v_i f_i`.

    `v` starts uniform between `-sqrt(1 / n)` and `sqrt(1 / n)` for `n` experts. A
    single expert passes as it is.

    Input shape: `(batch, ..., num_experts, units)`.

    Output shape: `(batch, ..., units)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        count = input_shape[-2]
        if count > 1:
            limit = math.sqrt(1 / count)
            self.weight = self.add_weight(
                name="weight",
                shape=(1, count),
                initializer=keras.initializers.RandomUniform(-limit, limit),
            )

    def call(self, inputs: Any) -> Any:
        total = inputs if inputs.shape[-2] == 1 else mix(inputs, self.weight)
        return ops.squeeze(total, -2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-2], input_shape[-1])


@ARCHITECTURES.register(
    "adatt",
    paper="Li et al., KDD 2023",
    tasks="one or more, any kind",
    inputs="any",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class AdaTT(FeatureSharing):
    """Every task's experts open to all tasks, with a way straight to one's own.

    With `h_{0,m} = x` for each module `m` (one a task, one shared), level `l` has
    experts `f_{m,i}` that read `h_{l-1,m}`. Then
    `h_{l,m} = sum_e softmax(W_m h_{l-1,m})_e f_e + sum_i v_{m,i} f_{m,i}`: a gate over
    all experts of the level, plus a residual that mixes the module's own experts by
    learned weights `v` (a single one is added as it is). The last level has no shared
    module. Without shared experts it is the paper's AdaTT-sp.

    Args:
        num_levels: how many levels of fusion there are.
        num_task_experts: how many experts each task has, on each level.
        num_shared_experts: how many the shared module has, on each level; 0 for none.
        expert_units: the width of each dense layer of an expert.
        activation: of these layers.

    Reference: Danwei Li, Zhengyu Zhang, Siyang Yuan, Mingze Gao, Weilin Zhang, Chaofei
    Yang, Xi Liu, Jiyan Yang, *AdaTT: Adaptive Task-to-Task Fusion Network for Multitask
    Learning in Recommendations*, KDD 2023, <https://arxiv.org/abs/2304.04959>.

    Differences from the authors' code: the shared module's experts take part on the
    last level too; only its fusion, which nothing would read, is left out there.
    """

    def __init__(
        self,
        num_levels: int = 2,
        *,
        num_task_experts: int = 2,
        num_shared_experts: int = 1,
        expert_units: tuple[int, ...] = (64,),
        activation: str = "relu",
    ) -> None:
        self.num_levels = num_levels
        self.num_task_experts = num_task_experts
        self.num_shared_experts = num_shared_experts
        self.expert_units = check_units("adatt", expert_units)
        self.activation = activation
        check_at_least(
            1, "adatt", num_levels=num_levels, num_task_experts=num_task_experts
        )
        check_at_least(0, "adatt", num_shared_experts=num_shared_experts)

    def mix(
        self, features: Any, tasks: Sequence[str], layers: Layers
    ) -> dict[str, Any]:
        # Of a module: the end of its layers' names, and how many experts it has.
        modules = {f".{task}": self.num_task_experts for task in tasks}
        if self.num_shared_experts:
            modules["_shared"] = self.num_shared_experts
        hidden = dict.fromkeys(modules, features)
        for level in range(1, self.num_levels + 1):
            hidden = self._level(f"level_{level}", hidden, modules, layers)
            if level == self.num_levels:
                hidden.pop("_shared", None)
        return {task: hidden[f".{task}"] for task in tasks}

    def _level(
        self,
        place: str,
        hidden: dict[str, Any],
        modules: dict[str, int],
        layers: Layers,
    ) -> dict[str, Any]:
        banks, names = {}, []
        for module, count in modules.items():
            banks[module] = layers(
                ExpertBank,
                f"{place}.experts{module}",
                count,
                self.expert_units,
                activation=self.activation,
            )(hidden[module])
            owner = "(shared)" if module == "_shared" else module[1:]
            names += expert_names(count, owner)
        fused = {}
        for module, tensor in hidden.items():
            gate = layers(Gate, f"{place}.gate{module}", names)(tensor)
            mixture = layers(Mixture, f"{place}.mixture{module}")(
                [gate, *banks.values()]
            )
            own = layers(ExpertSum, f"{place}.own{module}")(banks[module])
            fused[module] = layers(keras.layers.Add, f"{place}.fusion{module}")(
                [mixture, own]
            )
        return fused
