"""A folder that is written whole or not at all."""

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from mtlzoo.errors import ExportError

PREFIX = ".mtlzoo-"
ABANDONED_AFTER = 24 * 3600  # seconds; a younger one may be another process's, at work


@contextlib.contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """Give a new hidden folder in `parent` to write in; it is gone at the end.

    What is to stay is moved out of it with `publish`, in one step. A process that is
    killed leaves the hidden folder behind; the first export or run that is written
    there a day later removes it.

    Args:
        parent: made if it isn't there.

    Raises:
        ExportError: `parent` can't be written.
    """
    folder = parent / f"{PREFIX}{uuid.uuid4().hex[:12]}"
    try:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(parent)
            folder.mkdir()
        except OSError as error:
            raise not_writable(parent, error) from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, target: Path) -> None:
    """Rename `folder`, whose files are flushed to the disk first, to `target`.

    Raises:
        OSError: there is something at `target` already, or it can't be written.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    folder.rename(target)


def not_writable(path: Path, error: OSError) -> ExportError:
    """Return the error for a folder that can't be written."""
    return ExportError(
        f"Can't write in {str(path)!r}: {error.strerror or error}. Choose a folder "
        "that you may write in, and that no file is in the way of."
    )


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > ABANDONED_AFTER:
                shutil.rmtree(folder, ignore_errors=True)
