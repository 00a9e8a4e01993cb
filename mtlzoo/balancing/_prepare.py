import math
from typing import Any

import keras

from mtlzoo import _graph
from mtlzoo.balancing._aggregator import Aggregator
from mtlzoo.balancing._base import Balancing, Weighting
from mtlzoo.balancing._shared import SharedPart
from mtlzoo.errors import TaskError


def shared_part(model: Any) -> SharedPart:
    """Return what the tasks of a multi-task model share."""
    return SharedPart(
        model.inputs, {task.name: model.output[task.name] for task in model.tasks}
    )


def shared_variables(model: Any, part: SharedPart) -> list[Any]:
    """Return the trainable variables that two or more tasks depend on, in order."""
    return [one for one in model.trainable_variables if part.is_shared(one)]


def block_sizes(aggregator: Aggregator, model: Any, part: SharedPart) -> list[int]:
    """Return the sizes of what an aggregator may remember gradients of.

    Raises:
        TaskError: a method that compares batches, on a representation of which a batch
            says how many channels it has.
    """
    if aggregator.gradients == "parameters":
        return [math.prod(one.shape) for one in shared_variables(model, part)]
    if not aggregator.compares_batches:
        return []

    def tensors(*inputs: Any) -> list[Any]:
        return [tensor for tensor, _ in part.run(inputs, lambda _: None)[1]]

    shapes = _graph.shapes(tensors, list(model.inputs))
    sizes = [shape[-1] if len(shape) > 1 else 1 for shape in shapes]
    if None in sizes:
        raise TaskError(
            f"{type(aggregator).__name__} compares the channels of the shared "
            "representation from batch to batch, so their number must be known. "
            f"Received tensors of shapes {shapes}. Use gradients='parameters'."
        )
    return sizes


def prepare(balancing: Balancing, model: Any) -> None:
    """Build `balancing` for `model`, and keep what it learns out of weight decay.

    Raises:
        TaskError: an aggregation on a model whose tasks share nothing, fewer tasks than
            the method needs, or an object that was built for another model.
        ValueError: a method that looks ahead, on variables that aren't float32.
    """
    if isinstance(balancing, Aggregator):
        part = shared_part(model)
        enough = len(model.tasks) >= balancing.min_tasks
        if enough and not any(map(part.is_shared, _graph.learnable(model))):
            raise TaskError(
                f"{type(balancing).__name__} combines the gradients of what tasks "
                "share, and the tasks of this model share no variable that is learned. "
                "Choose a weighting, such as balancing='uncertainty', or an "
                "architecture that shares."
            )
        sizes = block_sizes(balancing, model, part) if enough else []
        if not balancing.built:
            balancing.build(len(model.tasks), sizes)
        elif balancing.num_tasks == len(model.tasks):
            _use_again(balancing, sizes)
    elif not balancing.built:
        balancing.build(len(model.tasks))
    if balancing.num_tasks != len(model.tasks):
        raise TaskError(
            f"This {type(balancing).__name__} object was built for "
            f"{balancing.num_tasks} tasks, and the model has {len(model.tasks)}. Make "
            "a new one."
        )
    if isinstance(balancing, Weighting) and balancing.looks_ahead:
        _require_float32(balancing, model)
    balancing.see_tasks([task.name for task in model.tasks])
    _keep_from_decay(model.optimizer, balancing.trainable_variables)


def _require_float32(balancing: Balancing, model: Any) -> None:
    dtypes = {
        keras.backend.standardize_dtype(one.dtype) for one in model.trainable_variables
    }
    if others := sorted(dtypes - {"float32"}):
        raise ValueError(
            f"{type(balancing).__name__} measures how losses change over a small "
            "distance, for which trainable variables must be float32. Received: "
            f"{', '.join(others)}. They are float32 in mixed precision: "
            "keras.config.set_dtype_policy('mixed_bfloat16')."
        )


def _use_again(aggregator: Aggregator, sizes: list[int]) -> None:
    """Let a built aggregator have blocks of other sizes, if it remembers none."""
    if aggregator.block_sizes == tuple(sizes):
        return
    other = type(aggregator).from_config(aggregator.get_config())
    other.build(aggregator.num_tasks, sizes)
    shapes, needed = ([v.shape for v in one.variables] for one in (aggregator, other))
    if shapes != needed:
        raise TaskError(
            f"This {type(aggregator).__name__} object remembers gradients of what the "
            "tasks of a model share, and here they share something else: another "
            "model, or one of which other variables are frozen. Make a new one."
        )
    aggregator.block_sizes = tuple(sizes)


def _keep_from_decay(optimizer: Any, variables: list[Any]) -> None:
    """Exclude variables from weight decay, beside those that the user has excluded."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not variables or optimizer.built:
        return
    for one in getattr(optimizer, "optimizers", [optimizer]):
        # `exclude_from_weight_decay` forgets what was excluded before.
        excluded: set[Any] = getattr(one, "_exclude_from_weight_decay", set())
        pattern = getattr(one, "_exclude_from_weight_decay_pattern", None)
        one.exclude_from_weight_decay(var_list=variables)
        one._exclude_from_weight_decay |= excluded
        one._exclude_from_weight_decay_pattern = pattern
