from collections.abc import Sequence
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._base import Sharing
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@ARCHITECTURES.register(
    "single_task", tasks="one or more, any kind", inputs="any", extra_losses="none"
)
@keras.saving.register_keras_serializable("mtlzoo")
class SingleTask(Sharing):
    """An independent network for each task: the baseline that sharing has to beat.

    Each task has a trunk and a head of its own; nothing is shared, so with balancing
    `equal` each task trains as it would alone. One model holds them all, which makes
    training, saving and comparing the baselines one call.
    """

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        return {
            task.name: trunk.connect(sources, f"trunk.{task.name}").read(task)
            for task in tasks
        }
