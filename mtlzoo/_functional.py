"""Functional models that others built, seen as multi-task models."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mtlzoo.errors import TaskError
from mtlzoo.tasks import Task


def outputs_by_task(model: keras.Model, tasks: Sequence[Task]) -> dict[str, Any]:
    """Return the outputs of `model` by task name, in the order of `tasks`.

    Args:
        model: its outputs are a dict keyed by the tasks' names, a list in the order of
            `tasks`, or one tensor for one task.
        tasks: one for each output.

    Raises:
        TaskError: the outputs don't match the tasks.
    """
    names = [task.name for task in tasks]
    outputs = _output(model)
    if isinstance(outputs, list | tuple) and len(outputs) == len(tasks):
        outputs = dict(zip(names, outputs, strict=True))
    elif isinstance(outputs, keras.KerasTensor) and len(tasks) == 1:
        outputs = {names[0]: outputs}
    if not isinstance(outputs, Mapping) or set(outputs) != set(names):
        found = list(outputs) if isinstance(outputs, Mapping) else outputs
        raise TaskError(
            "from_functional needs a functional model with one output a task. "
            f"Tasks: {names}. Outputs of {model.name!r}: {found}."
        )
    return {name: outputs[name] for name in names}


def _output(model: Any) -> Any:
    if isinstance(model, keras.Sequential):  # it has an `output` only once it is called
        return model.outputs[0] if model.built else None
    return getattr(model, "output", None)
