from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mtlzoo._graph import steps
from mtlzoo._registry import unknown_name
from mtlzoo._toggled import take_state
from mtlzoo.errors import BundleError, TaskError, UnknownNameError
from mtlzoo.heads import Tower
from mtlzoo.model import MultiTaskModel
from mtlzoo.sharing._base import mark_representation
from mtlzoo.tasks import Task
from mtlzoo.transfer._bases import (
    base_fingerprint,
    features_for,
    fingerprint_of,
    representation_step,
)


def add_head(
    model: MultiTaskModel,
    task: Task,
    head: Tower | None = None,
    *,
    like: str | None = None,
) -> MultiTaskModel:
    """Return a model that has one more task.

    The layers of `model` are in the new one, with their weights, what is frozen of
    them, and the optimizer's state: use it in the place of `model`. A balancing starts
    anew, since it counts tasks.

    Args:
        model: a model of `mtlzoo.build`.
        task: what is to be predicted too.
        head: from representation to prediction; by default a hidden layer of 64 units.
        like: the task whose representation the head reads. `None` takes the features
            that all tasks read, or where they are of another kind, the trunk's.

    Raises:
        TaskError: the model has a task of that name, or no features that it can read.
        OptionError: `like` is needed, or names no task.

    Example:

    ```python
    model = transfer.add_head(model, tasks.Binary("footwear"))
    transfer.freeze(model, ["trunk/*", "heads/class/*"])
    ```
    """
    _refuse_known(model, task.name)
    marked = mark_representation(task.name, features_for(model, task, like))
    prediction = (head or Tower()).connect(task, marked, _image_size(model))
    return _with(model, {task.name: prediction}, [*model.tasks, task])


def replace_head(
    model: MultiTaskModel, task: Task, head: Tower | None = None
) -> MultiTaskModel:
    """Return a model with a new head for one of its tasks, which may have changed.

    All else is as in `add_head`.

    Args:
        model: a model of `mtlzoo.build`.
        task: what takes the place of the model's task of the same name, such as one
            with more classes.
        head: from representation to prediction; by default a hidden layer of 64 units.

    Raises:
        UnknownNameError: the model has no task of that name.
        TaskError: other tasks depend on the old head, or the new task reads features of
            another kind.

    Example:

    ```python
    model = transfer.replace_head(model, tasks.Multiclass("class", 20))
    ```
    """
    _refuse_unknown(model, task.name)
    _refuse_needed(model, task.name)
    features_for(model, task, task.name)
    marked = representation_step(model, task.name).outputs[0]
    prediction = (head or Tower()).connect(task, marked, _image_size(model))
    tasks = [task if one.name == task.name else one for one in model.tasks]
    return _with(model, {task.name: prediction}, tasks)


def drop_head(model: MultiTaskModel, task: str) -> MultiTaskModel:
    """Return a model without one of its tasks.

    What the other tasks need stays. All else is as in `add_head`.

    Args:
        model: a multi-task model.
        task: the name of the task.

    Raises:
        UnknownNameError: the model has no task of that name.
        TaskError: it is the last task, or a penalty of the model is about it.
    """
    _refuse_unknown(model, task)
    if len(model.tasks) == 1:
        raise TaskError(f"{task!r} is the last task of {model.name!r}.")
    for penalty in model.penalties:
        if task in getattr(penalty, "tasks", ()):
            raise TaskError(
                f"{penalty!r}, which the architecture adds to the loss, is about "
                f"{task!r}. Build a model without that task."
            )
    return _with(model, {}, [one for one in model.tasks if one.name != task])


