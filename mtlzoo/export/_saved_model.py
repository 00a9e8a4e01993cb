from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from mtlzoo._data import prepare_inputs
from mtlzoo._staging import staging
from mtlzoo._trainable import without_lora
from mtlzoo.errors import ExportError
from mtlzoo.export import _warmup
from mtlzoo.export._answers import answering
from mtlzoo.export._compare import compare
from mtlzoo.export._golden import make_golden
from mtlzoo.export._offer import Offer
from mtlzoo.export._signatures import check_model
from mtlzoo.export._versions import publish_version, refuse_taken


def saved_model(
    model: keras.Model,
    path: str | Path,
    *,
    version: int | None = None,
    golden: Mapping[str, Any] | None = None,
    tolerance: float = 1e-5,
    pixel_scale: float | None = None,
    warmup: bool | None = None,
) -> Path:
    """Write `model` as the next version in `path`, for TensorFlow Serving.

    | signature | takes | gives |
    |---|---|---|
    | `serving_default` | the model's inputs by name, raw | all outputs by name |
    | `task_<name>` | the same | one output; nothing else is computed |
    | `features` | the same | the representation of each task that has one |
    | `serving_bytes` | the same, the picture as a JPEG or PNG file | all outputs |
    | `examples` | serialized `tf.Example`s | all outputs, as the next two name them |
    | `classify_<name>` | the same | scores with their class names |
    | `regress_<name>` | the same | one number |

    The last three answer the server's calls Classify, Regress and MultiInference, which
    gets several tasks from one pass; inputs with an axis of any size leave them out.
    `serving_bytes` is there where one input is a picture; it is resized in the graph.
    Batches have any size, and outputs are float32 under every precision policy. The
    weights are stored once, with low-rank changes merged into them; the optimizer is
    not.

    Another process loads what was written, as the server does, and answers golden rows
    by every signature, all together and the first alone. Only when its answers are
    those of the model does the export get its version number, in one step. Interrupted
    at any moment, it leaves nothing under a version number.

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
        pixel_scale: what the pixels of a decoded picture, 0 to 255, are multiplied by
            before they enter the model, such as `1 / 255`. Needed by `serving_bytes`
            where the input is float and the model doesn't rescale it first.
        warmup: whether to record requests of golden rows, which the server answers
            before it serves the version; it refuses a version that fails one. By
            default where tensorflow-serving-api is installed.

    Returns:
        The folder of the new version.

    Raises:
        ExportError: the model can't be exported, the answers differ, or `path` can't be
            written. Nothing was published.
        MissingExtraError: `warmup=True` without tensorflow-serving-api.

    Example:

    ```python
    mtlzoo.export.saved_model(model, "serving/income")    # -> serving/income/1
    ```
    """
    check_model(model)
    model = without_lora(model)
    if "://" in str(path):
        raise ExportError(
            f"`path` must be a local folder. Received: {str(path)!r}. Export locally, "
            "then copy the folder of the version there."
        )
    base = Path(path)
    refuse_taken(base, version)
    record = _warmup.wanted(warmup)
    with staging(base) as folder, answering() as server:
        golden = prepare_inputs(model, make_golden(model) if golden is None else golden)
        offer = Offer(model, pixel_scale)
        offer.write(folder / "model")
        inputs = offer.inputs(
            {name: keras.ops.convert_to_numpy(one) for name, one in golden.items()}
        )
        answers = server.answers(folder, offer.forms, inputs)
        compare(offer.expected(inputs), answers, tolerance)
        if record:
            _warmup.write(folder / "model", base.name, offer, inputs)
        return publish_version(folder / "model", base, version)
