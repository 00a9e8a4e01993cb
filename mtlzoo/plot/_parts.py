"""Which part of a model a layer belongs to, by its name and by what depends on it."""

import itertools
from typing import Any

from mtlzoo._graph import Step


class Parts:
    """Says which block a layer belongs to: its part and name, or `None` for none.

    Layers that `mtlzoo.build` named are told apart by their names. Others belong to the
    trunk when several outputs depend on them, and to the head of the one that does.

    Args:
        graph: of the model.
        feeds: the names of the outputs that depend on each layer, by its `id`.
        outputs: the names of all outputs.
    """

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
        self._inputs = set(inputs)
        self._own: dict[str, set[str]] = {}
        for step in graph:
            part, names = _split(step.layer)
            if part == "trunk":
                own = self._own.setdefault(self._branch(names), set())
                own.add(step.layer.name.rpartition(".")[-1])

    def __call__(self, layer: Any) -> tuple[str, str] | None:
        part, names = _split(layer)
        if type(layer).__name__ == "InputLayer":
            return "inputs", layer.name
        if layer.name.startswith("heads."):
            return "heads", layer.name.split(".")[1]
        if layer.name.startswith("sharing."):
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
        """Return the trunk that a path is in.

        What encodes an input belongs to the trunk above it, which reads all of its
        inputs so. A trunk that joins others is the exception: there, the path is that
        of a trunk that an input has for itself.
        """
        above, _, last = name.rpartition(".")
        own = self._own.get(above, set())
        return above if last in self._inputs and own and "join" not in own else name


def _split(layer: Any) -> tuple[str, list[str]]:
    """Return the part in a layer's name, and what stands between it and the end.

    The end is the layer's own name, unless it is a model, and so a part of its own.
    """
    part, *names = layer.name.split(".")
    return part, names if hasattr(layer, "layers") else names[:-1]
