"""What the heads of a model stand on."""

from typing import Any

from mtlzoo._bundles import fingerprint, relative_keys, weights_by_key
from mtlzoo._graph import Step, steps
from mtlzoo.errors import OptionError, TaskError
from mtlzoo.model import MultiTaskModel
from mtlzoo.tasks import Task

RANKS = {"pooled": 2, "sequence": 3, "map": 4}


def base_fingerprint(model: MultiTaskModel, task: str) -> str:
    """Return a hash of all that the head of a task stands on.

    It is over the weights that lead to what the head reads, statistics included, to the
    last bit: those of the trunk, and of the sharing where there is one. It is the same
    in every process, and whatever is frozen. A head gives the same predictions on two
    models for which it is the same.

    Args:
        model: a model of `mtlzoo.build`.
        task: the name of one of its tasks.

    Raises:
        OptionError: there is no such task, or the model has no representations.
    """
    return fingerprint_of(model, representation_step(model, task).inputs[0])


def fingerprint_of(model: MultiTaskModel, tensor: Any) -> str:
    """Return a hash of the weights that lead to a tensor inside a model."""
    before = {step.layer.name for step in steps([tensor])}
    weights = weights_by_key(model)
    keys = [key for key in weights if key.partition("/")[0] in before]
    return fingerprint(
        {key: weights[full] for key, full in relative_keys(keys).items()}
    )


def representation_step(model: MultiTaskModel, task: str) -> Step:
    """Return the step that marks what the head of a task reads.

    Raises:
        OptionError: there is no such task, or the model has no representations.
    """
    for step in steps(list(model.outputs)):
        if step.layer.name == f"representation.{task}":
            return step
    names = ", ".join(one.name for one in model.tasks)
    raise OptionError(
        f"{model.name!r} has no representation of a task {task!r}. Tasks: {names}. "
        "Only models of mtlzoo.build have representations, which heads can be put on."
    )


def features_for(model: MultiTaskModel, task: Task, like: str | None) -> Any:
    """Return the tensor inside a model that a new head is to read.

    Args:
        model: a model of `mtlzoo.build`.
        task: of the new head.
        like: the task whose representation it reads; `None` for what all of them are
            made of.

    Raises:
        OptionError: there is no task `like`, or the tasks read different things.
        TaskError: there are no features of the kind that the task reads.
    """
    rank = RANKS[task.reads]
    if like is not None:
        tensor = representation_step(model, like).inputs[0]
        if len(tensor.shape) != rank:
            raise TaskError(
                f"Task {task.name!r} reads {task.reads} features, of {rank} axes. What "
                f"{like!r} reads has the shape {tuple(tensor.shape)}."
            )
        return tensor
    read = [representation_step(model, one.name).inputs[0] for one in model.tasks]
    fitting = {id(one): one for one in read if len(one.shape) == rank}
    if len(fitting) > 1:
        names = ", ".join(one.name for one in model.tasks)
        raise OptionError(
            f"The tasks of {model.name!r} read representations of their own. Say whose "
            f"the head of {task.name!r} is to read: like=..., one of {names}."
        )
    if fitting:
        return next(iter(fitting.values()))
    there = [
        tensor
        for step in steps(read)
        if step.layer.name.startswith("trunk")
        for tensor in step.outputs
        if len(tensor.shape) == rank
    ]
    if not there:
        raise TaskError(
            f"Task {task.name!r} reads {task.reads} features, and the trunk of "
            f"{model.name!r} has none on the way to its heads."
        )
    return there[-1]
