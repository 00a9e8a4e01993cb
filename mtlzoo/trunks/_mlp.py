from typing import Any

import keras

from mtlzoo._registry import TRUNKS
from mtlzoo.trunks._base import (
    Features,
    Sources,
    Stage,
    Trunk,
    concatenate,
    dense_stages,
    encode,
)
from mtlzoo.trunks._pooling import MaskedMean


@TRUNKS.register("mlp", takes="vectors, flattened sequences and images", gives="pooled")
@keras.saving.register_keras_serializable("mtlzoo")
class MLP(Trunk):
    """Dense layers on all inputs, flattened and joined.

    Args:
        units: the width of each dense layer.
        activation: of each dense layer.
        dropout: the rate after each dense layer.
    """

    def __init__(
        self,
        units: tuple[int, ...] = (256, 128),
        *,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        self.units = tuple(units)
        self.activation = activation
        self.dropout = dropout

    def begin(self, sources: Sources, name: str) -> Any:
        flat = [
            keras.layers.Flatten(name=f"{name}.{key}.flatten")(tensor)
            if len(tensor.shape) > 2
            else tensor
            for key, tensor in encode(sources, name).items()
        ]
        return concatenate(flat, f"{name}.inputs")

    def stages(self, name: str) -> list[Stage]:
        return dense_stages(self.units, self.activation, self.dropout, name)

    def finish(self, tensor: Any, name: str) -> Features:
        return Features(pooled=tensor)


@TRUNKS.register(
    "tabular", takes="numbers, categories, dates, texts, series", gives="pooled"
)
@keras.saving.register_keras_serializable("mtlzoo")
class Tabular(MLP):
    """Dense layers on the columns of a table.

    Numbers are normalised, categories embedded; of a text or series, the mean over its
    steps is taken. All are joined and go through dense layers.

    Args:
        units: the width of each dense layer.
        activation: of each dense layer.
        dropout: the rate after each dense layer.
    """

    def begin(self, sources: Sources, name: str) -> Any:
        vectors = []
        for key, tensor in encode(sources, name).items():
            if sources[key].feature.form == "sequence":
                tensor = MaskedMean(name=f"{name}.{key}.mean")(tensor)
            elif sources[key].feature.form == "image":
                tensor = keras.layers.Flatten(name=f"{name}.{key}.flatten")(tensor)
            vectors.append(tensor)
        return concatenate(vectors, f"{name}.columns")
