"""Weights in safetensors files: data and nothing else."""

from collections.abc import Mapping
from typing import Any

from mtlzoo.errors import BundleError


def dump(arrays: Mapping[str, Any]) -> bytes:
    """Return arrays as the content of a safetensors file."""
    import numpy as np
    from safetensors.numpy import save

    # The library stores memory as it lies, so each array must lie in C order; and
    # `ascontiguousarray` would turn a scalar into a row.
    return save({key: np.array(one, order="C") for key, one in arrays.items()})


def parse(content: bytes, name: str) -> dict[str, Any]:
    """Return the arrays in the content of a safetensors file.

    They take no more memory than `content`, whatever its header claims: the library
    checks shapes and offsets against what is there.

    Raises:
        BundleError: it isn't such a file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError, OverflowError) as error:
        raise BundleError(f"{name} is no sound safetensors file: {error}") from error
