from dataclasses import dataclass, field
from typing import Any


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

    @property
    def num_experts(self) -> int:
        """How many networks of a kind its layers hold."""
        return max(
            (getattr(layer, "num_experts", 1) for layer in self.layers), default=1
        )
