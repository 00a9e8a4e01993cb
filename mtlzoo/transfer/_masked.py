from typing import Any

import keras


@keras.saving.register_keras_serializable("mtlzoo")
class Masked(keras.layers.Layer):
    """Puts a mask that was stored beside features back onto them.

    Keras carries a mask along with its tensor and not in the graph, so features that
    have been on disk have lost theirs.

    Input shape: `(batch, steps, ...)`, and `mask`, booleans of shape `(batch, steps)`.

    Output shape: that of the input.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
