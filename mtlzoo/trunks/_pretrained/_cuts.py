"""Where a network can be cut: the tensors through which all that follows must go."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import keras

from mtlzoo import _trainable
from mtlzoo._graph import Step


class Cut(NamedTuple):
    """A place between two steps that one tensor alone crosses.

    Attributes:
        after: how many steps come before it.
        tensor: the one that crosses.
    """

    after: int
    tensor: Any


def cuts(steps: Sequence[Step], outputs: Collection[Any]) -> list[Cut]:
    """Return all places to cut at, first to last.

    Args:
        steps: in the order of the graph, each after those that it depends on.
        outputs: the tensors that the steps are there for.
    """
    last_use = {id(one): len(steps) for one in outputs}
    for index, step in enumerate(steps):
        for tensor in step.inputs:
            last_use[id(tensor)] = max(index, last_use.get(id(tensor), 0))
    inputs = [isinstance(one.layer, keras.layers.InputLayer) for one in steps]
    # A layer that is used again must not be cut from its first use.
    last_call = {id(step.layer): index for index, step in enumerate(steps)}
    reach = 0
    found = []
    alive: dict[int, Any] = {}
    for index, step in enumerate(steps):
        alive |= {id(one): one for one in step.outputs if id(one) in last_use}
        alive = {key: one for key, one in alive.items() if last_use[key] > index}
        reach = max(reach, last_call[id(step.layer)])
        if len(alive) == 1 and reach == index and not any(inputs[index + 1 :]):
            found.append(Cut(index + 1, *alive.values()))
    return found


def stage_ends(steps: Sequence[Step], places: Sequence[Cut]) -> list[Cut]:
    """Return the start of the first stage, then the end of each, of `places`.

    The stages are those that `trainable="stage:..."` knows, read off the names of
    layers; two between which there is nowhere to cut are one. Preprocessing and
    embeddings come before the first.
    """
    layers = [one.layer for one in steps if isinstance(one.layer, keras.layers.Layer)]
    by_stage = _trainable.stages(
        [place for layer in layers for place in _trainable.places(layer, _path(layer))]
    )
    stage_of = {
        id(variable.variable): name
        for name, members in by_stage.items()
        for variable in members
    }
    ends: list[Cut] = []
    stage = "embeddings"
    for index, step in enumerate(steps):
        held = _trainable.places(step.layer) if step.layer in layers else []
        name = stage_of[id(held[0].variable)] if held else stage
        if name == stage:
            continue
        # What has no weights, such as a sum or pooling, belongs to the stage before it.
        before = [one for one in places if one.after <= index]
        if before and before[-1] not in ends:
            ends.append(before[-1])
        stage = name
    return ends


def _path(layer: Any) -> str:
    return str(layer.name).replace(".", "/")
