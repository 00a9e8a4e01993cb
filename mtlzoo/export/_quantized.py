import warnings

import keras

from mtlzoo.errors import ExportError
from mtlzoo.export._signatures import check_model


def quantized(model: keras.Model) -> keras.Model:
    """Return a copy of `model` with int8 weights, to evaluate and to export.

    The kernels of dense and embedding layers become 8-bit integers with one scale for
    each column or row, which takes about a quarter of the bytes; what goes into a dense
    layer is rounded to 8 bits, row by row, as it is computed. Other layers, such as
    convolutions, recurrent layers and expert banks, keep their weights.

    `evaluate` of the copy says what that costs in accuracy. The copy isn't for
    training.

    Args:
        model: a functional Keras model with a dict of outputs; it stays as it is.

    Returns:
        A model of the same class, inputs, outputs and tasks.

    Raises:
        ExportError: no layer of the model can be quantized, or it can't be copied.

    Example:

    ```python
    small = mtlzoo.export.quantized(model)
    small.evaluate(test)
    mtlzoo.export.saved_model(small, "serving/income")
    ```
    """
    check_model(model)
    copy = _copy(model)
    with warnings.catch_warnings():
        # Each layer that it leaves as it is.
        warnings.filterwarnings("ignore", ".*does not have a `quantize` method")
        copy.quantize("int8")
    if not any("int8" in one.dtype for one in copy.variables):
        raise ExportError(
            f"{model.name!r} has no layer whose weights can be int8: dense and "
            "embedding layers are those that can."
        )
    return copy


def _copy(model: keras.Model) -> keras.Model:
    try:
        copy = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(model)
        )
    except (TypeError, ValueError) as error:
        raise ExportError(
            f"Can't copy {model.name!r}, which itself is to stay as it is. Layers of "
            "your own need keras.saving.register_keras_serializable and get_config."
        ) from error
    copy.set_weights(model.get_weights())
    return copy
