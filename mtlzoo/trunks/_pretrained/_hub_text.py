import base64
from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from mtlzoo._extras import require


@keras.saving.register_keras_serializable("mtlzoo")
class HubText(keras.layers.Layer):
    """Texts to token ids and what goes with them, as a preset of keras_hub makes them.

    The vocabulary is part of the config: a saved model loads without the preset. The
    operations are those of TensorFlow Text, which TensorFlow Serving has built in.

    Args:
        preprocessor: of `keras_hub.models`, with the vocabulary of its tokenizer.
        names: of what is taken from it, such as `"token_ids"` and `"padding_mask"`.

    Input shape: `(batch,)` or `(batch, 1)`, strings.

    Output shape: a dict by name, `(batch, steps)` each, int32.
    """

    def __init__(self, preprocessor: Any, names: Sequence[str], **kwargs: Any) -> None:
        import tensorflow as tf

        super().__init__(**{**kwargs, "dtype": "int32"})
        self.preprocessor = preprocessor
        self.names = list(names)
        # Outside a graph keras_hub cuts texts by another library, not always alike.
        self._cut = tf.function(lambda texts: preprocessor(texts))

    def build(self, input_shape: Any) -> None:
        self.preprocessor.build(input_shape)

    def call(self, inputs: Any) -> dict[str, Any]:
        outputs = self._cut(ops.reshape(inputs, (-1,)))
        return {name: ops.cast(outputs[name], "int32") for name in self.names}

    def compute_output_spec(self, inputs: Any) -> dict[str, Any]:
        shape = (inputs.shape[0], self.preprocessor.sequence_length)
        return {name: keras.KerasTensor(shape, "int32") for name in self.names}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "preprocessor": keras.saving.serialize_keras_object(self.preprocessor),
            "names": self.names,
            "vocabulary": _vocabulary(self.preprocessor.tokenizer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        for module in ("keras_hub", "tensorflow_text"):
            require(module, extra="keras_hub", what="A text base of keras_hub")
        config = dict(config)
        vocabulary = config.pop("vocabulary")
        preprocessor = keras.saving.deserialize_keras_object(config["preprocessor"])
        _set_vocabulary(preprocessor.tokenizer, vocabulary)
        return cls(**{**config, "preprocessor": preprocessor})


def _vocabulary(tokenizer: Any) -> dict[str, Any]:
    """Return what a tokenizer knows, which keras_hub leaves out of its config."""
    if hasattr(tokenizer, "proto"):
        return {"proto": base64.b64encode(tokenizer.proto).decode("ascii")}
    if hasattr(tokenizer, "merges"):
        return {
            "vocabulary": dict(tokenizer.vocabulary),
            "merges": list(tokenizer.merges),
        }
    return {"vocabulary": list(tokenizer.vocabulary)}


def _set_vocabulary(tokenizer: Any, vocabulary: dict[str, Any]) -> None:
    if "proto" in vocabulary:
        tokenizer.set_proto(base64.b64decode(vocabulary["proto"]))
    elif "merges" in vocabulary:
        tokenizer.set_vocabulary_and_merges(**vocabulary)
    else:
        tokenizer.set_vocabulary(**vocabulary)
