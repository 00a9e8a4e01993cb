"""Whether two models stand on the same base, to the last bit."""

import hashlib
from collections.abc import Mapping
from typing import Any


def fingerprint(weights: Mapping[str, Any]) -> str:
    """Return a hash over weights: their keys, shapes, types and bytes.

    It is the same for the same base in every model, process and machine, since the keys
    are relative to the base and their order doesn't matter. A head works on the base
    that it was trained on and on no other, however alike: so this is what heads are
    checked by.

    Args:
        weights: arrays or Keras variables by key relative to the base, such as
            `{"dense_1/kernel": ..., "dense_1/bias": ...}`.
    """
    import numpy as np

    digest = hashlib.sha256()
    for key in sorted(weights):
        value = weights[key]
        array = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
        array = np.asarray(array)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        shape = ",".join(map(str, np.shape(value)))
        digest.update(f"{key}\n{array.dtype.name}\n{shape}\n".encode())
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"
