from collections.abc import Sequence
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._base import Sharing
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@ARCHITECTURES.register(
    "shared_bottom",
    paper="Caruana, ICML 1993",
    tasks="one or more, any kind",
    inputs="any",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class SharedBottom(Sharing):
    """One trunk for all tasks, a head for each: hard parameter sharing.

    `y_t = head_t(trunk(x))`: every task reads the same features.

    Reference: Rich Caruana, *Multitask Learning: A Knowledge-Based Source of Inductive
    Bias*, ICML 1993; *Multitask Learning*, Machine Learning 28, 1997,
    <https://doi.org/10.1023/A:1007379606734>.
    """

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        features = trunk.connect(sources)
        return {task.name: features.read(task) for task in tasks}
