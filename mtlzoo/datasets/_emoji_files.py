"""The npm package with the pictures of emoji, as packed or as a folder."""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from mtlzoo.errors import DataError

ENVIRONMENT = "MTLZOO_EMOJI"
FOLDER = "emoji-datasource-twitter"
PACKED = "emoji-datasource-twitter-16.0.0.tgz"
TABLE_SHA256 = "1d602e65be88772bf8cc368ce16b855d719eeddbafe128d471b80203f494d29f"

Read = Callable[[str], bytes]
"""From the path of a file in the package to its content."""


def reader(path: str | Path | None = None) -> Read:
    """Return a function that reads files of the package.

    Args:
        path: of the packed file or of a folder; see `mtlzoo.datasets.load("emoji")`.

    Raises:
        DataError: it isn't there, is damaged, or is another version.
    """
    found = find(path)
    try:
        read = _read_folder(found) if found.is_dir() else _read_packed(found)
        _check(read("emoji.json"), found)
    except (OSError, KeyError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(
            f"{str(found)!r} is damaged, or not the package: {error}. {_HOW}"
        ) from error
    return read


def find(path: str | Path | None = None) -> Path:
    """Return where the package is.

    Raises:
        DataError: it is nowhere; the message says how to get it.
    """
    named = path or os.environ.get(ENVIRONMENT)
    places = [
        Path(one).expanduser()
        for one in ([named] if named else [PACKED, FOLDER, f"node_modules/{FOLDER}"])
    ]
    for one in places:
        if one.is_file() or (one / "emoji.json").is_file():
            return one
    looked = ", ".join(str(one) for one in places)
    raise DataError(f"The pictures of emoji are not there. Looked at: {looked}. {_HOW}")


_HOW = (
    "Get them with `npm pack emoji-datasource-twitter@16.0.0` (62 MB), and pass the "
    f"file as `path`, or set {ENVIRONMENT} to it."
)


def _read_folder(folder: Path) -> Read:
    return lambda name: (folder / name).read_bytes()


def _read_packed(path: Path) -> Read:
    # Reading a compressed archive out of order is slow: it is unpacked once.
    files = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and "/sheets" not in member.name:
                files[member.name] = content.read()
    return lambda name: files[f"package/{name}"]


def _check(table: bytes, found: Path) -> None:
    received = hashlib.sha256(table).hexdigest()
    if received != TABLE_SHA256:
        raise DataError(
            f"{str(found)!r} must be version 16.0.0, whose emoji.json has the sha256 "
            f"{TABLE_SHA256}. Received: {received}. {_HOW}"
        )
