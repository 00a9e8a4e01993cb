from typing import Any

import numpy as np

from mtlzoo.features._arrays import Sequence
from mtlzoo.features._base import Feature
from mtlzoo.features._categorical import Categorical
from mtlzoo.features._numeric import Date, Numeric


def unknown(feature: Feature) -> Any:
    """Return the raw value that `feature` reads as nothing known.

    NaN for a number, which is read as the mean; the mean of dates; the empty string; an
    integer out of the vocabulary; padding; black pixels.
    """
    if feature.dtype == "string":
        return ""
    if isinstance(feature, Categorical):
        return min(int(value) for value in feature.vocabulary) - 1
    if isinstance(feature, Date):
        return round(feature.mean)
    if isinstance(feature, Numeric):
        return np.nan
    if isinstance(feature, Sequence) and feature.mask_value is not None:
        return feature.mask_value
    return 0
