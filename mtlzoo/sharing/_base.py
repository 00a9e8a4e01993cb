from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras

from mtlzoo import trunks
from mtlzoo._config import Configured
from mtlzoo.tasks import Task, check_tasks
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources

Head = Callable[[Task, Any], Any]
"""From a task and its representation to its prediction."""


@dataclass
class Outputs:
    """What an architecture gives.

    Attributes:
        predictions: by task name.
        representations: by task name.
        derived: outputs of the model that no task trains, by name, such as a
            probability under a condition.
        penalties: functions from the model to a scalar, added to its loss; they may
            read weights only, and are saved with the model.
    """

    predictions: dict[str, Any]
    representations: dict[str, Any]
    derived: dict[str, Any] = field(default_factory=dict)
    penalties: list[Any] = field(default_factory=list)


class Sharing(Configured):
    """How tasks share: from inputs to one representation a task.

    A sharing is a recipe: its options are arguments of its constructor, and `connect`
    makes the layers. The names of the layers it adds start with `sharing`.

    Most methods write `represent`. One whose tasks feed each other, or whose outputs
    are more than its tasks' predictions, writes `connect` in its place.
    """

    min_tasks: ClassVar[int] = 1
    """The fewest tasks with which the method makes sense."""

    def default_trunk(self, sources: Sources) -> Trunk:
        """Return the trunk for inputs of these forms, where the caller names none."""
        return trunks.default(sources)

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        """Return the representation of each task, of the kind that the task reads."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `represent` or `connect`."
        )

    def connect(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task], head: Head
    ) -> Outputs:
        """Return the predictions and representations of all tasks."""
        check_tasks(tasks, self.min_tasks)
        return predict(self.represent(sources, trunk, tasks), tasks, head)


def predict(
    representations: Mapping[str, Any], tasks: Sequence[Task], head: Head
) -> Outputs:
    """Name the representations, and apply each task's head to its own."""
    marked = {
        task.name: mark_representation(task.name, representations[task.name])
        for task in tasks
    }
    return Outputs({task.name: head(task, marked[task.name]) for task in tasks}, marked)


def mark_representation(name: str, tensor: Any) -> Any:
    """Name `tensor` as the representation of a task; a loaded model finds it so."""
    return keras.layers.Identity(name=f"representation.{name}")(tensor)
