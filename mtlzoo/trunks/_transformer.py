import math
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import TRUNKS
from mtlzoo.errors import OptionError
from mtlzoo.trunks._base import Features, Sources, Stage, Trunk, encode_one
from mtlzoo.trunks._pooling import MaskedMean


@keras.saving.register_keras_serializable("mtlzoo")
class SinusoidalPositions(keras.layers.Layer):
    """Add the sines and cosines of each step's position; works at any length.

    Input shape: `(batch, steps, width)`.

    Output shape: the same.

    Reference: Ashish Vaswani et al., *Attention Is All You Need*, NeurIPS 2017,
    <https://arxiv.org/abs/1706.03762>, section 3.5.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        steps, width = ops.shape(inputs)[1], inputs.shape[-1]
        position = ops.expand_dims(ops.arange(steps, dtype="float32"), -1)
        channel = ops.arange(width, dtype="float32")
        rate = ops.exp(-math.log(10_000.0) * 2.0 * ops.floor(channel / 2) / width)
        # The cosine is the sine a quarter turn ahead: odd channels are shifted.
        shift = (channel - 2.0 * ops.floor(channel / 2)) * (math.pi / 2)
        return inputs + ops.cast(ops.sin(position * rate + shift), inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@TRUNKS.register(
    "transformer",
    takes="one text or series",
    gives="pooled, sequence",
    paper="Vaswani et al., NeurIPS 2017",
)
@keras.saving.register_keras_serializable("mtlzoo")
class Transformer(Trunk):
    """Transformer encoder blocks over a text or a series; masked steps are not read.

    Inputs are projected to `width` and scaled, positions added. A stage is one block:
    self-attention and a feed-forward network, each on a normalised input and added to
    what came in (pre-norm). The pooled features are the mean over the steps that are
    not masked.

    Args:
        num_layers: the number of blocks.
        width: of the features, a multiple of `num_heads`.
        num_heads: attention heads a block.
        feedforward: width of the hidden layer in each block.
        dropout: the rate on the output of each attention and feed-forward network.

    Reference: Ashish Vaswani et al., *Attention Is All You Need*, NeurIPS 2017,
    <https://arxiv.org/abs/1706.03762>.

    Differences from the paper: normalisation comes before each sub-layer, which trains
    without warm-up (Xiong et al., ICML 2020, <https://arxiv.org/abs/2002.04745>).
    """

    sublayers = (".attention_dropout", ".feedforward_dropout")

    def __init__(
        self,
        num_layers: int = 2,
        *,
        width: int = 64,
        num_heads: int = 4,
        feedforward: int = 256,
        dropout: float = 0.1,
    ) -> None:
        self.num_layers = num_layers
        self.width = width
        self.num_heads = num_heads
        self.feedforward = feedforward
        self.dropout = dropout
        if width % num_heads:
            raise OptionError(
                "`width` of the trunk 'transformer' must be a multiple of `num_heads`. "
                f"Received: width={width}, num_heads={num_heads}."
            )

    def begin(self, sources: Sources, name: str) -> Any:
        tensor = encode_one(sources, "sequence", name, "transformer")
        tensor = keras.layers.Dense(self.width, name=f"{name}.project")(tensor)
        return SinusoidalPositions(name=f"{name}.positions")(tensor)

    def stages(self, name: str) -> list[Stage]:
        def stage(index: int) -> Stage:
            def apply(tensor: Any) -> Any:
                return self._block(tensor, f"{name}.block_{index}")

            return apply

        return [stage(index) for index in range(1, self.num_layers + 1)]

    def finish(self, tensor: Any, name: str) -> Features:
        tensor = self._norm(f"{name}.norm")(tensor)
        pooled = MaskedMean(name=f"{name}.average")(tensor)
        return Features(pooled=pooled, sequence=tensor)

    def _norm(self, name: str) -> Any:
        # Keras would add 1e-3 to variances; the authors' tensor2tensor adds this.
        return keras.layers.LayerNormalization(epsilon=1e-6, name=name)

    def _block(self, tensor: Any, name: str) -> Any:
        inside = self._norm(f"{name}.attention_norm")(tensor)
        inside = keras.layers.MultiHeadAttention(
            self.num_heads,
            self.width // self.num_heads,
            name=f"{name}.attention",
        )(inside, inside)
        inside = keras.layers.Dropout(self.dropout, name=f"{name}.attention_dropout")(
            inside
        )
        tensor = keras.layers.Add(name=f"{name}.attention_add")([tensor, inside])
        inside = self._norm(f"{name}.feedforward_norm")(tensor)
        inside = keras.layers.Dense(
            self.feedforward, activation="gelu", name=f"{name}.feedforward_in"
        )(inside)
        inside = keras.layers.Dense(self.width, name=f"{name}.feedforward_out")(inside)
        inside = keras.layers.Dropout(self.dropout, name=f"{name}.feedforward_dropout")(
            inside
        )
        return keras.layers.Add(name=f"{name}.feedforward_add")([tensor, inside])
