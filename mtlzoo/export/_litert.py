import contextlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from mtlzoo.errors import ExportError, OptionError
from mtlzoo.export._converted import Converted, answers_of, golden_rows, publishing
from mtlzoo.export._load import quiet
from mtlzoo.export._signatures import trace_predict, write

QUANTIZE = (None, "float16", "int8")


def litert(
    model: keras.Model,
    path: str | Path,
    *,
    quantize: str | None = None,
    golden: Mapping[str, Any] | None = None,
    tolerance: float | None = None,
) -> Converted:
    """Write `model` as a LiteRT (TensorFlow Lite) file, for phones and small devices.

    The file has one signature, `serving_default`, that takes the model's inputs by name
    and gives all outputs by name, as float32. It is run on golden rows before it is put
    in its place, and the differences from the model are returned.

    Args:
        model: a functional Keras model with a dict of outputs.
        path: of the file; ends in `.tflite`, and nothing may be there.
        quantize: `"int8"` stores the large weights as 8-bit integers, which takes about
            a quarter of the bytes, and computes with them where the device can;
            `"float16"` takes half, and hardly differs, but can't hold numbers beyond
            65504, such as the mean of a column of prices. `None` keeps float32.
        golden: raw rows to compare on, such as 100 rows of the test data, a dict of
            arrays by input name or a data frame. By default 8 rows made up from the
            vocabularies and shapes of the model.
        tolerance: the largest difference that passes. 1e-5 by default, and any if
            quantized: look at what is returned.

    Returns:
        The file's path and size, the bytes of the model's weights, and the largest
        difference on golden rows by output name.

    Raises:
        ExportError: an operation has no LiteRT form, such as recurrent layers over any
            number of steps or vocabularies of integers, the model holds numbers that
            float16 can't, or the answers differ. Nothing was written.
        OptionError: `quantize` is something else.

    Example:

    ```python
    small = mtlzoo.export.litert(model, "income.tflite", quantize="int8")
    small.size / small.weights, small.differences
    ```
    """
    if quantize not in QUANTIZE:
        raise OptionError(
            f"`quantize` must be None, 'float16' or 'int8'. Received: {quantize!r}."
        )
    path = Path(path)
    rows = golden_rows(model, golden)
    with publishing(path, ".tflite") as file:
        content = _convert(model, quantize, file.with_name("model"))
        expected = answers_of(model, rows)
        found = _run(content, rows)
        made = Converted.measured(model, path, len(content), expected, found)
        made.check(tolerance if tolerance is not None else np.inf if quantize else 1e-5)
        file.write_bytes(content)
    return made


def _convert(model: keras.Model, quantize: str | None, folder: Path) -> bytes:
    # By way of a SavedModel, which says what lookup tables are filled with.
    write(model, {"serving_default": trace_predict(model)}, folder)
    _keep_shapes_of_lookups(folder / "saved_model.pb")
    with quiet():
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(folder), signature_keys=["serving_default"]
        )
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        with quiet(), _silent():
            content: bytes = converter.convert()
    except Exception as error:  # its own class, and several of TensorFlow's
        found = re.search(r"'tf\.\w+' op .*", str(error))
        reason = found[0] if found else str(error).strip().splitlines()[0]
        hint = ""
        if "HashTableV2" in reason:
            hint = (
                ". Vocabularies of integers, as booleans have, are none that LiteRT "
                "knows; those of texts are: take Categorical(['0', '1'])."
            )
        raise ExportError(
            f"{model.name!r} has no LiteRT form, so nothing was written: {reason}{hint}"
        ) from error
    return content


def _keep_shapes_of_lookups(path: Path) -> None:
    """Give what tables return the shape of what was looked up.

    The converter loses it, down to the number of axes, and the interpreter then refuses
    to join such a row with others.
    """
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for function in saved.meta_graphs[0].graph_def.library.function:
        lookups = [one for one in function.node_def if one.op == "LookupTableFindV2"]
        for lookup in lookups:
            found, shaped = f"{lookup.name}:values:0", f"{lookup.name}/shaped"
            _redirect(function, found, f"{shaped}:output:0")
            shape = function.node_def.add(name=f"{lookup.name}/shape", op="Shape")
            shape.input.append(lookup.input[1])
            shape.attr["T"].type = lookup.attr["Tin"].type
            shape.attr["out_type"].type = types_pb2.DT_INT32
            reshape = function.node_def.add(name=shaped, op="Reshape")
            reshape.input.extend([found, f"{shape.name}:output:0"])
            reshape.attr["T"].type = lookup.attr["Tout"].type
            reshape.attr["Tshape"].type = types_pb2.DT_INT32
    path.write_bytes(saved.SerializeToString())


def _redirect(function: Any, before: str, after: str) -> None:
    for node in function.node_def:
        node.input[:] = [after if one == before else one for one in node.input]
    for name, tensor in function.ret.items():
        if tensor == before:
            function.ret[name] = after


def _run(content: bytes, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file answers, row by row, as a device asks it."""
    with warnings.catch_warnings(), _silent():
        # It points to a package that has the same interpreter.
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated")
        interpreter = tf.lite.Interpreter(model_content=content)
        _refuse_clipped(interpreter)
        run = interpreter.get_signature_runner("serving_default")
        count = len(next(iter(rows.values())))
        try:
            answers = [
                run(**{name: array[row : row + 1] for name, array in rows.items()})
                for row in range(count)
            ]
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ExportError(
                f"The LiteRT form can't be run, so nothing was written: {reason}"
            ) from error
    return {
        name: np.concatenate([answer[name] for answer in answers])
        for name in answers[0]
    }


def _refuse_clipped(interpreter: Any) -> None:
    """Refuse a model whose numbers the converter cut to what float16 holds."""
    largest = np.finfo(np.float16).max
    for tensor in interpreter.get_tensor_details():
        if tensor["dtype"] is np.float16:
            values = interpreter.get_tensor(tensor["index"])
            if np.max(np.abs(values), initial=0.0) >= largest:
                raise ExportError(
                    f"The model holds numbers beyond {largest:.0f}, the largest of "
                    f"float16, in {tensor['name'].split(';')[0]!r}, so nothing was "
                    "written. Use quantize='int8', or scale that input first."
                )


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Close standard error to the converter's C++, which writes a page to it."""
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
