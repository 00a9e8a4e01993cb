"""Which rows of several data sets make up each batch: a function of the seed alone."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mtlzoo._registry import unknown_name
from mtlzoo.datasets._split import random_integers
from mtlzoo.errors import DataError, UnknownNameError

Shares = Callable[[Any, float], Any]

SAMPLINGS: Mapping[str, Shares] = {
    "proportional": lambda sizes, _: sizes,
    "temperature": lambda sizes, temperature: sizes ** (1 / temperature),
    "uniform": lambda sizes, _: np.ones_like(sizes),
    "alternate": lambda sizes, _: np.ones_like(sizes),
}
"""From the sizes of the sets to how often each is drawn, up to a factor."""


def shares(sizes: Sequence[int], sampling: str, temperature: float | None) -> Any:
    """Return the part of all draws that each set gets; together they are 1.

    Raises:
        UnknownNameError: there is no such sampling.
        DataError: the temperature is no positive number, or this sampling has none.
    """
    if sampling not in SAMPLINGS:
        raise UnknownNameError(unknown_name("sampling", sampling, SAMPLINGS))
    if temperature is not None and sampling != "temperature":
        raise DataError(
            "`temperature` is for sampling='temperature' alone. Received: "
            f"temperature={temperature}, sampling={sampling!r}."
        )
    temperature = 2.0 if temperature is None else temperature
    if not (math.isfinite(temperature) and temperature > 0):
        raise DataError(
            "`temperature` must be a positive number: 1 is proportional, and the "
            f"higher, the more uniform. Received: temperature={temperature}."
        )
    drawn = SAMPLINGS[sampling](np.asarray(sizes, "float64"), temperature)
    return drawn / drawn.sum()


class Schedule:
    """The row numbers of every batch of every epoch.

    Rows are numbered through all sets, those of the first set first. A draw chooses the
    set of one batch, or of one row in mixed batches; the rows of a set come in a random
    order, each once before any comes again, in another order each time round. All of it
    follows from `seed`, so any epoch can be computed without those before it having
    been read.

    Args:
        sizes: the number of rows of each set.
        shares: the probability of each set; `None` lets the sets take turns.
        batch_size: rows a batch.
        mixed: whether a draw is for one row, not for a batch.
        steps: batches an epoch.
        seed: of the draws and of the orders; at least 0.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        shares: Any,
        *,
        batch_size: int,
        mixed: bool,
        steps: int,
        seed: int,
    ) -> None:
        self.sizes = list(sizes)
        self.shares = shares
        self.batch_size = batch_size
        self.mixed = mixed
        self.steps = steps
        self.seed = seed
        self._taken = [np.zeros(len(self.sizes), "int64")]

    def rows(self, epoch: int) -> Any:
        """Return the row numbers of one epoch, of shape `(steps, batch_size)`."""
        while len(self._taken) <= epoch:
            done = self._draws(len(self._taken) - 1)
            self._taken.append(self._taken[-1] + self._count(done))
        draws = self._draws(epoch)
        numbers = np.empty(len(draws), "int64")
        start = np.cumsum([0, *self.sizes])
        for index, count in enumerate(self._count(draws)):
            first = self._taken[epoch][index]
            numbers[draws == index] = start[index] + self._take(index, first, count)
        return numbers.reshape(self.steps, self.batch_size)

    def _draws(self, epoch: int) -> Any:
        """Return the set of each row of an epoch, batch by batch."""
        count = self.steps * (self.batch_size if self.mixed else 1)
        if self.shares is None:
            drawn = (epoch * count + np.arange(count)) % len(self.sizes)
        else:
            part = random_integers(count, [self.seed, 0, epoch]) / 2.0**64
            edges = np.cumsum(self.shares)[:-1]
            drawn = np.searchsorted(edges, part, side="right")
        return drawn if self.mixed else np.repeat(drawn, self.batch_size)

    def _count(self, draws: Any) -> Any:
        return np.bincount(draws, minlength=len(self.sizes))

    def _take(self, index: int, first: int, count: int) -> Any:
        """Return the next `count` rows of a set of which `first` were taken before."""
        size = self.sizes[index]
        rounds = range(first // size, (first + count - 1) // size + 1)
        orders = [
            np.argsort(random_integers(size, [self.seed, 1 + index, one]))
            for one in rounds
        ]
        skipped = first % size
        return np.concatenate([*orders, []])[skipped : skipped + count]
