import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo._extras import require
from mtlzoo.errors import ExportError
from mtlzoo.export._converted import Converted, answers_of, golden_rows, publishing
from mtlzoo.export._load import quiet
from mtlzoo.export._signatures import call

OPSET = 18
WHAT = "Exporting to ONNX"


def onnx(
    model: keras.Model,
    path: str | Path,
    *,
    golden: Mapping[str, Any] | None = None,
    tolerance: float = 1e-5,
) -> Converted:
    """Write `model` as an ONNX file, for servers and runtimes other than TensorFlow's.

    Inputs and outputs have the model's names, outputs are float32, and batches have any
    size. The file is run by onnxruntime on golden rows before it is put in its place.

    It needs `pip install "mtlzoo[onnx]"`.

    Args:
        model: a functional Keras model with a dict of outputs.
        path: of the file; ends in `.onnx`, and nothing may be there.
        golden: raw rows to compare on, a dict of arrays by input name or a data frame.
            By default 8 rows made up from the model's shapes.
        tolerance: the largest difference that passes.

    Returns:
        The file's path and size, the bytes of the model's weights, and the largest
        difference on golden rows by output name.

    Raises:
        ExportError: an operation has no ONNX form, as the lookup of words and codes
            hasn't, or the answers differ. Nothing was written.
        MissingExtraError: tf2onnx or onnxruntime isn't installed.

    Example:

    ```python
    mtlzoo.export.onnx(model, "photos.onnx")
    ```
    """
    tf2onnx = require("tf2onnx", extra="onnx", what=WHAT)
    runtime = require("onnxruntime", extra="onnx", what=WHAT)
    path = Path(path)
    rows = golden_rows(model, golden)
    with publishing(path, ".onnx") as file:
        content = _convert(model, tf2onnx)
        expected = answers_of(model, rows)
        found = _run(content, rows, list(expected), runtime)
        made = Converted.measured(model, path, len(content), expected, found)
        made.check(tolerance)
        file.write_bytes(content)
    return made


def _convert(model: keras.Model, tf2onnx: Any) -> bytes:
    from keras.src.export.tf2onnx_lib import patch_tf2onnx

    specs = [
        tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]

    def predict(*tensors: Any) -> dict[str, Any]:
        rows = {spec.name: one for spec, one in zip(specs, tensors, strict=True)}
        return {
            name: tf.cast(tensor, tf.float32)
            for name, tensor in call(model, rows).items()
        }

    try:
        with quiet(), _silent(tf2onnx), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages that it calls
            # With NumPy 2 it needs what Keras does for its own exporter.
            patch_tf2onnx()
            proto, _ = tf2onnx.convert.from_function(
                tf.function(predict),
                specs,
                opset=OPSET,
                custom_op_handlers={"Erfc": (_erfc, [])},
            )
    except Exception as error:  # what it raises depends on the operation
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise _no_form(model.name, reason) from error
    # It only logs what it can't convert, and leaves TensorFlow's operation in place.
    left = sorted({node.op_type for node in proto.graph.node} & _tensorflow_only())
    if left:
        raise _no_form(model.name, f"{', '.join(left)} can't be converted")
    content: bytes = proto.SerializeToString()
    return content


def _run(
    content: bytes, rows: Mapping[str, Any], names: list[str], runtime: Any
) -> dict[str, Any]:
    try:
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return dict(zip(names, session.run(names, dict(rows)), strict=True))
    except Exception as error:  # of the runtime, which has a class for each code
        reason = str(error).strip().splitlines()[0]
        raise ExportError(
            f"onnxruntime can't run the ONNX form, so nothing was written: {reason}"
        ) from error


def _erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """Write what exact GELU needs by what ONNX has: 1 - erf(x)."""
    graph.remove_node(name)
    one = graph.make_const(f"{name}/one", np.array(1.0, "float32")).output[0]
    erf = graph.make_node("Erf", node.input).output[0]
    graph.make_node("Sub", [one, erf], outputs=node.output, name=name)


def _no_form(name: str, reason: str) -> ExportError:
    return ExportError(f"{name!r} has no ONNX form, so nothing was written: {reason}")


def _tensorflow_only() -> set[str]:
    """Return the operations of TensorFlow's that ONNX has none of the name of."""
    onnx = require("onnx", extra="onnx", what=WHAT)
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    return set(tf.raw_ops.__dict__) - known


@contextlib.contextmanager
def _silent(tf2onnx: Any) -> Iterator[None]:
    """Keep back pages about each operation; the error that follows names them."""
    logger = logging.getLogger(tf2onnx.__name__)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
