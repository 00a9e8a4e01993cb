"""Two pieces of work timed in turns, so that a machine's moods cancel out."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

Work = Callable[[], None]


class Ratios(NamedTuple):
    """How long one piece of work took, over another; one value a round.

    Attributes:
        wall: of the time that passed.
        processor: of the time that processors spent on it, which other work on the
            machine hardly changes.
    """

    wall: list[float]
    processor: list[float]


def in_turns(first: Work, second: Work, rounds: int) -> Ratios:
    """Time both, in turns; each has been run before, so that nothing is warmed up."""
    ratios = Ratios([], [])
    for index in range(rounds):
        # Who goes first alternates, so that a drift of the machine cancels out.
        order = (first, second) if index % 2 else (second, first)
        taken = {work: _time(work) for work in order}
        for found, one, other in zip(ratios, taken[first], taken[second], strict=True):
            found.append(one / other)
    return ratios


def spread(ratios: list[float]) -> str:
    """Return the median and the middle half, as text."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"


def table(ratios: Ratios) -> list[str]:
    """Return the lines of a table of ratios, in Markdown."""
    return [
        "| ratio of | median (middle half) |",
        "|---|---|",
        f"| time that passed | {spread(ratios.wall)} |",
        f"| time of the processors | {spread(ratios.processor)} |",
    ]


def _time(work: Work) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor
