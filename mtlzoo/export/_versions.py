"""The version numbers in a folder of exports, and how one is taken."""

from pathlib import Path

from mtlzoo._saved_models import versions
from mtlzoo._staging import not_writable, publish
from mtlzoo.errors import ExportError


def refuse_taken(base: Path, version: int | None) -> None:
    """Refuse a version number that is none, or that something has already."""
    if version is None:
        return
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ExportError(
            f"`version` must be a whole number of at least 1. Received: {version!r}."
        )
    if version in versions(base):
        raise _taken(base, version)


def publish_version(folder: Path, base: Path, version: int | None) -> Path:
    """Move `folder` to `version` of `base`, `None` for the next free one."""
    while True:
        number = version or max(versions(base), default=0) + 1
        target = base / str(number)
        try:
            publish(folder, target)
        except OSError as error:
            if not target.exists():
                raise not_writable(base, error) from error
            if version is not None:
                raise _taken(base, version) from error
            # Another process took the number just now; there is a next one.
        else:
            return target


def _taken(base: Path, version: int) -> ExportError:
    return ExportError(
        f"Version {version} is in {str(base)!r} already, and a server may be serving "
        "it. Leave `version` out for the next free number."
    )
