"""From the graph of a model to the few blocks that a person thinks of."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtlzoo._graph import Step, steps

# Layers that turn one raw input into numbers, and belong to the trunk that they feed.
ENCODERS = {
    "Calendar",
    "Embedding",
    "Flatten",
    "GlobalAveragePooling1D",
    "IntegerLookup",
    "Masking",
    "Normalization",
    "Rescaling",
    "Standardize",
    "StringLookup",
    "TextVectorization",
}


@dataclass(eq=False)
class Block:
    """One box of the drawing.

    Attributes:
        part: `"inputs"`, `"trunk"`, `"sharing"` or `"heads"`.
        name: what sets it apart within its part; "" for the only one.
        layers: what it consists of, in the order of the graph.
        parents: the blocks that feed it.
        copies: how many blocks of the same kind it stands for.
    """

    part: str
    name: str
    layers: list[Any] = field(default_factory=list)
    parents: dict["Block", None] = field(default_factory=dict)
    copies: int = 1

    def follows(self, other: "Block") -> bool:
        """Return whether data flows from `other` into this block."""
        waiting, seen = list(self.parents), set()
        while waiting:
            block = waiting.pop()
            if block is other:
                return True
            if id(block) not in seen:
                seen.add(id(block))
                waiting += block.parents
        return False

    @property
    def has_weights(self) -> bool:
        return any(getattr(layer, "weights", None) for layer in self.layers)


def blocks(model: Any) -> list[Block]:
    """Return the blocks of a functional model and how they feed each other.

    Layers that `mtlzoo.build` named are told apart by their names. Others belong to the
    trunk when several outputs depend on them, and to the head of the one that does.
    """
    outputs = _named_outputs(model)
    graph = steps(list(outputs.values()))
    feeds = _outputs_fed(graph, outputs)
    key_of = _Keys(graph, feeds, list(outputs))
    found: list[Block] = []
    newest: dict[tuple[str, str], Block] = {}
    owner: dict[int, Block] = {}
    for step in graph:
        sources = list(dict.fromkeys(owner[id(one)] for one in step.inputs))
        key = key_of(step.layer)
        if key is None:  # too small to draw: it belongs to what came before
            block = max(sources, key=found.index)
        elif key in newest and not _would_loop(newest[key], sources):
            block = newest[key]
        else:
            block = newest[key] = Block(*key)
            found.append(block)
        if key is not None:
            block.layers.append(step.layer)
        for source in sources:
            if source is not block:
                block.parents[source] = None
        owner |= {id(tensor): block for tensor in step.outputs}
    return _stacked(_merged(_joined_inputs(found)))


def _named_outputs(model: Any) -> dict[str, Any]:
    output = model.output
    if isinstance(output, Mapping):
        return dict(output)
    return dict(zip(model.output_names, model.outputs, strict=True))


def _outputs_fed(graph: list[Step], outputs: dict[str, Any]) -> dict[int, set[str]]:
    """Return the names of the outputs that depend on each layer, by its `id`."""
    by_tensor: dict[int, set[str]] = {}
    by_layer: dict[int, set[str]] = {}
    for name, tensor in outputs.items():
        by_tensor.setdefault(id(tensor), set()).add(name)
    for step in reversed(graph):
        names = set().union(*(by_tensor.get(id(one), set()) for one in step.outputs))
        by_layer.setdefault(id(step.layer), set()).update(names)
        for tensor in step.inputs:
            by_tensor.setdefault(id(tensor), set()).update(names)
    return by_layer


class _Keys:
    """Says which block a layer belongs to: its part and name, or `None` for none."""

    def __init__(
        self, graph: list[Step], feeds: dict[int, set[str]], outputs: list[str]
    ) -> None:
        self._feeds = feeds
        self._outputs = outputs
        inputs = [
            step.layer.name
            for step in graph
            if type(step.layer).__name__ == "InputLayer"
        ]
        # What may follow "trunk." in the name of a trunk; the rest names its layers.
        self._branches = {*outputs, *inputs, "table", "fused"}
        members: dict[str, set[str]] = {}
        for step in graph:
            part, *names = _path(step.layer)
            if part == "trunk":
                kind = type(step.layer).__name__
                members.setdefault(self._branch(names), set()).add(kind)
        self._trunks = members

    def __call__(self, layer: Any) -> tuple[str, str] | None:
        part, *names = _path(layer)
        if type(layer).__name__ == "InputLayer":
            return "inputs", layer.name
        if part == "heads":
            return "heads", names[0]
        if part == "sharing":
            return "sharing", layer.name.removeprefix("sharing.")
        if part == "trunk":
            return "trunk", self._trunk(self._branch(names))
        if part == "representation" or not hasattr(layer, "weights"):
            return None
        fed = self._feeds[id(layer)]
        if len(fed) == 1 and len(self._outputs) > 1:
            return "heads", min(fed)
        everything = len(fed) == len(self._outputs)
        return "trunk", "" if everything else "for " + ", ".join(sorted(fed))

    def _branch(self, names: list[str]) -> str:
        known = itertools.takewhile(self._branches.__contains__, names)
        return ".".join(known)

    def _trunk(self, name: str) -> str:
        """Return the trunk that a path is in: encoders belong to the one above."""
        while name and self._trunks.get(name, set()) <= ENCODERS:
            name = name.rpartition(".")[0]
        return name


def _path(layer: Any) -> list[str]:
    """Return the parts of a layer's name without the last, which is the layer's own."""
    parts: list[str] = layer.name.split(".")
    whole = hasattr(layer, "layers") or len(parts) == 1
    return parts if whole else parts[:-1] if len(parts) > 2 else parts[:1]


def _would_loop(block: Block, sources: list[Block]) -> bool:
    return any(source is not block and source.follows(block) for source in sources)


def _joined_inputs(found: list[Block]) -> list[Block]:
    """Join the inputs that feed the same blocks."""
    joined: dict[tuple[Block, ...], Block] = {}
    kept = []
    for block in found:
        if block.part != "inputs":
            kept.append(block)
            continue
        children = tuple(one for one in found if block in one.parents)
        if children in joined:
            joined[children].layers += block.layers
            for child in children:
                del child.parents[block]
        else:
            joined[children] = block
            kept.append(block)
    return kept


def _merged(found: list[Block]) -> list[Block]:
    """Merge neighbours within a part where two boxes would tell no more than one.

    That is a block and the only one it feeds, where the latter has no other source or
    one of the two has no weights: layers in a row, a gate and the sum that it weights,
    branches and what joins them.
    """
    kept = list(found)
    for block in found:
        children = [one for one in kept if block in one.parents]
        if block.part == "inputs" or len(children) != 1:
            continue
        (child,) = children
        row = len(child.parents) == 1
        feeder = not child.has_weights and not hasattr(block.layers[0], "num_experts")
        if child.part == block.part and (row or feeder or not block.has_weights):
            _merge(block, child, block.has_weights and not child.has_weights)
            kept.remove(block)
    return kept


def _merge(block: Block, child: Block, rename: bool) -> None:
    del child.parents[block]
    child.parents |= block.parents
    child.layers = block.layers + child.layers
    child.name = block.name if rename else child.name


def _stacked(found: list[Block]) -> list[Block]:
    """Let one block stand for several of a kind, such as the experts of a mixture."""
    stacks: dict[Any, Block] = {}
    kept = []
    for block in found:
        children = tuple(one for one in found if block in one.parents)
        kinds = tuple(type(layer).__name__ for layer in block.layers)
        key = (tuple(block.parents), children, kinds)
        if block.part == "sharing" and key in stacks:
            stacks[key].copies += 1
            stacks[key].layers += block.layers
            for child in children:
                del child.parents[block]
        else:
            stacks[key] = block
            block.copies = getattr(block.layers[0], "num_experts", 1)
            kept.append(block)
    return kept
