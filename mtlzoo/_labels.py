"""The label contract, checked on the data before a step sees them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from mtlzoo.errors import LabelError
from mtlzoo.tasks import Task


def is_table(value: Any) -> bool:
    """Return whether `value` holds columns by name."""
    return isinstance(value, Mapping) or hasattr(value, "columns")


def prepare_labels(tasks: Sequence[Task], y: Any, rows: int) -> dict[str, Any]:
    """Return float32 arrays by task name, checked for name, rows, shape and range."""
    by_name = {task.name: task for task in tasks}
    if not is_table(y) and len(tasks) == 1:
        y = {tasks[0].name: y}
    if not is_table(y):
        raise LabelError(
            f"Labels must be a dict keyed by task: {', '.join(by_name)}. Received: "
            f"{type(y).__name__}."
        )
    refuse_unknown_tasks(by_name, y)
    labels = {}
    for name, values in y.items():
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            try:
                array = array.astype("float32")
            except (TypeError, ValueError) as error:
                raise LabelError(
                    f"Labels of task {name!r} must be numbers. Received {array.dtype}: "
                    f"{array.ravel()[0].item()!r}."
                ) from error
        if len(array) != rows:
            raise LabelError(
                f"Labels of task {name!r} must have as many rows as the inputs, "
                f"{rows}. Received: {len(array)}."
            )
        check_shape(by_name[name], array.shape)
        _check_range(by_name[name], array)
        labels[name] = array.astype("float32")
    return labels


def refuse_unknown_tasks(tasks: Mapping[str, Task], found: Any) -> None:
    """Refuse labels for tasks that there aren't, and none at all."""
    if unknown := [str(name) for name in found if name not in tasks]:
        raise LabelError(
            f"There is no task {', '.join(map(repr, unknown))}. Labels may be given "
            f"for: {', '.join(tasks)}."
        )
    if not len(found):
        raise LabelError(f"No labels were given. Tasks: {', '.join(tasks)}.")


def check_shape(task: Task, shape: tuple[int | None, ...]) -> None:
    """Refuse labels of a shape, batch included, that `task` doesn't take."""
    expected = task.label_shape
    rows = tuple(shape[1:])
    options = [expected]
    if expected and expected[-1] == 1:
        options.append(expected[:-1])
    if task.has_classes and len(expected) == 0:
        options.append((1,))
    for option in options:
        if len(option) == len(rows) and all(
            want is None or got is None or want == got
            for want, got in zip(option, rows, strict=True)
        ):
            return
    allowed = " or ".join(str(("rows", *option)) for option in options)
    raise LabelError(
        f"Labels of task {task.name!r} ({type(task).__name__}) must have shape "
        f"{allowed.replace(chr(39), '')}. Received: {tuple(shape)}."
    )


def range_message(task: Task) -> str:
    """Return what the labels of `task` must be, in words."""
    hint = ""
    if task.missing is None:
        hint = " If -1 marks a missing label, say so: missing=-1."
    return (
        f"Labels of task {task.name!r} ({type(task).__name__}) must be "
        f"{task.expected_range}.{hint}"
    )


def wrong_labels(task: Task, labels: Any) -> Any:
    """Return, for each label, whether it is there and out of range."""
    labels = ops.cast(labels, "float32")
    return ops.logical_and(task.labelled(labels), task.out_of_range(labels))


def _check_range(task: Task, labels: Any) -> None:
    wrong = ops.convert_to_numpy(wrong_labels(task, labels))
    if wrong.any():
        raise LabelError(f"{range_message(task)} Received: {labels[wrong][0]}.")


def label_rules(model: Any, labels: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each layer that has a rule for labels, and which rows break it."""
    for layer in model.layers:
        if hasattr(layer, "label_rule"):
            broken = layer.broken(labels)
            if broken is not None:
                yield layer, broken
