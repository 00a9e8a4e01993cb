import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import tensorflow as tf

from mtlzoo._dtypes import as_fed
from mtlzoo._registry import unknown_name
from mtlzoo._saved_models import know_text_operations, scan, versions
from mtlzoo.errors import DataError, ExportError, UnknownNameError


def load(path: str | Path, *, trust: bool = False) -> "ExportedModel":
    """Return an exported model, ready to answer.

    Args:
        path: where `saved_model` wrote, with versions in it (the newest is taken), or
            the folder of one version.
        trust: load a model that does more than compute, see `scan`. Loading it runs it
            with all that you may do on this machine.

    Raises:
        ExportError: no export is there, or it does more than compute.

    Example:

    ```python
    with mtlzoo.export.load("serving/income") as exported:
        exported({"age": [39], "job": ["clerk"]})
    ```
    """
    path = Path(path)
    numbered = versions(path)
    folder = numbered[max(numbered)] if numbered else path
    if not (folder / "saved_model.pb").is_file():
        raise ExportError(
            f"No exported model is in {str(path)!r}: neither versions nor a "
            "saved_model.pb. Pass the folder that mtlzoo.export.saved_model wrote."
        )
    if not trust and (found := scan(folder)):
        raise ExportError(
            f"The model in {str(folder)!r} does more than compute: it holds "
            f"{', '.join(sorted(found))}. If you trust who made it, load it with "
            "trust=True."
        )
    return ExportedModel(folder)


class ExportedModel:
    """A SavedModel, run as TensorFlow Serving runs it: in a session, without Keras.

    `load` makes one, and looks first at what the model does; this runs any.

    Call it with a batch: a dict of arrays by input name in, a dict of arrays by output
    name out. It holds the weights in memory until it is closed; use it in a `with`
    block, or call `close`.

    Args:
        folder: of one version.

    Attributes:
        folder: of that version.
        inputs: the shape and type of each input of `serving_default`, by name.
        outputs: likewise, of each output.
        signatures: the names of all signatures.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._session, meta_graph = _open(str(folder))
        self._signatures = {
            name: signature
            for name, signature in meta_graph.signature_def.items()
            if not name.startswith("__")
        }
        self._callables: dict[str, Any] = {}
        default = self._signatures["serving_default"]
        self.inputs = _specs(default.inputs)
        self.outputs = _specs(default.outputs)

    @property
    def signatures(self) -> list[str]:
        return sorted(self._signatures)

    def __call__(
        self, inputs: Mapping[str, Any], signature: str = "serving_default"
    ) -> dict[str, Any]:
        """Return predictions, shape `(rows, ...)`, by output name.

        Args:
            inputs: values by input name, shape `(rows, ...)`, as `model.predict` takes
                them.
            signature: one of `signatures`.

        Raises:
            DataError: the inputs aren't those of the signature.
            UnknownNameError: there is no such signature.
        """
        if signature not in self._signatures:
            raise UnknownNameError(
                unknown_name("signature", signature, self._signatures)
            )
        definition = self._signatures[signature]
        if set(inputs) != set(definition.inputs):
            raise DataError(
                f"{signature!r} takes the inputs "
                f"{', '.join(sorted(definition.inputs))}. "
                f"Received: {', '.join(sorted(inputs)) or 'none'}."
            )
        names = sorted(definition.inputs)
        outputs = sorted(definition.outputs)
        if signature not in self._callables:
            self._callables[signature] = self._session.make_callable(
                [definition.outputs[name].name for name in outputs],
                feed_list=[definition.inputs[name].name for name in names],
            )
        values = [
            as_fed(
                inputs[name],
                tf.as_dtype(definition.inputs[name].dtype).name,
                f"Input {name!r}",
            )
            for name in names
        ]
        return dict(zip(outputs, self._callables[signature](*values), strict=True))

    def close(self) -> None:
        """Free the memory; calls fail from then on."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ExportedModel({str(self.folder)!r})"


def _open(folder: str) -> tuple[Any, Any]:
    """Return a session in which a SavedModel is loaded, and what it is."""
    graph = tf.Graph()
    with quiet(), graph.as_default():
        session = tf.compat.v1.Session(graph=graph)
        try:
            meta_graph = tf.compat.v1.saved_model.load(
                session, [tf.saved_model.SERVING], folder
            )
        except tf.errors.NotFoundError:  # of an operation, among others
            session.close()
            if know_text_operations():
                return _open(folder)
            raise
    return session, meta_graph


def _specs(tensors: Mapping[str, Any]) -> dict[str, tf.TensorSpec]:
    return {
        name: tf.TensorSpec(tensors[name].tensor_shape, tensors[name].dtype, name)
        for name in sorted(tensors)
    }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep back advice of TensorFlow: to load as no server does, where it wrote."""
    logger = tf.get_logger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
