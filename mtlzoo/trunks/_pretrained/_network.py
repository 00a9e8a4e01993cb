from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from mtlzoo._graph import Step, steps, without_masks
from mtlzoo.errors import WeightsError
from mtlzoo.trunks._base import Features
from mtlzoo.trunks._pretrained._base import Base
from mtlzoo.trunks._pretrained._copies import lay
from mtlzoo.trunks._pretrained._cuts import Cut, cuts, stage_ends

KINDS = {2: "pooled", 3: "sequence", 4: "map"}


class Network:
    """The graph of a base, cut into a beginning, stages and an end.

    Each part can be laid anew, any number of times, on tensors of another model: as
    copies of its layers, named anew, that have the weights of the base.

    Args:
        base: whose model is functional.
        weights: whether copies get the weights of the base, or start at random.
    """

    def __init__(self, base: Base, *, weights: bool) -> None:
        self.base = base
        self._weights = weights
        wanted = base.outputs or _by_kind(base.model)
        # Layers carry masks along, so these are no second tensor between two stages.
        self._steps = without_masks(steps(list(wanted.values())), wanted.values())
        places = cuts(self._steps, list(wanted.values()))
        self._outputs = _with_maps(wanted, places)
        # The end derives the features, so none of them may lie before its cut.
        first = min(self._position(one) for one in self._outputs.values())
        places = [one for one in places if one.after <= first]
        self._ends = stage_ends(self._steps, places)
        if self._ends and places[-1] != self._ends[-1]:
            self._ends.append(places[-1])

    @property
    def num_stages(self) -> int:
        return max(len(self._ends) - 1, 0)

    def begin(self, inputs: Sequence[Any], name: str) -> Any:
        """Lay what comes before the first stage, and return what it gives."""
        values = {
            id(symbolic): real
            for symbolic, real in zip(self.base.model.inputs, inputs, strict=True)
        }
        if not self._ends:
            self._lay(self._steps, values, name)
            return {kind: values[id(one)] for kind, one in self._outputs.items()}
        self._lay(self._steps[: self._ends[0].after], values, name)
        return values[id(self._ends[0].tensor)]

    def stage(self, index: int, tensor: Any, name: str) -> Any:
        """Lay one stage, counted from 0, on what the one before it gave."""
        return self._between(self._ends[index], self._ends[index + 1], tensor, name)

    def finish(self, tensor: Any, name: str) -> Features:
        """Lay what comes after the last stage, and return the features."""
        if isinstance(tensor, dict):
            return Features(**tensor)
        last = self._ends[-1]
        values = {id(last.tensor): tensor}
        self._lay(self._steps[last.after :], values, name)
        return Features(
            **{kind: values[id(one)] for kind, one in self._outputs.items()}
        )

    def _between(self, start: Cut, end: Cut, tensor: Any, name: str) -> Any:
        values = {id(start.tensor): tensor}
        self._lay(self._steps[start.after : end.after], values, name)
        return values[id(end.tensor)]

    def _position(self, tensor: Any) -> int:
        return next(
            index + 1
            for index, step in enumerate(self._steps)
            if any(one is tensor for one in step.outputs)
        )

    def _lay(self, part: Sequence[Step], values: dict[int, Any], name: str) -> None:
        def name_of(original: str) -> str:
            return f"{name}.{original.removeprefix(self.base.prefix)}"

        lay(part, values, name_of, weights=self._weights)


def own_copy(base: Base) -> Base:
    """Return a base of the same layers and weights that are nobody else's."""
    outputs = dict(base.outputs or _by_kind(base.model))
    inputs = [
        keras.Input(one.shape[1:], dtype=one.dtype, name=one.name)
        for one in base.model.inputs
    ]
    values = {id(old): new for old, new in zip(base.model.inputs, inputs, strict=True)}
    lay(steps(list(outputs.values())), values, str, weights=True)
    copied = {kind: values[id(one)] for kind, one in outputs.items()}
    model = keras.Model({one.name: one for one in inputs}, copied)
    return replace(base, model=model, outputs=copied)


def _by_kind(model: Any) -> dict[str, Any]:
    """Return the outputs of a model by the kind of features that they are.

    Raises:
        WeightsError: they are of no kind that a head reads.
    """
    if isinstance(model.output, dict):
        outputs = dict(model.output)
    elif len(model.outputs) == 1:
        rank = len(model.outputs[0].shape)
        outputs = {KINDS.get(rank, f"{rank} axes"): model.outputs[0]}
    else:
        outputs = {f"output {index}": one for index, one in enumerate(model.outputs)}
    if unknown := sorted(set(outputs) - set(KINDS.values())):
        raise WeightsError(
            "A base gives a tensor of 2, 3 or 4 axes, batch included, or a dict with "
            f"keys among pooled, sequence and map. {model.name!r} gives: "
            f"{', '.join(unknown)}. Name a layer whose output is to be the features: "
            "output='...'."
        )
    return outputs


def _with_maps(outputs: Mapping[str, Any], places: Sequence[Cut]) -> dict[str, Any]:
    """Add the last map or sequence that pooled features come from, if any."""
    if set(outputs) == {"pooled"}:
        for rank in (4, 3):
            found = [one.tensor for one in places if len(one.tensor.shape) == rank]
            if found:
                return {KINDS[rank]: found[-1], **outputs}
    return dict(outputs)
