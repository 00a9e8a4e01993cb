"""A SavedModel inside a Keras model: kept whole, run as it is, never trained."""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from mtlzoo._saved_models import scan
from mtlzoo.errors import ExportError, WeightsError
from mtlzoo.trunks._pretrained._weights_file import first_line

FOLDER = "saved_model"


class Stored:
    """A SavedModel that is loaded.

    It has files of its own, since the original may be gone when they are needed: to be
    saved again, and by tables that are filled from them. They last as long as it.

    Args:
        source: the folder that holds `saved_model.pb`.

    Attributes:
        folder: of its own files.
        loaded: what TensorFlow makes of them.
    """

    def __init__(self, source: Path) -> None:
        import tensorflow as tf

        self.folder = Path(tempfile.mkdtemp(prefix="mtlzoo-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copytree(source, self.folder, dirs_exist_ok=True)
        self.loaded = tf.saved_model.load(str(self.folder))


_living: weakref.WeakValueDictionary[str, Stored] = weakref.WeakValueDictionary()
"""What is loaded in this process, by the hash of its files."""


def store(folder: Path) -> tuple[str, Stored]:
    """Return the hash of a SavedModel's files, and the SavedModel, loaded once.

    Raises:
        WeightsError: it is damaged, does more than compute, or can't be loaded.
    """
    digest = _digest(folder)
    stored = _living.get(digest)
    if stored is None:
        try:
            found = scan(folder)
        except ExportError as error:
            raise WeightsError(f"{str(folder)!r} is no SavedModel: {error}") from error
        if found:
            raise WeightsError(
                f"The SavedModel in {str(folder)!r} does more than compute: it holds "
                f"{', '.join(sorted(found))}. Such a one can't be a base."
            )
        try:
            stored = Stored(folder)
        # A damaged or old one may raise almost anything.
        except Exception as error:
            raise WeightsError(
                f"TensorFlow can't load the SavedModel in {str(folder)!r}: "
                f"{first_line(error)}"
            ) from error
        _living[digest] = stored
    return digest, stored


@keras.saving.register_keras_serializable("mtlzoo")
class FrozenSavedModel(keras.layers.Layer):
    """One output of a signature of a SavedModel, as it is: no gradient goes through it.

    A `.keras` file holds the files of the SavedModel, whose graph is looked through
    before it is loaded; the config and a weights file alone don't.

    Args:
        digest: the hash of its files.
        signature: of the SavedModel.
        inputs: their types by name, in the order in which they are given.
        output: the name of the output.
        shape: that of the output, batch included.
        output_dtype: its type.

    Input shape: a list of what the signature takes.

    Output shape: `shape`.
    """

    never_trained = True

    def __init__(
        self,
        digest: str,
        signature: str,
        inputs: Mapping[str, str],
        output: str,
        shape: Sequence[int | None],
        output_dtype: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "trainable": False, "autocast": False})
        self.digest = digest
        self.signature = signature
        self.taken = dict(inputs)
        self.given = output
        self.shape = tuple(shape)
        self.output_dtype = output_dtype
        self.stored: Stored | None = None
        self.built = True
        if digest in _living:
            self._hold(_living[digest])

    def _hold(self, stored: Stored) -> None:
        import tensorflow as tf

        self.stored = stored
        # Exports keep tables of the modules that layers hold.
        self.resources = tf.Module()
        self.resources.loaded = stored.loaded

    def call(self, inputs: Any) -> Any:
        function = self._here().loaded.signatures[self.signature]
        named = {
            name: one if dtype == "string" else ops.cast(one, dtype)
            for (name, dtype), one in zip(self.taken.items(), inputs, strict=True)
        }
        return ops.stop_gradient(function(**named)[self.given])

    def compute_output_spec(self, inputs: Any) -> Any:
        shape = (inputs[0].shape[0], *self.shape[1:])
        return keras.KerasTensor(shape, self.output_dtype)

    def save_assets(self, folder: str) -> None:
        shutil.copytree(self._here().folder, Path(folder) / FOLDER)

    def load_assets(self, folder: str) -> None:
        digest, stored = store(Path(folder) / FOLDER)
        if digest != self.digest:
            raise WeightsError(
                f"The SavedModel of the layer {self.name!r} is another one than the "
                f"model was made with: expected sha256 {self.digest}. Received: "
                f"{digest}."
            )
        self._hold(stored)

    def _here(self) -> Stored:
        if self.stored is None:
            raise WeightsError(
                f"The SavedModel of the layer {self.name!r} isn't here: it is in the "
                ".keras file that model.save wrote, not in a config or in weights "
                "alone. Load that file: keras.saving.load_model('model.keras')."
            )
        return self.stored

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "digest": self.digest,
            "signature": self.signature,
            "inputs": self.taken,
            "output": self.given,
            "shape": list(self.shape),
            "output_dtype": self.output_dtype,
        }


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
