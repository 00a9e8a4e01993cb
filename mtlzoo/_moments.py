from typing import Any

import numpy as np

from mtlzoo.errors import DataError


def moments(
    values: Any, what: str, error: type[Exception] = DataError
) -> tuple[Any, Any]:
    """Return mean and variance over the rows of floats; NaN is left out.

    What never varies has variance 1, and what is always NaN mean 0.

    Args:
        values: shape `(rows, ...)`.
        what: what they are, for messages.
        error: the class of what is raised.

    Raises:
        DataError: a number is infinite, or beyond what float32 holds.
    """
    if (wrong := np.abs(values) > np.finfo("float32").max).any():
        raise error(
            f"{what} must be finite, and within what float32 holds. "
            f"Received: {values[wrong][0]}."
        )
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    variance = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count
    # By the values: rounding may give equal ones a variance above 0.
    highest = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    lowest = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    return mean, np.where((highest > lowest) & (variance > 0), variance, 1.0)
