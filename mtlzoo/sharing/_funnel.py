from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo.errors import TaskError
from mtlzoo.sharing._base import mark_representation
from mtlzoo.tasks import Binary, Task, check_tasks
from mtlzoo.trunks._base import dense_stages


@keras.saving.register_keras_serializable("mtlzoo")
class JointProbability(keras.layers.Layer):
    """The probability that two events both happen: `p(a, b) = p(a) p(b | a)`.

    Labels in which the second happens without the first are refused by `fit` and
    `evaluate`, since no such product can fit them.

    Args:
        condition: the name of the task that comes first, `a`.
        outcome: the name of the task that needs it, `b`.

    Input shape: a list of two tensors of shape `(batch, 1)`: `p(a)` and `p(b | a)`.

    Output shape: `(batch, 1)`.
    """

    def __init__(self, condition: str, outcome: str, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.condition = condition
        self.outcome = outcome

    def call(self, inputs: Any) -> Any:
        first, second = inputs
        return first * second

    @property
    def label_rule(self) -> str:
        """What labels must hold, in words, for messages."""
        return (
            f"Labels of task {self.outcome!r} must imply {self.condition!r}: a row "
            f"whose {self.outcome!r} is 1 needs a {self.condition!r} of 1. If these "
            "tasks are no such funnel, take another architecture, such as 'mmoe'."
        )

    def broken(self, labels: Mapping[str, Any]) -> Any:
        """Return for each row whether its labels break the rule, `None` if unknown."""
        if self.condition not in labels or self.outcome not in labels:
            return None
        first = ops.reshape(ops.cast(labels[self.condition], "float32"), (-1,))
        second = ops.reshape(ops.cast(labels[self.outcome], "float32"), (-1,))
        # Missing labels, NaN or a negative mark, break nothing.
        return ops.logical_and(first >= 0, second > first)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        config = {"condition": self.condition, "outcome": self.outcome}
        return {**super().get_config(), **config}


def check_funnel(tasks: Sequence[Task], owner: str) -> tuple[Task, Task]:
    """Return the two binary tasks of a funnel, in order.

    Raises:
        TaskError: there are not two, or one isn't binary.
    """
    tasks = check_tasks(tasks)
    if len(tasks) != 2 or not all(isinstance(task, Binary) for task in tasks):
        found = ", ".join(f"{type(task).__name__} {task.name!r}" for task in tasks)
        raise TaskError(
            f"The architecture {owner!r} takes two Binary tasks, the one that comes "
            "first (click) before the one that needs it (purchase). Received: "
            f"{found}. For a longer chain take 'aitm', for other tasks 'mmoe'."
        )
    return tasks[0], tasks[1]


def check_binary(tasks: Sequence[Task], owner: str, advice: str) -> None:
    """Refuse tasks that aren't binary.

    Raises:
        TaskError: naming the first that isn't, and what to do.
    """
    for task in tasks:
        if not isinstance(task, Binary):
            raise TaskError(
                f"The architecture {owner!r} takes Binary tasks. Received: "
                f"{type(task).__name__} {task.name!r}. {advice}"
            )


def towers(
    features: Any, tasks: Sequence[Task], units: tuple[int, ...], activation: str
) -> dict[str, Any]:
    """Return for each task the output of dense layers of its own on `features`."""
    outputs = {}
    for task in tasks:
        tensor = features
        for stage in dense_stages(units, activation, 0.0, f"sharing.tower.{task.name}"):
            tensor = stage(tensor)
        outputs[task.name] = tensor
    return outputs


def mark_all(representations: Mapping[str, Any]) -> dict[str, Any]:
    """Name each tensor as the representation of its task."""
    return {
        name: mark_representation(name, tensor)
        for name, tensor in representations.items()
    }
