"""Where blocks go: in columns from left to right, with room for the lines between."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mtlzoo.plot._blocks import Block

GAP_X, GAP_Y, BEND = 0.75, 0.22, 0.06  # inches


@dataclass(eq=False)
class Place:
    """A rectangle in a column: a block, or `None` where a line passes by.

    Attributes:
        block: what is there.
        column: counted from the left.
        width, height: in inches.
        x, y: of the centre, in inches.
        sources: the places that lines come from.
    """

    block: Block | None
    column: int
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    sources: list["Place"] = field(default_factory=list)


def layout(
    blocks: list[Block], size: Callable[[Block], tuple[float, float]]
) -> list[Place]:
    """Return a place for each block, and for each column that a line passes through.

    Args:
        blocks: of a model.
        size: gives the width and height of a block, in inches.
    """
    columns = _columns(blocks)
    places = {block: Place(block, columns[block], *size(block)) for block in blocks}
    passing: list[Place] = []
    for block in blocks:
        for parent in block.parents:
            source = places[parent]
            for column in range(columns[parent] + 1, columns[block]):
                bend = Place(None, column, 0.0, BEND, sources=[source])
                passing.append(bend)
                source = bend
            places[block].sources.append(source)
    everything = [*places.values(), *passing]
    by_column = [
        [place for place in everything if place.column == column]
        for column in range(1 + max(columns.values()))
    ]
    _set_x(by_column)
    _set_y(by_column)
    return everything


def _columns(blocks: list[Block]) -> dict[Block, int]:
    """Return the column of each block: one after its last parent, heads at the end."""
    found: dict[Block, int] = {}

    def column(block: Block) -> int:
        if block not in found:
            found[block] = 1 + max(map(column, block.parents), default=-1)
        return found[block]

    last = max(map(column, blocks))
    followed = {parent for block in blocks for parent in block.parents}
    for block in blocks:
        if block not in followed:
            found[block] = last
    return found


def _set_x(by_column: list[list[Place]]) -> None:
    left = 0.0
    for places in by_column:
        width = max(place.width for place in places)
        for place in places:
            place.x = left + width / 2
            if place.block is None:
                place.width = width
        left += width + GAP_X


def _set_y(by_column: list[list[Place]]) -> None:
    """Order each column by its neighbours, so that few lines cross, and spread it."""
    targets: dict[Place, list[Place]] = {}
    for places in by_column:
        for place in places:
            for source in place.sources:
                targets.setdefault(source, []).append(place)
    for places in by_column:
        _spread(places)
    for _ in range(4):
        for places in by_column[1:]:
            _sort(places, {place: place.sources for place in places})
        for places in reversed(by_column[:-1]):
            _sort(places, {place: targets.get(place, []) for place in places})


def _sort(places: list[Place], neighbours: dict[Place, list[Place]]) -> None:
    def centre(place: Place) -> float:
        near = neighbours[place]
        return sum(one.y for one in near) / len(near) if near else place.y

    places.sort(key=centre, reverse=True)
    _spread(places)


def _spread(places: list[Place]) -> None:
    total = sum(place.height for place in places) + GAP_Y * (len(places) - 1)
    top = total / 2
    for place in places:
        place.y = top - place.height / 2
        top -= place.height + GAP_Y
