"""A bundle on the disk: nothing of it is believed before its hash is right."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

from mtlzoo._bundles import _golden, _strict_json, _tensors
from mtlzoo._bundles._check_config import LIMIT as CONFIG_LIMIT, check_config
from mtlzoo._bundles._info import LIMIT, WeightsInfo
from mtlzoo.errors import BundleError

MANIFEST = "bundle.json"
CONFIG = "config.json"
SHARED = "shared.safetensors"
GOLDEN = "golden.npz"
CARD = "card.md"
SAVED_MODEL = "saved_model"


class Bundle:
    """One version of a bundle, in a folder.

    A file is read whole, compared with its hash in the manifest, and only then looked
    into, so what is used is what was checked.

    Args:
        folder: of the version, with `bundle.json` in it.
        sha256: that the manifest must have, where the index says so.

    Attributes:
        folder: of the version.
        info: the manifest.
        sha256: of the manifest.

    Raises:
        BundleError: there is no bundle, or its manifest is not sound.
    """

    def __init__(self, folder: str | Path, *, sha256: str | None = None) -> None:
        self.folder = Path(folder)
        if not (self.folder / MANIFEST).is_file():
            raise BundleError(
                f"No bundle is in {str(self.folder)!r}: it has no {MANIFEST}. Pass the "
                "folder of one version, such as models/mmoe.adult/1."
            )
        content = self._read_file(MANIFEST, LIMIT)
        self.sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in (None, self.sha256):
            raise self._altered(MANIFEST, sha256, self.sha256)
        self.info = WeightsInfo.from_json(content, str(self.folder / MANIFEST))

    def __repr__(self) -> str:
        return f"Bundle({str(self.folder)!r})"

    def read(self, path: str) -> bytes:
        """Return the content of a file of the bundle, checked.

        Raises:
            BundleError: the bundle hasn't such a file, or it was altered.
        """
        listed = self.info.file(path)
        if listed is None:
            raise BundleError(f"The bundle {self.info.name!r} has no {path}.")
        content = self._read_file(path, listed.size)
        found = hashlib.sha256(content).hexdigest()
        if found != listed.sha256:
            raise self._altered(path, listed.sha256, found)
        return content

    def verify(self) -> None:
        """Check every file against the manifest, and that there are no others.

        Raises:
            BundleError: naming the file.
        """
        for one in self.info.files:
            self.read(one.path)
        listed = {MANIFEST, *(one.path for one in self.info.files)}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if (path.is_symlink() or not path.is_dir()) and name not in listed:
                raise BundleError(
                    f"{str(self.folder)!r} holds {name}, which its manifest doesn't "
                    "list. Remove it."
                )

    def config(self) -> dict[str, Any]:
        """Return the Keras config of the model; it names nothing that runs code."""
        content = self.read(CONFIG)
        config: dict[str, Any] = _strict_json.parse(content, CONFIG, limit=CONFIG_LIMIT)
        check_config(config)
        return config

    @property
    def weight_files(self) -> list[str]:
        return [
            one.path for one in self.info.files if one.path.endswith(".safetensors")
        ]

    def weights(self) -> dict[str, Any]:
        """Return the arrays that are stored in the bundle, by key.

        Raises:
            BundleError: a file is not sound, or two hold the same key.
        """
        found: dict[str, Any] = {}
        for path in self.weight_files:
            arrays = _tensors.parse(self.read(path), path)
            if twice := sorted(set(found) & set(arrays)):
                raise BundleError(f"{path} stores {twice[0]!r} a second time.")
            found |= arrays
        return found

    def shared_weights(self) -> dict[str, Any]:
        """Return the arrays of `shared.safetensors`, by key."""
        return _tensors.parse(self.read(SHARED), SHARED)

    def golden(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a few raw inputs and what the model answers, by name."""
        return _golden.parse(self.read(GOLDEN))

    def _read_file(self, path: str, limit: int) -> bytes:
        """Return the content of a regular file of at most `limit` bytes."""
        target = self.folder
        try:
            for part in path.split("/"):
                target = target / part
                if target.is_symlink():
                    raise BundleError(
                        f"{str(target)!r} is a link, which could lead out of the "
                        "bundle. A bundle holds files alone."
                    )
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK
            with open(target, "rb", opener=lambda name, _: os.open(name, flags)) as one:
                found = os.fstat(one.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise BundleError(f"{str(target)!r} is not a regular file.")
                if found.st_size > limit:
                    raise BundleError(
                        f"{str(target)!r} has {found.st_size:,} bytes; at most "
                        f"{limit:,} were expected. {self._again}"
                    )
                return one.read(limit + 1)
        except FileNotFoundError as error:
            raise BundleError(f"{str(target)!r} is missing. {self._again}") from error
        except OSError as error:
            raise BundleError(
                f"{str(target)!r} can't be read: {error.strerror or error}."
            ) from error

    @property
    def _again(self) -> str:
        return "Remove the folder of this version and fetch it again: mtlzoo fetch NAME"

    def _altered(self, path: str, expected: str | None, found: str) -> BundleError:
        return BundleError(
            f"{str(self.folder / path)!r} is not the file that was published: expected "
            f"sha256 {expected}. Received: {found}. {self._again}"
        )
