"""The label contract, checked on the data before a step sees them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from mtlzoo._columns import as_array, columns_of, holds_booleans, is_table
from mtlzoo._registry import unknown_name
from mtlzoo.errors import LabelError
from mtlzoo.tasks import Task


def prepare_labels(model: Any, y: Any, rows: int) -> dict[str, Any]:
    """Return float32 arrays by task name, checked for name, rows, shape and range."""
    by_name = {task.name: task for task in model.tasks}
    if not is_table(y) and len(by_name) == 1:
        y = dict.fromkeys(by_name, y)
    if not is_table(y):
        raise LabelError(
            f"Labels must be a dict keyed by task: {', '.join(by_name)}. Received: "
            f"{type(y).__name__}."
        )
    y = columns_of(y, "`y`")
    refuse_unknown_tasks(by_name, y)
    labels = {}
    for name, values in y.items():
        _, array = _checked(by_name[name], values)
        if len(array) != rows:
            raise LabelError(
                f"Labels of task {name!r} must have as many rows as the inputs, "
                f"{rows}. Received: {len(array)}."
            )
        check_shape(by_name[name], array.shape, model.output[name].shape)
        labels[name] = array
    return labels


def label_array(task: Task, values: Any) -> Any:
    """Return labels as an array, checked for type, shape and range.

    Class indices are int32 where none is missing, all else is float32. The names of
    classes become their indices where the task knows them.
    """
    array, labels = _checked(task, values)
    is_index = task.num_labels is not None and array.dtype.kind in "biu"
    return array.astype("int32") if is_index else labels


def _checked(task: Task, values: Any) -> tuple[Any, Any]:
    """Return labels as they came, but indices for names, and as float32."""
    what = f"Labels of task {task.name!r}"
    array = as_array(values, what, LabelError)
    names: list[str] | None = getattr(task, "class_names", None)
    if array.dtype.kind in "OUM" and not holds_booleans(array) and names:
        array = _indices(task.name, names, array)
    try:
        with np.errstate(over="ignore"):  # infinite, which is refused below
            labels = array.astype("float32")
    except (TypeError, ValueError) as error:
        raise LabelError(
            f"{what} must be numbers. Received: {array.ravel()[:3].tolist()}."
            f"{_names_hint(task)}"
        ) from error
    check_shape(task, labels.shape)
    _check_range(task, labels)
    return array, labels


def _names_hint(task: Task) -> str:
    if not task.num_labels:
        return ""
    if not hasattr(task, "class_names"):
        return " Compare them with the one that counts as 1: labels == 'yes'."
    return (
        " Names of classes can be labels where the task knows them: "
        f"{type(task).__name__}({task.name!r}, ['a', 'b', ...])."
    )


def _indices(task: str, names: list[str], values: Any) -> Any:
    """Return the index of each name, NaN for an empty one."""
    index: dict[str, float] = {"": np.nan}
    index.update((name, float(position)) for position, name in enumerate(names))
    try:
        flat = [index[str(value)] for value in values.ravel()]
    except KeyError as error:
        raise LabelError(
            unknown_name(f"class of task {task!r}", error.args[0], names)
        ) from None
    indices = np.array(flat).reshape(values.shape)
    return indices if np.isnan(indices).any() else indices.astype("int32")


def refuse_unknown_tasks(tasks: Mapping[str, Task], found: Any) -> None:
    """Refuse labels for tasks that there aren't, and none at all."""
    if unknown := [str(name) for name in found if name not in tasks]:
        raise LabelError(
            f"There is no task {', '.join(map(repr, unknown))}. Labels may be given "
            f"for: {', '.join(tasks)}."
        )
    if not len(found):
        raise LabelError(f"No labels were given. Tasks: {', '.join(tasks)}.")


def check_shape(
    task: Task, shape: tuple[int | None, ...], predicted: Sequence[int | None] = ()
) -> None:
    """Refuse labels of a shape, batch included, that `task` doesn't take.

    Args:
        task: the task.
        shape: of the labels.
        predicted: shape of the model's predictions, batch included, where it is known;
            it has sizes that the task leaves open, such as that of a picture.
    """
    expected = task.label_shape
    if len(predicted) > len(expected):
        expected = tuple(
            size if want is None else want
            for want, size in zip(expected, predicted[1:], strict=False)
        )
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
    return (
        f"Labels of task {task.name!r} ({type(task).__name__}) must be "
        f"{task.expected_range}."
    )


def range_hint(task: Task, label: float | None = None) -> str:
    """Return what a label out of range often is, after a space.

    Args:
        task: the task.
        label: the label, or `None` where only the graph knows it.
    """
    hint = ""
    if task.missing is None and label in (-1, None):
        hint = " If -1 marks a missing label, say so: missing=-1."
    if task.has_classes and label in (task.num_labels, None):
        hint += " If labels count from 1, take 1 off."
    return hint


def wrong_labels(task: Task, labels: Any) -> Any:
    """Return, for each label, whether it is there and out of range."""
    labels = ops.cast(labels, "float32")
    return ops.logical_and(task.labelled(labels), task.out_of_range(labels))


def _check_range(task: Task, labels: Any) -> None:
    wrong = ops.convert_to_numpy(wrong_labels(task, labels))
    if wrong.any():
        label, row = labels[wrong][0], np.argwhere(wrong)[0][0]
        raise LabelError(
            f"{range_message(task)} Received: {label:g} in row {row}."
            f"{range_hint(task, label)}"
        )


def label_rules(model: Any, labels: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each layer that has a rule for labels, and which rows break it."""
    for layer in model.layers:
        if hasattr(layer, "label_rule"):
            broken = layer.broken(labels)
            if broken is not None:
                yield layer, broken
