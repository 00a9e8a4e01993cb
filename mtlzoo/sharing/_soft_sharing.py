from collections.abc import Sequence
from itertools import combinations
from typing import Any

import keras
from keras import ops

from mtlzoo._config import Configured
from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._base import Head, Outputs
from mtlzoo.sharing._columns import Columns
from mtlzoo.sharing._ties import tied_matrices
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@keras.saving.register_keras_serializable("mtlzoo")
class Distance(Configured):
    """The squared distance between the weights of the tasks' trunks, as a penalty.

    `strength * sum_l sum_{i<j} ||W_{l,i} - W_{l,j}||^2`, over the weight matrices
    `W_{l,t}` of trunk `t` and all pairs of tasks `i`, `j`.

    Args:
        tasks: the names of the tasks.
        strength: what the sum is multiplied by.
    """

    def __init__(self, tasks: Sequence[str], strength: float) -> None:
        self.tasks = list(tasks)
        self.strength = strength

    def __call__(self, model: Any) -> Any:
        """Return the penalty for the weights of `model`, a scalar."""
        total = ops.zeros(())
        for matrices in tied_matrices(model, self.tasks):
            for first, second in combinations(matrices, 2):
                total += ops.sum(ops.square(first - second))
        return self.strength * total


@ARCHITECTURES.register(
    "soft_sharing",
    paper="Duong et al., ACL 2015",
    tasks="two or more, any kind",
    inputs="any, over a trunk of several stages",
    extra_losses="distance between the trunks",
)
@keras.saving.register_keras_serializable("mtlzoo")
class SoftSharing(Columns):
    """A network for each task, whose weights are pulled towards each other.

    Added to the loss is `strength * sum_l sum_{i<j} ||W_{l,i} - W_{l,j}||^2`: the
    squared distance between the weight matrices `W_{l,t}` of all tasks' networks. With
    strength 0 the tasks are independent; the stronger, the closer to one network.

    Args:
        strength: the weight of the penalty.

    Reference: Long Duong, Trevor Cohn, Steven Bird, Paul Cook, *Low Resource Dependency
    Parsing: Cross-lingual Parameter Sharing in a Neural Network Parser*, ACL 2015,
    <https://aclanthology.org/P15-2139>.
    """

    def __init__(self, strength: float = 1e-3) -> None:
        self.strength = strength

    def connect(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task], head: Head
    ) -> Outputs:
        outputs = super().connect(sources, trunk, tasks, head)
        outputs.penalties.append(Distance([one.name for one in tasks], self.strength))
        return outputs
