"""From a name to a bundle on this machine."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from mtlzoo._bundles import _home
from mtlzoo._bundles._bundle import CARD, MANIFEST, SAVED_MODEL, Bundle
from mtlzoo._bundles._download import download, download_small, is_sound
from mtlzoo._bundles._index import INDEX, LIMIT, Entry, parse_index, read_index
from mtlzoo._bundles._info import NAME, FileInfo
from mtlzoo._extras import require
from mtlzoo._registry import unknown_name
from mtlzoo.errors import BundleError, DownloadError, UnknownNameError

HUGGING_FACE = re.compile(
    r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?P<folder>(?:/[\w.-]+)*)@(?P<revision>[\w./-]+)"
)


INDEXES = ".indexes"
"""The folder in the cache with the index of each mirror."""


def locate(
    name: str | Path, version: int | None = None, *, everything: bool = False
) -> Path:
    """Return the folder of one version of a bundle, fetched if need be.

    Args:
        name: of the index, such as `"mmoe.adult"`; or `"hf://org/repo@revision"`; or a
            folder, as a `Path` or a string that starts with `./`, `../`, `~` or `/`. A
            bare name never means a folder.
        version: by default the newest.
        everything: whether to fetch also what only people and servers read, which is
            the card and the SavedModel.

    Raises:
        UnknownNameError: the index has no such name or version.
        BundleError: no bundle is in that folder.
        DownloadError: it isn't on this machine and can't be fetched.
    """
    return find(name, version, everything=everything).folder


def find(
    name: str | Path, version: int | None = None, *, everything: bool = False
) -> Bundle:
    """Return the bundle that `locate` finds, its manifest checked against the index."""
    if isinstance(name, Path) or name.startswith(("./", "../", "/", "~")):
        return Bundle(_version_folder(Path(name).expanduser(), version))
    if name.startswith("hf://"):
        return Bundle(_version_folder(_hugging_face(name), version))
    entry = find_entry(name, version)
    where = f"{entry.name}/{entry.version}"
    own = _home.project_models() / where
    if (own / MANIFEST).is_file():
        return Bundle(own, sha256=entry.manifest.sha256)
    return _cached(entry, where, everything)


def entries() -> list[Entry]:
    """Return what the project's own index lists, and the mirrors' by name and version.

    The index of a mirror counts as it was when `refresh` fetched it, so that listing
    needs no network; and one that `mtlzoo fetch --to` wrote, if the cache was carried
    here.
    """
    found = {}
    # The project's own comes last, and so wins.
    fetched = sorted((_home.cache() / INDEXES).glob("*"))
    for folder in (*fetched, _home.cache(), _home.project_models()):
        for entry in read_index(folder):
            found[entry.name, entry.version] = entry
    return [found[key] for key in sorted(found)]


def find_entry(name: str, version: int | None = None) -> Entry:
    """Return the entry of a name in the index, the newest if no version is named.

    Raises:
        UnknownNameError: there is none; the message lists close ones.
    """
    if not NAME.fullmatch(name):
        raise UnknownNameError(
            unknown_name("bundle", name, (one.name for one in entries()))
            + " A folder is passed as a pathlib.Path, or as './folder'."
        )
    found = [one for one in entries() if one.name == name]
    if not _matching(found, version) and not _home.offline():
        refresh()
        found = [one for one in entries() if one.name == name]
    if not found:
        raise UnknownNameError(
            unknown_name("bundle", name, sorted({one.name for one in entries()}))
        )
    if not (matching := _matching(found, version)):
        known = ", ".join(str(one.version) for one in found)
        raise UnknownNameError(
            f"There is no version {version} of {name!r}. Known: {known}."
        )
    return max(matching, key=lambda one: one.version)


def missing_bytes(entry: Entry) -> int:
    """Return how many bytes of a bundle are not on this machine, for `everything`."""
    where = f"{entry.name}/{entry.version}"
    if (_home.project_models() / where / MANIFEST).is_file():
        return 0
    folder = _home.cache() / where
    if not is_sound(folder / MANIFEST, entry.manifest.sha256, entry.manifest.size):
        return entry.size
    files = Bundle(folder, sha256=entry.manifest.sha256).info.files
    return sum(
        one.size
        for one in files
        if not is_sound(folder / one.path, one.sha256, one.size)
    )


def refresh() -> None:
    """Fetch the index of each mirror, for bundles that the project's own lacks."""
    for url, content in download_small(INDEX, limit=LIMIT):
        parse_index(content, url)
        key = hashlib.sha256(url.encode()).hexdigest()[:16]
        _keep(_home.cache() / INDEXES / key / INDEX, content)


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)


def _matching(found: list[Entry], version: int | None) -> list[Entry]:
    return [one for one in found if version in (None, one.version)]


def _cached(entry: Entry, where: str, everything: bool) -> Bundle:
    folder = _home.cache() / where
    _fetch(entry.manifest, where, folder)
    bundle = Bundle(folder, sha256=entry.manifest.sha256)
    for one in bundle.info.files:
        needed = one.path != CARD and not one.path.startswith(f"{SAVED_MODEL}/")
        if everything or needed:
            _fetch(one, where, folder)
    return bundle


def _fetch(file: FileInfo, where: str, folder: Path) -> None:
    target = folder / file.path
    if not is_sound(target, file.sha256, file.size):
        download(f"{where}/{file.path}", target, sha256=file.sha256, size=file.size)


def _version_folder(folder: Path, version: int | None) -> Path:
    """Return `folder` if it is that of a version, else that of a version in it."""
    if (folder / MANIFEST).is_file():
        return folder
    found = {
        int(path.parent.name): path.parent
        for path in folder.glob(f"*/{MANIFEST}")
        if path.parent.name.isdecimal()
    }
    chosen = max(found, default=None) if version is None else version
    if chosen not in found:
        raise BundleError(
            f"No bundle is in {str(folder)!r}"
            + (f": it has no version {version}" if version and found else "")
            + ". Pass the folder of one version, with bundle.json in it, or the folder "
            "of such folders."
        )
    return found[chosen]


def _hugging_face(name: str) -> Path:
    """Return the folder of a repository of the Hugging Face Hub, fetched if need be."""
    match = HUGGING_FACE.fullmatch(name)
    if match is None:
        raise UnknownNameError(
            "A bundle on the Hugging Face Hub is named hf://organisation/repository"
            f"@revision, with a commit or tag for the revision. Received: {name!r}."
        )
    hub = require("huggingface_hub", extra="hf", what="Loading from hf://")
    where = _home.cache() / "hf" / match["repo"] / match["revision"].replace("/", "_")
    folder = match["folder"].strip("/")
    try:
        hub.snapshot_download(
            match["repo"],
            revision=match["revision"],
            local_dir=where,
            allow_patterns=f"{folder}/*" if folder else None,
            local_files_only=_home.offline(),
        )
    # The library has errors of its own and lets those of two HTTP libraries through.
    except Exception as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise DownloadError(f"{name} can't be had: {reason}") from error
    return where / folder
