"""What lies in the cache, and what of it is of no use."""

import dataclasses
import re
import shutil
import time
from pathlib import Path

from mtlzoo import _staging
from mtlzoo._bundles import _home
from mtlzoo._bundles._bundle import Bundle
from mtlzoo._bundles._download import is_sound
from mtlzoo.errors import BundleError

_UNFINISHED = re.compile(rf"tmp[a-z0-9_]{{8}}|{re.escape(_staging.PREFIX)}.*")
"""Names under which files are written before they are whole."""

NO_MANIFEST = "no sound manifest"


@dataclasses.dataclass(frozen=True)
class Cached:
    """One version of a bundle in the cache.

    Attributes:
        name: of the bundle.
        version: of it.
        folder: of that version.
        size: of what is there, in bytes.
        state: `"whole"`; `"in part"`, where the card or the SavedModel were not asked
            for; or what is wrong with it.
    """

    name: str
    version: int
    folder: Path
    size: int
    state: str


def cached() -> list[Cached]:
    """Return what the cache holds, by name and version; every file is hashed."""
    found = []
    for path in sorted(_home.cache().glob("*/*")):
        if path.is_dir() and path.name.isdecimal():
            files = [one for one in path.rglob("*") if one.is_file()]
            size = sum(one.stat().st_size for one in files)
            state = _state(path)
            found.append(Cached(path.parent.name, int(path.name), path, size, state))
    return found


def unneeded(age: float = _staging.ABANDONED_AFTER) -> list[Path]:
    """Return what a killed process left in the cache, and files that are damaged.

    Args:
        age: in seconds; what is unfinished and younger may be another process's.
    """
    found = [
        path
        for path in sorted(_home.cache().rglob("*"))
        if _UNFINISHED.fullmatch(path.name) and _is_older(path, age)
    ]
    for one in cached():
        # Without its manifest, a folder may be one that is being filled.
        if one.state != NO_MANIFEST:
            found += _damaged(Bundle(one.folder))
        elif _is_older(one.folder, age):
            found.append(one.folder)
    return found


def remove(path: Path) -> None:
    """Remove a file or folder of the cache, and the folder above if that is empty."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent != _home.cache() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def _is_older(path: Path, age: float) -> bool:
    return time.time() - path.lstat().st_mtime >= age


def _state(folder: Path) -> str:
    try:
        bundle = Bundle(folder)
    except BundleError:
        return NO_MANIFEST
    if damaged := _damaged(bundle):
        return f"damaged: {damaged[0].relative_to(folder)}"
    missing = [one for one in bundle.info.files if not (folder / one.path).exists()]
    return "in part" if missing else "whole"


def _damaged(bundle: Bundle) -> list[Path]:
    return [
        bundle.folder / one.path
        for one in bundle.info.files
        if (bundle.folder / one.path).exists()
        and not is_sound(bundle.folder / one.path, one.sha256, one.size)
    ]
