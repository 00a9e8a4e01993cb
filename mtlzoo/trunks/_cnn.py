from typing import Any

import keras

from mtlzoo._registry import TRUNKS
from mtlzoo.errors import OptionError
from mtlzoo.trunks._base import (
    Features,
    Sources,
    Stage,
    Trunk,
    dense_stages,
    encode_one,
)


@TRUNKS.register("cnn", takes="one image", gives="pooled, map")
@keras.saving.register_keras_serializable("mtlzoo")
class CNN(Trunk):
    """A small convolutional network: convolution, activation, max-pooling a stage.

    The LeNet of multi-task benchmarks is `CNN(filters=(10, 20), kernel_size=5,
    padding="valid", pooling="flatten", units=(50,))`.

    Args:
        filters: the channels of each stage, which halves height and width.
        kernel_size: of each convolution, in pixels.
        padding: of each convolution, `"same"` or `"valid"`.
        activation: of each layer.
        pooling: how the pooled features come from the last map: `"average"` over the
            pixels, or `"flatten"`.
        units: the width of each dense layer after pooling.
        dropout: the rate after each dense layer.
    """

    def __init__(
        self,
        filters: tuple[int, ...] = (32, 64, 128),
        *,
        kernel_size: int = 3,
        padding: str = "same",
        activation: str = "relu",
        pooling: str = "average",
        units: tuple[int, ...] = (),
        dropout: float = 0.0,
    ) -> None:
        self.filters = tuple(filters)
        self.kernel_size = kernel_size
        self.padding = padding
        self.activation = activation
        self.pooling = pooling
        self.units = tuple(units)
        self.dropout = dropout
        if pooling not in ("average", "flatten"):
            raise OptionError(
                "`pooling` of the trunk 'cnn' must be 'average' or 'flatten'. "
                f"Received: pooling={pooling!r}."
            )

    def begin(self, sources: Sources, name: str) -> Any:
        return encode_one(sources, "image", name, "cnn")

    def stages(self, name: str) -> list[Stage]:
        def stage(index: int, filters: int) -> Stage:
            def apply(tensor: Any) -> Any:
                tensor = keras.layers.Conv2D(
                    filters,
                    self.kernel_size,
                    padding=self.padding,
                    activation=self.activation,
                    name=f"{name}.conv_{index}",
                )(tensor)
                return keras.layers.MaxPooling2D(2, name=f"{name}.pool_{index}")(tensor)

            return apply

        return [stage(i, filters) for i, filters in enumerate(self.filters, start=1)]

    def finish(self, tensor: Any, name: str) -> Features:
        if self.pooling == "average":
            pooled = keras.layers.GlobalAveragePooling2D(name=f"{name}.average")(tensor)
        else:
            pooled = keras.layers.Flatten(name=f"{name}.flatten")(tensor)
        for stage in dense_stages(self.units, self.activation, self.dropout, name):
            pooled = stage(pooled)
        return Features(pooled=pooled, map=tensor)
