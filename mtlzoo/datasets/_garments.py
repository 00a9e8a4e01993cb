"""Where the pictures of Fashion-MNIST come from: one order, whatever the source."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from mtlzoo.datasets._idx import read_idx
from mtlzoo.errors import DataError

ENVIRONMENT = "MTLZOO_FASHION_MNIST"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
PREFIXES = {"train": "train", "test": "t10k"}

Labelled = tuple[Any, Any]
"""Pictures `(rows, 28, 28, 1)`, uint8, and class indices `(rows,)`, int32."""


def read_garments(
    data_dir: str | Path | None = None, download: bool = False
) -> dict[str, Labelled]:
    """Return the pictures and classes of the splits train, validation and test.

    Looked for, in this order: in `data_dir`, or else in the folder that the
    environment variable `MTLZOO_FASHION_MNIST` names, and there alone; in the data
    folder of TFDS; where the Debian package `dataset-fashion-mnist` puts it.

    Rows come in the order of the SHA-256 of their pixels, so every source gives the
    same arrays; the first twelfth of the training file is the validation split.

    Args:
        data_dir: a folder that holds the four IDX files, or a data folder of TFDS.
        download: whether to let TFDS download what is not there.

    Raises:
        DataError: the data is not there, or is damaged.
    """
    named = data_dir or os.environ.get(ENVIRONMENT)
    default = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    folders = [Path(named).expanduser()] if named else [Path(default), DEBIAN]
    found = next(filter(None, map(_read_folder, folders)), None)
    if found is None and download:
        _download(folders[0])
        found = _read_folder(folders[0])
    if found is None:
        raise DataError(_how_to_get(folders))
    train, test = _ordered(*found["train"]), _ordered(*found["test"])
    cut = len(train[1]) // 12
    return {
        "train": (train[0][cut:], train[1][cut:]),
        "validation": (train[0][:cut], train[1][:cut]),
        "test": test,
    }


def _read_folder(folder: Path) -> dict[str, Labelled] | None:
    if any(
        _idx_path(folder, prefix, "images-idx3").exists()
        for prefix in PREFIXES.values()
    ):
        return {split: _read_idx_pair(folder, PREFIXES[split]) for split in PREFIXES}
    prepared = sorted(folder.glob("fashion_mnist/*/dataset_info.json"))
    if prepared:
        return _read_tfds(prepared[-1].parent)
    return None


def _idx_path(folder: Path, prefix: str, kind: str) -> Path:
    path = folder / f"{prefix}-{kind}-ubyte"
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def _read_idx_pair(folder: Path, prefix: str) -> Labelled:
    paths = [_idx_path(folder, prefix, kind) for kind in ("images-idx3", "labels-idx1")]
    for path in paths:
        if not path.exists():
            raise DataError(f"{folder} has IDX files, but not {path.name}. Add it.")
    images, labels = read_idx(paths[0], axes=3), read_idx(paths[1], axes=1)
    return _checked(images[..., np.newaxis], labels, folder)


def _read_tfds(folder: Path) -> dict[str, Labelled]:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    found = {}
    for split in PREFIXES:
        rows = builder.as_dataset(split=split, batch_size=-1)
        found[split] = _checked(rows["image"].numpy(), rows["label"].numpy(), folder)
    return found


def _download(folder: Path) -> None:
    import tensorflow_datasets as tfds

    builder = tfds.builder("fashion_mnist", data_dir=folder)
    try:
        builder.download_and_prepare()
    except Exception as error:  # TFDS passes on whatever its transport raised.
        raise DataError(
            f"TFDS could not download fashion_mnist into {folder}: {error}"
        ) from error


def _checked(images: Any, labels: Any, folder: Path) -> Labelled:
    if len(images) != len(labels) or images.shape[1:] != (28, 28, 1):
        raise DataError(
            f"{folder} must hold as many pictures of 28x28 pixels as labels. Received: "
            f"{len(images)} of {'x'.join(map(str, images.shape[1:3]))} and "
            f"{len(labels)} labels."
        )
    if labels.max(initial=0) > 9:
        raise DataError(
            f"The labels of {folder} must be 0 to 9. Received: {labels.max()}."
        )
    return images, labels.astype("int32")


def _ordered(images: Any, labels: Any) -> Labelled:
    digests = b"".join(hashlib.sha256(image).digest()[:8] for image in images)
    order = np.lexsort((labels, np.frombuffer(digests, ">u8")))
    return images[order], labels[order]


def _how_to_get(folders: list[Path]) -> str:
    return (
        f"Fashion-MNIST is not on this machine; looked in "
        f"{' and '.join(map(str, folders))}. Get it in one of these ways:\n"
        "- on Debian or Ubuntu: sudo apt-get install dataset-fashion-mnist\n"
        "- with TFDS: tfds build fashion_mnist, or pass download=True\n"
        "- have a folder with its four IDX files, such as train-images-idx3-ubyte.gz, "
        f"and name it by data_dir= or by the environment variable {ENVIRONMENT}"
    )
