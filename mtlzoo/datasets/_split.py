"""Which row goes to which split: the same on every machine and NumPy version."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtlzoo.datasets._checks import SPLITS
from mtlzoo.errors import DataError


def random_integers(count: int, seed: int | Sequence[int]) -> Any:
    """Return `count` random 64-bit integers.

    NumPy promises that a bit generator's stream never changes; of the methods of
    `numpy.random.Generator` it promises no such thing.
    """
    return np.random.PCG64(seed).random_raw(count)


def split_rows(rows: int, fractions: Sequence[float], seed: int) -> dict[str, Any]:
    """Return the row numbers of each split, drawn at random.

    Args:
        rows: how many there are.
        fractions: of training, validation and test; together 1.
        seed: of the draw.

    Raises:
        DataError: the fractions are no three parts of 1, or leave a split empty.
    """
    if (
        len(fractions) != len(SPLITS)
        or min(fractions) <= 0
        or not math.isclose(sum(fractions), 1.0, abs_tol=1e-6)
    ):
        raise DataError(
            f"`split` must be three positive fractions, for {', '.join(SPLITS)}, that "
            f"add up to 1. Received: split={tuple(fractions)}."
        )
    order = np.argsort(random_integers(rows, seed), kind="stable")
    first = round(rows * fractions[0])
    second = round(rows * (fractions[0] + fractions[1]))
    if not 0 < first < second < rows:
        raise DataError(
            f"{rows} rows are too few for split={tuple(fractions)}: every split needs "
            "at least one row."
        )
    return dict(zip(SPLITS, np.split(order, [first, second]), strict=True))
