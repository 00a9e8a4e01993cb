import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo._staging import publish, staging
from mtlzoo.errors import DataError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._bar import bar
from mtlzoo.transfer._cached import FORMAT, MANIFEST, CachedFeatures, read_manifest
from mtlzoo.transfer._column import Column
from mtlzoo.transfer._labelled import labelled_batches
from mtlzoo.transfer._split import dtype_of, feature_model, fingerprint_of_frozen

LABELS = "Features are cached with the labels that heads are trained on"


def cache_features(
    model: MultiTaskModel,
    data: Any,
    path: str | Path,
    *,
    batch_size: int = 256,
    progress: bool = True,
) -> CachedFeatures:
    """Compute the features of a frozen trunk once, and keep them on disk.

    Heads then train on them in a small part of the time; see `head_model`. The features
    are those of inference: no dropout, no augmentation, statistics as they are. What is
    there already is used again, if it is of the same base and the same data, to the
    last bit. A run that is killed leaves nothing at `path`.

    Args:
        model: a multi-task model whose trunk is frozen, as `transfer.freeze` leaves it.
            What is frozen from the inputs on is computed; where the upper stages of a
            trunk are trained, that is what they read. Masked features of different
            lengths, as texts have, are filled with zeros up to the longest.
        data: `(x, y)` or `(x, y, sample_weight)` as `fit` takes them, such as
            `dataset.arrays("train")`; or a `tf.data.Dataset` of batches of these, which
            has to come in the same order each time.
        path: a folder for one set of data; it is made, with those above it.
        batch_size: rows that are computed together.
        progress: whether to draw a bar, on standard error.

    Raises:
        DataError: `path` holds features of another base or of other data, or something
            else; or the data has no labels, or no rows, or features of different
            shapes that no mask tells apart.
        OptionError: nothing that could be trained is frozen, from the inputs on.
        ExportError: the folder can't be written.

    Example:

    ```python
    transfer.freeze(model)
    cached = transfer.cache_features(model, dataset.arrays("train"), "cache/train")
    ```
    """
    features = feature_model(model)
    base = fingerprint_of_frozen(model)
    rows = labelled_batches(model, data, batch_size, LABELS)
    spec = rows.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2 or not isinstance(spec[1], Mapping):
        raise DataError(f"{LABELS}: give batches (x, y), with y a dict by task name.")
    folder = Path(path).absolute()
    if folder.exists():
        manifest = read_manifest(folder)
        if manifest["base"] != base:
            raise DataError(
                f"The features in {str(path)!r} are of another base, or of this one "
                "before it was trained on or frozen elsewhere. Choose another folder, "
                "or delete this one."
            )
        digests = _Digests()
        for batch in rows:
            digests.update(_columns(batch))
        if manifest["data"] != digests.total():
            raise DataError(
                f"The features in {str(path)!r} are of other data, or of this data in "
                "another order: give a pipeline without shuffling. Else choose another "
                "folder, or delete this one."
            )
        return CachedFeatures(folder)
    with staging(folder.parent) as hidden:
        made = hidden / "features"
        made.mkdir()
        _write(made, features, rows, base, progress)
        publish(made, folder)
    return CachedFeatures(folder)


def _write(
    folder: Path, features: Any, batches: Any, base: str, progress: bool
) -> None:
    compute = tf.function(lambda x: features(x, training=False), reduce_retracing=True)
    types = {name: dtype_of(one) for name, one in features.output.items()}
    digests, rows = _Digests(), 0
    columns: dict[str, Column] = {}
    try:
        for batch in _with_bar(batches, progress):
            given = _columns(batch)
            digests.update(given)
            kept = {key: one for key, one in given.items() if not key.startswith("x.")}
            for name, tensor in compute(batch[0]).items():
                kept[f"x.{name}"] = keras.ops.convert_to_numpy(
                    keras.ops.cast(tensor, types[name])
                )
            for key, array in kept.items():
                if key not in columns:
                    columns[key] = Column(folder / f"{key}.bin")
                columns[key].append(array)
            rows += len(next(iter(given.values())))
    finally:
        for column in columns.values():
            column.close()
    if not rows:
        raise DataError("There is no row in the data to compute features of.")
    _check_lengths(columns, masked="bool" in types.values())
    manifest = {
        "format": FORMAT,
        "base": base,
        "data": digests.total(),
        "rows": rows,
        "columns": {key: column.finish() for key, column in columns.items()},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _check_lengths(columns: Mapping[str, Column], *, masked: bool) -> None:
    """Refuse columns of different lengths unless a mask says where each row ends."""
    for key, column in columns.items():
        if len(column.shapes) > 1 and not (masked and key.startswith("x.")):
            shapes = " and ".join(map(str, column.shapes[:2]))
            raise DataError(
                f"The rows of {key!r} must have one shape in all batches, or features "
                f"a mask that says where they end. Received: {shapes}. Pad what goes "
                "in to one length."
            )


def _with_bar(batches: Any, progress: bool) -> Iterator[Any]:
    total = int(batches.cardinality())
    with bar("batches", shown=progress) as drawn:
        known = total if total > 0 else None
        yield from drawn.track(batches, total=known, description="features")


class _Digests:
    """A hash of columns, whatever the size of the batches that they come in."""

    def __init__(self) -> None:
        self._by_column: dict[str, Any] = {}

    def update(self, columns: Mapping[str, Any]) -> None:
        for key, array in columns.items():
            shape = "x".join(map(str, array.shape[1:]))
            digest = self._by_column.setdefault(
                key, hashlib.sha256(f"{key} {array.dtype} {shape}".encode())
            )
            if array.dtype == object:  # texts
                for one in array.ravel():
                    digest.update(len(one).to_bytes(8, "little") + one)
            else:
                digest.update(np.ascontiguousarray(array).tobytes())

    def total(self) -> str:
        digests = [self._by_column[key].digest() for key in sorted(self._by_column)]
        return f"sha256:{hashlib.sha256(b''.join(digests)).hexdigest()}"


def _columns(batch: Any) -> dict[str, Any]:
    """Return the columns of a batch by group and name, as NumPy arrays."""
    x, y, *weights = batch
    groups = {"x": x, "y": y, "sample_weight": weights[0] if weights else {}}
    return {
        f"{group}.{name}": np.asarray(keras.ops.convert_to_numpy(one))
        for group, columns in groups.items()
        for name, one in columns.items()
    }
