from typing import Any

import keras

from mtlzoo._registry import TRUNKS
from mtlzoo.errors import OptionError
from mtlzoo.trunks._base import Features, Sources, Stage, Trunk, encode_one
from mtlzoo.trunks._pooling import MaskedMean


@TRUNKS.register("rnn", takes="one text or series", gives="pooled, sequence")
@keras.saving.register_keras_serializable("mtlzoo")
class RNN(Trunk):
    """Recurrent layers over a text or a series; masked steps are skipped.

    The pooled features are the mean over the steps that are not masked.

    Args:
        units: the width of each layer, of each direction.
        cell: `"lstm"` or `"gru"`.
        bidirectional: whether each layer also reads the sequence backwards; its output
            is then twice as wide.
        dropout: the rate on the inputs of each layer.
    """

    def __init__(
        self,
        units: tuple[int, ...] = (64,),
        *,
        cell: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        self.units = tuple(units)
        self.cell = cell
        self.bidirectional = bidirectional
        self.dropout = dropout
        if cell not in ("lstm", "gru"):
            raise OptionError(
                f"`cell` of the trunk 'rnn' must be 'lstm' or 'gru'. Received: "
                f"cell={cell!r}."
            )

    def begin(self, sources: Sources, name: str) -> Any:
        return encode_one(sources, "sequence", name, "rnn")

    def stages(self, name: str) -> list[Stage]:
        def stage(index: int, units: int) -> Stage:
            def apply(tensor: Any) -> Any:
                kind = keras.layers.LSTM if self.cell == "lstm" else keras.layers.GRU
                layer = kind(
                    units,
                    return_sequences=True,
                    dropout=self.dropout,
                    name=f"{name}.{self.cell}_{index}",
                )
                if self.bidirectional:
                    layer = keras.layers.Bidirectional(
                        layer, name=f"{name}.bidirectional_{index}"
                    )
                return layer(tensor)

            return apply

        return [stage(i, units) for i, units in enumerate(self.units, start=1)]

    def finish(self, tensor: Any, name: str) -> Features:
        pooled = MaskedMean(name=f"{name}.average")(tensor)
        return Features(pooled=pooled, sequence=tensor)
