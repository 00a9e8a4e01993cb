"""The IDX format of the MNIST family of data sets.

A file is a magic number (two zero bytes, the type, the number of axes), the length of
each axis as a big-endian 32-bit integer, and the values, the last axis varying fastest.
Specified at <http://yann.lecun.com/exdb/mnist/>.
"""

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mtlzoo.errors import DataError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, axes: int) -> Any:
    """Return the array of bytes that a file holds, gzip-compressed or not.

    Args:
        path: of the file; compressed if its name ends in `.gz`.
        axes: how many the array must have.

    Raises:
        DataError: the file is no IDX file of unsigned bytes with so many axes, or is
            shorter or longer than its header says.
    """
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{path} can't be decompressed: {error}. Get the file again."
            ) from error
    expected = struct.pack(">HBB", 0, UNSIGNED_BYTE, axes)
    if content[:4] != expected:
        raise DataError(
            f"{path} is no IDX file of unsigned bytes with {axes} axes: expected magic "
            f"{expected.hex()}. Received: {content[:4].hex() or 'an empty file'}."
        )
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(
            f"{path} is truncated: its header takes {start} bytes. "
            f"Received: {len(content)} bytes. Get the file again."
        )
    shape = struct.unpack(f">{axes}I", content[4:start])
    size = start + int(np.prod(shape, dtype="int64"))
    if len(content) != size:
        raise DataError(
            f"{path} is {'truncated' if len(content) < size else 'too long'}: shape "
            f"{shape} takes {size} bytes. Received: {len(content)} bytes. Get the file "
            "again."
        )
    return np.frombuffer(content, "uint8", offset=start).reshape(shape)
