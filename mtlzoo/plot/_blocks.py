"""From the graph of a model to the few blocks that a person thinks of."""

from collections.abc import Mapping
from typing import Any

from mtlzoo._graph import Step, steps
from mtlzoo.plot._block import Block
from mtlzoo.plot._parts import Parts
from mtlzoo.plot._tidy import tidy


def blocks(model: Any) -> list[Block]:
    """Return the blocks of a functional model, in the order of its outputs."""
    outputs = _named_outputs(model)
    graph = steps(list(outputs.values()))
    feeds = _outputs_fed(graph, outputs)
    part_of = Parts(graph, feeds, list(outputs))
    found: list[Block] = []
    newest: dict[tuple[str, str], Block] = {}
    owner: dict[int, Block] = {}
    for step in graph:
        sources = list(dict.fromkeys(owner[id(one)] for one in step.inputs))
        key = part_of(step.layer)
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
    return sorted(tidy(found), key=lambda block: _place_of(block, list(outputs)))


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


def _place_of(block: Block, outputs: list[str]) -> float:
    """Return the index of the output in a block's name; the middle where none is."""
    named = [outputs.index(one) for one in block.name.split(".") if one in outputs]
    return named[0] if named else (len(outputs) - 1) / 2


def _would_loop(block: Block, sources: list[Block]) -> bool:
    return any(source is not block and source.follows(block) for source in sources)
