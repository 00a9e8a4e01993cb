"""Fewer boxes that say the same."""

import itertools
from typing import Any

from mtlzoo.plot._block import Block


def tidy(blocks: list[Block]) -> list[Block]:
    """Join, merge and stack blocks where one box tells as much as several."""
    return _stacked(_merged(_joined_inputs(blocks)))


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
    """Merge neighbours within a part where two boxes would tell no more than one."""
    kept = list(found)
    for block in found:
        children = [one for one in kept if block in one.parents]
        if len(children) == 1 and _belong_together(block, children[0], kept):
            (child,) = children
            child.name = _name(block, child)
            del child.parents[block]
            child.parents |= block.parents
            child.layers = block.layers + child.layers
            kept.remove(block)
    return kept


def _belong_together(block: Block, child: Block, kept: list[Block]) -> bool:
    """Return whether a block and the only one it feeds make one box.

    They do when they are layers in a row, when `block` only joins tensors for `child`,
    or when `child` only sums what others give, weighted by `block`: a gate.
    """
    banks = block.num_experts > 1 or child.num_experts > 1
    if block.part == "inputs" or block.part != child.part or banks:
        return False
    if len(child.parents) == 1 or not block.has_weights:
        return True
    feeders = [
        parent
        for parent in child.parents
        if parent.num_experts == 1 and sum(parent in one.parents for one in kept) == 1
    ]
    return feeders == [block] and not child.has_weights


def _name(block: Block, child: Block) -> str:
    """Return the name of both in one: of the one with weights, or what is common."""
    if not (block.has_weights and child.has_weights):
        return block.name if block.has_weights else child.name
    return _common(block, child) or child.name


def _common(first: Block, second: Block) -> str:
    pairs = zip(first.name.split("."), second.name.split("."), strict=False)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)
    return ".".join(part for part, _ in same)


def _stacked(found: list[Block]) -> list[Block]:
    """Let one block stand for several of a kind, such as the experts of a mixture."""
    stacks: dict[Any, Block] = {}
    kept = []
    for block in found:
        children = tuple(one for one in found if block in one.parents)
        kinds = tuple(type(layer).__name__ for layer in block.layers)
        key = (tuple(block.parents), children, kinds)
        if block.part == "sharing" and key in stacks:
            stack = stacks[key]
            stack.copies += 1
            stack.layers += block.layers
            stack.name = _common(stack, block) or stack.name
            for child in children:
                del child.parents[block]
        else:
            stacks[key] = block
            kept.append(block)
    return kept
