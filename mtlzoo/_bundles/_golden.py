"""A few raw inputs and what the model answers, in `golden.npz`."""

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

from mtlzoo.errors import BundleError

LIMIT = 256 * 2**20
"""The most bytes that the arrays may take in memory."""

ENTRIES = 1000

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


def dump(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> bytes:
    """Return the content of the file, the same for the same arrays."""
    import numpy as np

    arrays = {
        **{f"inputs.{name}": one for name, one in plain(inputs).items()},
        **{f"outputs.{name}": one for name, one in outputs.items()},
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs as arrays that need no pickle: strings as NumPy's own."""
    import numpy as np

    arrays = {name: np.asarray(one) for name, one in inputs.items()}
    for name, array in arrays.items():
        if array.dtype.kind in "OS":  # as pandas and TensorFlow have strings
            texts = np.array([_text(one) for one in array.ravel()], "str")
            arrays[name] = texts.reshape(array.shape)
    return arrays


def parse(content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs and the outputs by name.

    Raises:
        BundleError: the file is damaged, holds pickled objects, or would take more
            memory than golden rows ever need.
    """
    found: dict[str, dict[str, Any]] = {"inputs": {}, "outputs": {}}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            entries = file.infolist()
            size = sum(entry.file_size for entry in entries)
            if size > LIMIT or len(entries) > ENTRIES:
                raise BundleError(
                    f"golden.npz would unpack to {size:,} bytes in {len(entries)} "
                    f"arrays; at most {LIMIT:,} in {ENTRIES} are allowed."
                )
            for entry in entries:
                kind, _, name = entry.filename.removesuffix(".npy").partition(".")
                if kind not in found or not entry.filename.endswith(".npy"):
                    raise BundleError(
                        f"golden.npz holds {entry.filename!r}; only inputs.<name>.npy "
                        "and outputs.<name>.npy are allowed."
                    )
                found[kind][name] = _array(file.read(entry), entry.filename)
    except BundleError:
        raise
    except _DAMAGE as error:
        raise BundleError(f"golden.npz is damaged: {error}") from error
    return found["inputs"], found["outputs"]


def _array(content: bytes, name: str) -> Any:
    """Return the array of a .npy file whose header tells the truth."""
    import numpy as np
    from numpy.lib import format as npy

    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        shape, fortran, dtype = read[version](stream)
    except (ValueError, KeyError, SyntaxError) as error:
        raise BundleError(f"{name} of golden.npz is damaged: {error}") from error
    if dtype.hasobject:
        raise BundleError(
            f"{name} of golden.npz holds pickled objects, which could run code. It was "
            "not loaded."
        )
    if dtype.kind not in "biufUS" or dtype.shape:
        raise BundleError(
            f"{name} of golden.npz must hold numbers or strings. Received: {dtype}."
        )
    body = content[stream.tell() :]
    if math.prod(shape) * dtype.itemsize != len(body) or min(shape, default=0) < 0:
        raise BundleError(
            f"{name} of golden.npz claims to have the shape {shape}, and has "
            f"{len(body)} bytes."
        )
    flat = np.frombuffer(body, dtype) if body else np.zeros(0, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
