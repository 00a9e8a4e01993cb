"""From what the caller names as a base to the function that loads it."""

from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import keras

from mtlzoo._registry import BASES, TRUNKS
from mtlzoo._saved_models import versions
from mtlzoo.errors import DataError, WeightsError
from mtlzoo.trunks._base import Trunk
from mtlzoo.trunks._pretrained._base import Loader

BEGINNINGS = ("./", "../", "~", "/")


def source_of(base: Any) -> Loader:
    """Return what loads a base, given a `Request`; nothing is loaded yet.

    Raises:
        UnknownNameError: no base has that name.
        WeightsError: no base is at that path.
        DataError: it is no name, path, model or trunk.
    """
    if isinstance(base, Trunk):
        return _loader("trunk", base)
    if isinstance(base, keras.layers.Layer):
        return _loader("model", base)
    if isinstance(base, PathLike) or (
        isinstance(base, str) and base.startswith(BEGINNINGS)
    ):
        path = Path(base).expanduser()
        return _loader(_source_of_path(path), path)
    if not isinstance(base, str):
        raise DataError(
            "`base` must be a name, the path of a file or folder, a Keras model or a "
            f"trunk. Received: {base!r}."
        )
    source, _, rest = base.partition("/")
    if rest and source in BASES:
        return _loader(source, rest)
    if base in BASES and BASES.entry(base).facts["written"] == f'"{base}"':
        return _loader(base, base)
    if base in TRUNKS:
        return _loader("trunk", base)
    return _loader("bundle", base)


def _loader(source: str, rest: Any) -> Loader:
    return partial(BASES.get(source), rest)


def _source_of_path(path: Path) -> str:
    if path.suffix == ".keras" and path.is_file():
        return "keras_file"
    if path.is_dir() and list(path.glob("**/bundle.json")):
        return "bundle"
    if (path / "config.json").is_file():
        return "keras_hub"
    if any(
        (one / "saved_model.pb").is_file() for one in (path, *versions(path).values())
    ):
        return "saved_model"
    if path.name.endswith(".weights.h5"):
        raise WeightsError(
            f"{str(path)!r} holds weights alone. Name the network that they belong to: "
            f"Pretrained('keras.applications/MobileNetV2', weights={str(path)!r})."
        )
    raise WeightsError(
        f"There is no base at {str(path)!r}. A base on the disk is a .keras file, "
        "or the folder of a bundle, of a preset of keras_hub or of a SavedModel."
    )
