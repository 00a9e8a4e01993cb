import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mtlzoo.errors import DataError

FORMAT = 1
MANIFEST = "features.json"


class CachedFeatures:
    """Features on disk, with the labels that belong to them; read as they are needed.

    Made by `cache_features`.

    Args:
        folder: where they are.

    Attributes:
        x: features by name, arrays that are mapped into memory.
        y: labels by task name, likewise.
        sample_weight: sample weights by task name, likewise; empty if there are none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        manifest = read_manifest(folder)
        self.rows = int(manifest["rows"])
        groups: dict[str, dict[str, Any]] = {"x": {}, "y": {}, "sample_weight": {}}
        for key, column in manifest["columns"].items():
            group, name = key.split(".", 1)
            groups[group][name] = _mapped(folder / f"{key}.bin", column, self.rows)
        self.x, self.y = groups["x"], groups["y"]
        self.sample_weight = groups["sample_weight"]

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}{one.shape[1:]}" for name, one in self.x.items())
        return f"CachedFeatures({str(self.folder)!r}, rows={self.rows}, {shapes})"

    def batches(
        self, batch_size: int = 256, *, shuffle: bool = False, seed: int = 0
    ) -> tf.data.Dataset:
        """Return batches for the `fit` of `head_model`.

        Args:
            batch_size: rows a batch; the last may be smaller.
            shuffle: whether rows come in another order each epoch.
            seed: of these orders.
        """
        groups = [self.x, self.y, self.sample_weight]
        columns = [one for group in groups for one in group.values()]
        types = [tf.as_dtype(one.dtype) for one in columns]

        def read(numbers: Any) -> Any:
            found = tf.numpy_function(
                lambda chosen: [np.ascontiguousarray(one[chosen]) for one in columns],
                [numbers],
                types,
            )
            for tensor, column in zip(found, columns, strict=True):
                tensor.set_shape((None, *column.shape[1:]))
            left = iter(found)
            named = [{name: next(left) for name in group} for group in groups]
            return tuple(named) if named[2] else tuple(named[:2])

        numbers = tf.data.Dataset.range(self.rows)
        if shuffle:
            numbers = numbers.shuffle(self.rows, seed=seed)
        return numbers.batch(batch_size).map(read).prefetch(tf.data.AUTOTUNE)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what a folder of features says of itself.

    Raises:
        DataError: it is no such folder.
    """
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(text)
        known = manifest["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{str(folder)!r} is there and holds no features. Choose a folder that "
            "isn't there yet."
        ) from error
    if not known:
        raise DataError(
            f"{str(folder)!r} holds features that another version of mtlzoo wrote. "
            "Delete it."
        )
    return manifest


def _mapped(path: Path, column: Mapping[str, Any], rows: int) -> Any:
    dtype, shape = np.dtype(column["dtype"]), (rows, *column["shape"])
    expected = dtype.itemsize * math.prod(shape)
    found = path.stat().st_size if path.is_file() else 0
    if found != expected:
        raise DataError(
            f"{str(path)!r} is damaged: expected {expected} bytes. Received: {found}. "
            "Delete its folder, and the features are computed anew."
        )
    return np.memmap(path, dtype, mode="r", shape=shape)
