from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo._data import prepare_inputs
from mtlzoo._staging import staging
from mtlzoo.errors import ExportError
from mtlzoo.export._answers import answering
from mtlzoo.export._golden import make_golden
from mtlzoo.export._signatures import Servable, call, check_model, trace
from mtlzoo.export._versions import publish_version, refuse_taken


def saved_model(
    model: keras.Model,
    path: str | Path,
    *,
    version: int | None = None,
    golden: Mapping[str, Any] | None = None,
    tolerance: float = 1e-5,
) -> Path:
    """Write `model` as the next version in `path`, for TensorFlow Serving.

    The signature `serving_default` takes the model's inputs by name and gives all
    outputs by name; `task_<name>` gives one output and computes nothing else. Batches
    have any size, and outputs are float32 under every precision policy. The weights are
    stored once; the optimizer is not.

    Another process loads what was written, as the server does, and answers golden rows,
    all together and the first alone. Only when its answers are those of the model does
    the export get its version number, in one step. Interrupted at any moment, it leaves
    nothing under a version number.

    Args:
        model: a functional Keras model with a dict of outputs, such as `mtlzoo.build`
            makes.
        path: a local folder, named like the served model by habit; the server's
            `--model_base_path`.
        version: the number of the version; the highest there plus 1 by default.
        golden: raw rows to compare on, a dict of arrays by input name or a data frame,
            such as 8 rows of the test data. By default made up from the vocabularies
            and shapes of the model.
        tolerance: the largest difference that passes; relative above 1. Half-precision
            models may need 1e-2.

    Returns:
        The folder of the new version.

    Raises:
        ExportError: the model can't be exported, the answers differ, or `path` can't be
            written. Nothing was published.

    Example:

    ```python
    mtlzoo.export.saved_model(model, "serving/income")    # -> serving/income/1
    ```
    """
    check_model(model)
    if "://" in str(path):
        raise ExportError(
            f"`path` must be a local folder. Received: {str(path)!r}. Export locally, "
            "then copy the folder of the version there."
        )
    base = Path(path)
    refuse_taken(base, version)
    with staging(base) as folder, answering() as server:
        golden = prepare_inputs(model, make_golden(model) if golden is None else golden)
        _write(model, folder / "model")
        arrays = {name: keras.ops.convert_to_numpy(one) for name, one in golden.items()}
        answers = server.answers(folder, arrays)
        _compare(_expected(model, golden), answers, tolerance)
        return publish_version(folder / "model", base, version)


def _write(model: keras.Model, folder: Path) -> None:
    try:
        signatures = trace(model)
        tf.saved_model.save(Servable(model, signatures), str(folder), signatures)
    except (OSError, tf.errors.OpError, AssertionError) as error:
        # TensorFlow asserts that each table and variable is one it can save.
        reason = str(error).splitlines()[0]
        raise ExportError(f"Can't write {model.name!r}: {reason}") from error


def _expected(model: keras.Model, golden: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the model itself answers, computed where the export was."""
    with tf.device("CPU:0"):
        tensors = {
            name: keras.ops.convert_to_tensor(rows) for name, rows in golden.items()
        }
        predictions = call(model, tensors)
    return {
        name: keras.ops.convert_to_numpy(prediction)
        for name, prediction in predictions.items()
    }


def _compare(
    expected: Mapping[str, Any], answers: Mapping[str, Any], tolerance: float
) -> None:
    for key, found in answers.items():
        signature, name, *first = key.split("/")
        wanted = expected[name]
        if wanted.ndim == 0 or (len(found) == 1) != bool(first):
            raise ExportError(
                f"Output {name!r} must have one entry a row; of a batch of "
                f"{len(wanted) if wanted.ndim else 1} rows its shape is {found.shape}. "
                "TensorFlow Serving couldn't split it into answers."
            )
        wanted = wanted[: len(found)]
        if wanted.dtype.kind != "f":
            wanted = wanted.astype(found.dtype)
            agrees, off = np.array_equal(wanted, found), "other values"
        else:
            wanted = wanted.astype("float32")
            if np.isnan(wanted).any():
                raise ExportError(
                    f"The model itself predicts NaN for {name!r} on golden rows. Look "
                    "at its weights and at those rows; it was not published."
                )
            agrees = np.allclose(wanted, found, rtol=tolerance, atol=tolerance)
            off = f"off by {np.max(np.abs(wanted - found)):.3g}"
        if not agrees:
            raise ExportError(
                f"The exported model answers otherwise than {name!r} of the model: "
                f"{off}, in signature {signature!r}. It was not published. A model of "
                f"lower precision may need more than tolerance={tolerance}."
            )
