"""What is written in a block."""

import math
import re
import textwrap
from collections.abc import Iterable
from typing import Any

from mtlzoo.plot._block import Block

WRAP = 30  # characters
TIMES, TO = "\N{MULTIPLICATION SIGN}", "\N{RIGHTWARDS ARROW}"


def lines_of(block: Block, model: Any) -> list[str]:
    """Return the lines in a block, the title first."""
    if block.part == "inputs":
        return _inputs(block, model)
    lines = [
        line
        for text in _summary(block.layers, block.copies)
        for line in textwrap.wrap(text, WRAP)
    ]
    weights = {id(one): one for layer in block.layers for one in _weights(layer)}
    if weights:
        parameters = sum(math.prod(weight.shape) for weight in weights.values())
        lines.append(f"{parameters:,} parameters")
    return [_title(block, model), *lines]


def _title(block: Block, model: Any) -> str:
    kinds = {task.name: type(task).__name__ for task in getattr(model, "tasks", ())}
    name = re.sub(r"\.dense_\d+$", "", block.name)
    title = name.replace(".", " · ")
    if block.part == "trunk":
        title = f"trunk · {title}" if title else "trunk"
    elif block.part == "heads" and block.name in kinds:
        title = f"{block.name}: {kinds[block.name]}"
    return f"{block.copies} {TIMES} {title}" if block.copies > 1 else title


def _inputs(block: Block, model: Any) -> list[str]:
    mine = {layer.name for layer in block.layers}
    names = [tensor.name for tensor in model.inputs if tensor.name in mine]
    if len(names) == 1:
        tensor = block.layers[0].output
        shape = tuple(tensor.shape[1:])
        return [names[0], f"{tensor.dtype} {shape}" if shape else str(tensor.dtype)]
    shown = names if len(names) <= 8 else names[:6]
    lines = textwrap.wrap(", ".join(shown), WRAP)
    if len(names) > len(shown):
        lines.append(f"and {len(names) - len(shown)} more")
    return [f"{len(names)} inputs", *lines]


def _summary(layers: list[Any], copies: int) -> Iterable[str]:
    """Name the layers that have weights, with their widths from first to last."""
    widths: dict[str, list[str]] = {}
    for layer in layers:
        kind = type(layer).__name__
        if hasattr(layer, "layers"):
            kind = layer.name
        elif hasattr(layer, "num_experts"):
            kind = f"{layer.num_experts} experts of width"
        if _weights(layer) and not kind.endswith("Normalization"):
            shape = getattr(layer.output, "shape", ("",))
            widths.setdefault(kind, []).append(str(shape[-1]))
    for kind, all_widths in widths.items():
        count = len(all_widths) // copies
        steps = [
            width
            for index, width in enumerate(all_widths[:count])
            if index == 0 or width != all_widths[index - 1]
        ]
        chained = len(steps) <= 4 and kind != "Embedding"
        number = f"{count} {TIMES} " if count > (len(steps) if chained else 1) else ""
        chain = f" {TO} ".join(steps) if chained else ""
        yield f"{number}{kind} {chain}".strip()


def _weights(layer: Any) -> list[Any]:
    return list(getattr(layer, "weights", ()))
