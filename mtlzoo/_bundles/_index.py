"""The index of published bundles, `models/index.json`: what there is, and its hashes.

It is generated from the bundles (`python -m mtlzoo.hub.index`). Only it is believed
without a check: it holds the hash of each manifest, and that the hash of each file.
"""

import dataclasses
from pathlib import Path
from typing import Any

from mtlzoo._bundles import _strict_json
from mtlzoo._bundles._bundle import MANIFEST, Bundle
from mtlzoo._bundles._decode import decode, encode
from mtlzoo._bundles._info import (
    FORMAT,
    SHA256,
    FileInfo,
    MetricInfo,
    TaskInfo,
    check_name,
)
from mtlzoo.errors import BundleError

INDEX = "index.json"
LIMIT = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Entry:
    """One version of a bundle, as lists show it.

    Attributes:
        name: of the bundle.
        version: of it.
        manifest: path, hash and size of its manifest.
        size: of all its files, in bytes.
        description, license, architecture, parameters, delta_m: see `WeightsInfo`.
        tasks: that it predicts.
        metrics: of each task.
        datasets: names of the data that it was made from.
        base: name of the bundle that it stands on.
    """

    name: str
    version: int
    manifest: FileInfo
    size: int
    description: str
    license: str
    architecture: str
    parameters: int
    tasks: tuple[TaskInfo, ...] = ()
    metrics: tuple[MetricInfo, ...] = ()
    datasets: tuple[str, ...] = ()
    delta_m: float | None = None
    base: str | None = None

    def to_data(self) -> dict[str, Any]:
        """Return the entry as plain data, as JSON has it."""
        data: dict[str, Any] = encode(self)
        return data

    @classmethod
    def of(cls, bundle: Bundle) -> "Entry":
        """Return the entry of a bundle."""
        info = bundle.info
        manifest = FileInfo(
            MANIFEST, bundle.sha256, (bundle.folder / MANIFEST).stat().st_size
        )
        return cls(
            name=info.name,
            version=info.version,
            manifest=manifest,
            size=info.size + manifest.size,
            description=info.description,
            license=info.license,
            architecture=info.architecture,
            parameters=info.parameters,
            # Their names alone: a task may have a thousand classes.
            tasks=tuple(TaskInfo(task.name, task.kind) for task in info.tasks),
            metrics=info.metrics,
            datasets=tuple(one.name for one in info.datasets),
            delta_m=info.delta_m,
            base=info.base.name if info.base else None,
        )


@dataclasses.dataclass(frozen=True)
class _Index:
    bundles: tuple[Entry, ...]
    format: int = FORMAT


def parse_index(content: bytes, name: str) -> list[Entry]:
    """Return the entries of an index, by name and version.

    Args:
        content: of the file.
        name: of it, for messages.

    Raises:
        BundleError: it isn't an index.
    """
    index = decode(_Index, _strict_json.parse(content, name, limit=LIMIT), name)
    if index.format != FORMAT:
        raise BundleError(
            f"{name} must be of the format {FORMAT}. Received: {index.format}. A newer "
            "format needs a newer mtlzoo: pip install --upgrade mtlzoo"
        )
    for one in index.bundles:
        check_name(one.name)
        if one.version < 1 or not SHA256.fullmatch(one.manifest.sha256):
            raise BundleError(f"{name} has no sound version or hash for {one.name!r}.")
    return sorted(index.bundles, key=lambda one: (one.name, one.version))


def read_index(folder: Path) -> list[Entry]:
    """Return the entries of the index in `folder`; none if it has no index."""
    path = folder / INDEX
    return parse_index(path.read_bytes(), str(path)) if path.is_file() else []


def find_bundles(folder: Path) -> list[Bundle]:
    """Return the bundles in a folder such as `models`, by name and version.

    Raises:
        BundleError: one is not sound, or not where its name says.
    """
    found = []
    for path in folder.glob(f"*/*/{MANIFEST}"):
        bundle = Bundle(path.parent)
        where = f"{bundle.info.name}/{bundle.info.version}"
        if path.parent != folder / where:
            raise BundleError(
                f"{str(path.parent)!r} holds the bundle {where}. Its folder must have "
                "that name."
            )
        found.append(bundle)
    return sorted(found, key=lambda one: (one.info.name, one.info.version))


def make_index(folder: Path) -> str:
    """Return the text of the index of the bundles in `folder`."""
    entries = [Entry.of(bundle) for bundle in find_bundles(folder)]
    return _strict_json.text(encode(_Index(tuple(entries))))
