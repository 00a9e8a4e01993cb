import gzip
import struct

import numpy as np
import pytest

from mtlzoo.datasets._idx import read_idx
from mtlzoo.errors import DataError

HEADER = bytes([0, 0, 8, 2]) + struct.pack(">II", 2, 3)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_plain_and_compressed_files(tmp_path, suffix):
    path = tmp_path / f"labels-ubyte{suffix}"
    content = HEADER + bytes(range(6))
    path.write_bytes(gzip.compress(content) if suffix else content)
    np.testing.assert_array_equal(read_idx(path, axes=2), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected magic 00000802. Received: an empty file"),
        (bytes([0, 0, 8, 1]) + HEADER[4:], "with 2 axes: .* Received: 00000801"),
        (bytes([0, 0, 13, 2]) + HEADER[4:], "unsigned bytes .* Received: 00000d02"),
        (HEADER[:9], "is truncated: its header takes 12 bytes. Received: 9 bytes"),
        (
            HEADER + bytes(5),
            r"is truncated: shape \(2, 3\) takes 18 bytes. Received: 17",
        ),
        (
            HEADER + bytes(7),
            r"is too long: shape \(2, 3\) takes 18 bytes. Received: 19",
        ),
    ],
)
def test_refuses(tmp_path, content, message):
    path = tmp_path / "labels-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path, axes=2)


@pytest.mark.parametrize("cut", [5, -9])
def test_truncated_compressed_file(tmp_path, cut):
    path = tmp_path / "labels-ubyte.gz"
    path.write_bytes(gzip.compress(HEADER + bytes(6))[:cut])
    with pytest.raises(DataError, match=r"labels-ubyte\.gz can't be decompressed: "):
        read_idx(path, axes=2)


def test_file_that_is_not_compressed_as_its_name_says(tmp_path):
    path = tmp_path / "labels-ubyte.gz"
    path.write_bytes(HEADER + bytes(6))
    with pytest.raises(DataError, match="can't be decompressed: Not a gzipped file"):
        read_idx(path, axes=2)
