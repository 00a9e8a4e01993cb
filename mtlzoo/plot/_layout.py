"""Where blocks go: in columns from left to right, with room for the lines between."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from mtlzoo.plot._block import Block

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
            place.width = width
        left += width + GAP_X


def _set_y(by_column: list[list[Place]]) -> None:
    """Order each column by its neighbours, so that few lines cross, and settle it."""
    sources = {place: place.sources for places in by_column for place in places}
    targets: dict[Place, list[Place]] = {place: [] for place in sources}
    for place, before in sources.items():
        for source in before:
            targets[source].append(place)
    for places in by_column:
        _settle(places, [0.0] * len(places))
    for _ in range(6):
        for places in reversed(by_column):
            _sort(places, targets)
        for places in by_column:
            _sort(places, sources)
    for places in by_column:
        _sort(places, {place: sources[place] + targets[place] for place in places})


def _sort(places: list[Place], neighbours: dict[Place, list[Place]]) -> None:
    wanted = {
        place: sum(one.y for one in near) / len(near) if near else place.y
        for place in places
        for near in [neighbours[place]]
    }
    places.sort(key=wanted.__getitem__, reverse=True)
    _settle(places, [wanted[place] for place in places])


def _settle(places: list[Place], wanted: list[float]) -> None:
    """Set each `y` as near to `wanted` as the order and the gaps allow.

    The least squares under these constraints: isotonic regression by pooling adjacent
    violators, on positions from which the least distances have been taken out.
    """
    distances = [0.0]
    for upper, lower in itertools.pairwise(places):
        step = (upper.height + lower.height) / 2 + GAP_Y
        distances.append(distances[-1] + step)
    pools: list[tuple[float, int]] = []  # mean and number of each pool, descending
    for position, distance in zip(wanted, distances, strict=True):
        mean, count = position + distance, 1
        while pools and pools[-1][0] < mean:
            other, number = pools.pop()
            mean = (mean * count + other * number) / (count + number)
            count += number
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    for place, mean, distance in zip(places, means, distances, strict=True):
        place.y = mean - distance
