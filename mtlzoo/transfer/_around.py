"""A model for training around another model: the same layers, with more losses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from mtlzoo._graph import steps
from mtlzoo._registry import unknown_name
from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel


def train_around(
    model: MultiTaskModel,
    outputs: Mapping[str, Any],
    *,
    name: str,
    inputs: Mapping[str, Any] | None = None,
) -> MultiTaskModel:
    """Return a model of the same tasks that shares all layers of `model`.

    It is compiled as `model` is, with an optimizer and a balancing of its own. What it
    learns, `model` has learned.

    Args:
        model: whose layers are trained.
        outputs: by task name, what takes the place of an output of `model`; a layer on
            the way to it may add a loss.
        name: of the new model, after that of `model`.
        inputs: symbolic inputs by name that `model` doesn't have.
    """
    made = MultiTaskModel(
        {**{one.name: one for one in model.inputs}, **(inputs or {})},
        {**model.output, **outputs},
        name=f"{model.name}.{name}",
        tasks=model.tasks,
        penalties=model.penalties,
    )
    made.compile_from_config(model.get_compile_config())
    return made


def features_of(
    model: MultiTaskModel, layers: Sequence[str] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield features inside `model` that differ, each with a task that depends on it.

    Args:
        model: made by `mtlzoo.build`, or any other where `layers` are given.
        layers: names of layers whose outputs are taken; `None` takes what the
            representations of the tasks are made of.

    Yields:
        The name of the task, and a symbolic tensor of shape `(batch, width)`: what has
        steps or pixels is averaged over them.

    Raises:
        OptionError: there is no such layer, or no task depends on it.
    """
    before = {
        task.name: {
            id(one) for step in steps([model.output[task.name]]) for one in step.outputs
        }
        for task in model.tasks
    }
    names = [layer.name for layer in model.layers]
    if layers is None:
        layers = [f"representation.{task}" for task in before]
    seen = set()
    for name in layers:
        if name not in names:
            raise OptionError(unknown_name(f"layer of {model.name!r}", name, names))
        layer = model.get_layer(name)
        tensor = layer.input if name.startswith("representation.") else layer.output
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        users = [task for task, those in before.items() if id(tensor) in those]
        if not users:
            raise OptionError(
                f"No task of {model.name!r} depends on the layer {name!r}. Take one "
                "that leads to a prediction."
            )
        yield users[0], _pooled(tensor, name)


def _pooled(tensor: Any, name: str) -> Any:
    rank = len(tensor.shape)
    if rank == 2:
        return tensor
    pool = {
        3: keras.layers.GlobalAveragePooling1D,
        4: keras.layers.GlobalAveragePooling2D,
    }[rank]
    return pool(name=f"{name}.mean")(tensor)