def graft(
    model: MultiTaskModel,
    source: MultiTaskModel,
    task: str,
    *,
    like: str | None = None,
) -> MultiTaskModel:
    """Return a model that has a head of another one, with its weights.

    Both must stand on the same base, to the last bit: on any other, a head's
    predictions mean nothing. The head is a copy; all else is as in `add_head`.

    Args:
        model: a model of `mtlzoo.build`.
        source: the model that has the head.
        task: the name of its task.
        like: the task of `model` whose representation the head reads, as in `add_head`.

    Raises:
        BundleError: the models stand on different bases.
        UnknownNameError: `source` has no task of that name.
        TaskError: `model` has one already, or the head reads more than its
            representation.

    Example:

    ```python
    model = transfer.graft(model, keras.saving.load_model("other.keras"), "footwear")
    ```
    """
    _refuse_unknown(source, task)
    _refuse_known(model, task)
    wanted = next(one for one in source.tasks if one.name == task)
    features = features_for(model, wanted, like)
    needed, found = base_fingerprint(source, task), fingerprint_of(model, features)
    if needed != found:
        raise BundleError(
            f"The head of {task!r} was trained on another base. Needed: {needed}. "
            f"{model.name!r} has: {found}. Freeze the trunk while heads are trained, "
            "and they can be moved between models of the same base."
        )
    marked = mark_representation(task, features)
    return _with(model, {task: _copied(source, task, marked)}, [*model.tasks, wanted])


def _copied(source: MultiTaskModel, task: str, marked: Any) -> Any:
    """Return what a copy of the head of a task makes of another representation."""
    values = {id(representation_step(source, task).outputs[0]): marked}
    behind = [source.output[task]]
    for step in steps(behind):
        there = [id(one) in values for one in step.inputs]
        if not any(there):
            continue
        if not all(there):
            raise TaskError(
                f"The head of {task!r} in {source.name!r} reads more than its own "
                f"representation: at {step.layer.name!r}. It can't be taken out."
            )
        layer = step.layer
        if isinstance(layer, keras.layers.Layer):
            layer = type(layer).from_config(layer.get_config())
        positional, named = step.arguments.fill_in(values)
        outputs = keras.tree.flatten(layer(*positional, **named))
        if isinstance(layer, keras.layers.Layer):
            layer.set_weights(step.layer.get_weights())
        values |= dict(zip(map(id, step.outputs), outputs, strict=True))
    return values[id(behind[0])]


def _with(
    model: MultiTaskModel, predictions: Mapping[str, Any], tasks: Sequence[Task]
) -> MultiTaskModel:
    """Return a model of the same layers with other tasks."""
    known = {task.name for task in model.tasks}
    outputs = {**model.output, **predictions}
    derived = {name: outputs[name] for name in model.output if name not in known}
    made = MultiTaskModel(
        {tensor.name: tensor for tensor in model.inputs},
        {**{task.name: outputs[task.name] for task in tasks}, **derived},
        name=model.name,
        tasks=tasks,
        penalties=model.penalties,
    )
    if model.compiled:
        settings = keras.saving.deserialize_keras_object(model.get_compile_config())
        metrics = settings["weighted_metrics"]
        names = {task.name for task in tasks}
        settings["weighted_metrics"] = {
            name: metrics[name] for name in metrics if name in names
        }
        # Keras builds a layer as it was built; a new one counts the tasks itself.
        old = model.balancing
        settings["balancing"] = type(old).from_config(old.get_config())
        made.compile(**settings)
        take_state(made.optimizer, model.optimizer)
    return made


def _image_size(model: MultiTaskModel) -> Any:
    images = [one for one in model.inputs if len(one.shape) == 4]
    return tuple(images[0].shape[1:3]) if len(images) == 1 else None


def _refuse_known(model: MultiTaskModel, task: str) -> None:
    if task in {one.name for one in model.tasks} | set(model.output):
        raise TaskError(
            f"{model.name!r} has an output {task!r} already. For another head, "
            "replace_head; to be rid of it, drop_head."
        )


def _refuse_unknown(model: MultiTaskModel, task: str) -> None:
    names = [one.name for one in model.tasks]
    if task not in names:
        raise UnknownNameError(unknown_name(f"task of {model.name!r}", task, names))


def _refuse_needed(model: MultiTaskModel, task: str) -> None:
    """Refuse to replace a head that other outputs depend on."""
    others = [one for name, one in model.output.items() if name != task]
    if any(step.layer.name.startswith(f"heads.{task}.") for step in steps(others)):
        raise TaskError(
            f"Other outputs of {model.name!r} depend on the head of {task!r}, so it "
            "can't be replaced. Build the model anew."
        )
