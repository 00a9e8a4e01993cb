"""What several seeds gave, in one cell of a table."""

import statistics
from collections.abc import Sequence


def cell(values: Sequence[float], form: str = ".3f") -> str:
    """Return mean ± standard deviation; of one value the value, of none nothing.

    Args:
        values: one a seed.
        form: how a mean is written, as in a format string.
    """
    if len(values) < 2:
        return "".join(f"{one:{form}}" for one in values)
    spread = statistics.stdev(values)
    return f"{statistics.mean(values):{form}} ± {spread:{form.lstrip('+')}}"
