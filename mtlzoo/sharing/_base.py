from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras

from mtlzoo._config import Configured
from mtlzoo.tasks import Task, check_tasks
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources

Head = Callable[[Task, Any], Any]
"""From a task and its representation to its prediction."""


@dataclass
class Outputs:
    """What an architecture gives: predictions and representations by task name."""

    predictions: dict[str, Any]
    representations: dict[str, Any]


class Sharing(Configured, ABC):
    """How tasks share: from inputs to one representation a task.

    A sharing is a recipe: its options are arguments of its constructor, and `connect`
    makes the layers. The names of the layers it adds start with `sharing`.

    Most methods write `represent`. One whose tasks feed each other, or whose outputs
    are more than its tasks' predictions, writes `connect` itself.
    """

    min_tasks: ClassVar[int] = 1
    """The fewest tasks with which the method makes sense."""

    @abstractmethod
    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        """Return the representation of each task, of the kind that the task reads."""

    def connect(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task], head: Head
    ) -> Outputs:
        """Return the predictions and representations of all tasks."""
        check_tasks(tasks, self.min_tasks)
        representations = {
            name: mark_representation(name, tensor)
            for name, tensor in self.represent(sources, trunk, tasks).items()
        }
        predictions = {
            task.name: head(task, representations[task.name]) for task in tasks
        }
        return Outputs(predictions, representations)


def mark_representation(name: str, tensor: Any) -> Any:
    """Name `tensor` as the representation of a task, so that a loaded model finds it."""
    return keras.layers.Identity(name=f"representation.{name}")(tensor)
