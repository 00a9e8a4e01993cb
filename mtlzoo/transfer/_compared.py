from collections.abc import Sequence
from typing import Any

from mtlzoo._graph import steps
from mtlzoo._registry import unknown_name
from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._parts import trunk_stages


def compared_layers(
    model: MultiTaskModel, layers: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return what layers of a model give, symbolic tensors by the names of the layers.

    Args:
        model: made by `mtlzoo.build`, or any other.
        layers: names of layers; `None` takes the last of each stage of the trunk.

    Raises:
        OptionError: there is no such layer.
    """
    if layers is None:
        return _stage_ends(model)
    there = {step.layer.name: step.outputs[0] for step in steps(list(model.outputs))}
    for name in layers:
        if name not in there:
            raise OptionError(unknown_name(f"layer of {model.name!r}", name, there))
    return {name: there[name] for name in layers}


def _stage_ends(model: MultiTaskModel) -> dict[str, Any]:
    """Return the output of the last layer of each stage of the trunk, by its name."""
    stage_of = {
        id(place.layer): name
        for name, stage in trunk_stages(model).items()
        for place in stage
    }
    ends: dict[str, tuple[str, Any]] = {}
    current = None
    for step in steps(list(model.outputs)):
        inside: Any = getattr(step.layer, "_flatten_layers", list)()
        found = [stage_of[id(one)] for one in inside if id(one) in stage_of]
        if found:
            current = found[-1]
        elif getattr(step.layer, "weights", ()) or step.layer.name.startswith("repr"):
            current = None  # of another part; what has no weights belongs to the last
        if current is not None:
            ends[current] = step.layer.name, step.outputs[0]
    return dict(ends.values())
