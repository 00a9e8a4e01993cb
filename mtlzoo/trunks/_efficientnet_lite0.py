from typing import Any, NamedTuple

import keras

from mtlzoo._registry import TRUNKS
from mtlzoo.errors import OptionError
from mtlzoo.trunks._base import Features, Sources, Stage, Trunk, only_source


class Blocks(NamedTuple):
    """One row of the table that defines the network: blocks of the same width.

    Attributes:
        repeats: how many blocks; the first changes size and width.
        kernel: side of the depthwise convolution, in pixels.
        stride: of the first block.
        expand: how many times as wide a block is inside as its input.
        filters: channels that come out.
    """

    repeats: int
    kernel: int
    stride: int
    expand: int
    filters: int


STEM, TOP = 32, 1280
BLOCKS = (
    Blocks(1, 3, 1, 1, 16),
    Blocks(2, 3, 2, 6, 24),
    Blocks(2, 5, 2, 6, 40),
    Blocks(3, 3, 2, 6, 80),
    Blocks(3, 5, 1, 6, 112),
    Blocks(4, 5, 2, 6, 192),
    Blocks(1, 3, 1, 6, 320),
)


@TRUNKS.register(
    "efficientnet_lite0",
    takes="one image",
    gives="pooled, map",
    paper="Tan & Le, ICML 2019",
)
@keras.saving.register_keras_serializable("mtlzoo")
class EfficientNetLite0(Trunk):
    """EfficientNet-Lite0: 3.4 million weights, made for photos on small devices.

    Its stages are the rows of the paper's table 1: `stem`, `block_1` to `block_7`, and
    `top`, a 1x1 convolution to 1280 channels. The blocks of a row are `a`, `b`, ..., so
    a layer is named, say, `trunk.block_5.b.depthwise.conv`. Height and width are
    divided by 32; the weights were trained at 224x224 pixels, and other sizes work.

    The trunk takes raw pixels, 0 to 255, and scales them itself, by `(pixel - 127) /
    128`: the scale of the input's `Image` feature has no effect. Weights start at
    random; `trunks.Pretrained("efficientnet_lite0.imagenet")` brings those of ImageNet.

    Args:
        drop_connect: how often the last block is skipped in training, between 0 and 1;
            blocks before it are skipped in proportion to their depth (stochastic
            depth).

    Reference: Mingxing Tan, Quoc V. Le, *EfficientNet: Rethinking Model Scaling for
    Convolutional Neural Networks*, ICML 2019, <https://arxiv.org/abs/1905.11946>. The
    Lite variant, without squeeze-and-excitation and with relu6 for swish, is that of
    <https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>.
    """

    def __init__(self, *, drop_connect: float = 0.2) -> None:
        self.drop_connect = drop_connect
        if not 0 <= drop_connect < 1:
            raise OptionError(
                "`drop_connect` of the trunk 'efficientnet_lite0' must be at least 0 "
                f"and below 1. Received: drop_connect={drop_connect}."
            )

    def begin(self, sources: Sources, name: str) -> Any:
        pixels = only_source(sources, "image", "efficientnet_lite0").tensor
        return keras.layers.Rescaling(1 / 128, -127 / 128, name=f"{name}.rescale")(
            pixels
        )

    def stages(self, name: str) -> list[Stage]:
        def stem(tensor: Any) -> Any:
            return _convolve(tensor, STEM, 3, f"{name}.stem", stride=2)

        def stage(index: int) -> Stage:
            row = BLOCKS[index - 1]
            before = sum(one.repeats for one in BLOCKS[: index - 1])

            def apply(tensor: Any) -> Any:
                for block in range(row.repeats):
                    tensor = self._block(
                        tensor,
                        row if block == 0 else row._replace(stride=1),
                        before + block,
                        f"{name}.block_{index}.{'abcd'[block]}",
                    )
                return tensor

            return apply

        def top(tensor: Any) -> Any:
            return _convolve(tensor, TOP, 1, f"{name}.top")

        return [stem, *(stage(index) for index in range(1, len(BLOCKS) + 1)), top]

    def finish(self, tensor: Any, name: str) -> Features:
        pooled = keras.layers.GlobalAveragePooling2D(name=f"{name}.average")(tensor)
        return Features(pooled=pooled, map=tensor)

    def _block(self, tensor: Any, row: Blocks, depth: int, name: str) -> Any:
        """Apply an inverted residual block: expand, depthwise convolution, project."""
        width = tensor.shape[-1]
        inside = tensor
        if row.expand != 1:
            inside = _convolve(inside, width * row.expand, 1, f"{name}.expand")
        inside = keras.layers.DepthwiseConv2D(
            row.kernel,
            strides=row.stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=_initializer(),
            name=f"{name}.depthwise.conv",
        )(inside)
        inside = _normalise(inside, f"{name}.depthwise")
        inside = _convolve(inside, row.filters, 1, f"{name}.project", activate=False)
        if row.stride != 1 or width != row.filters:
            return inside
        rate = self.drop_connect * depth / sum(one.repeats for one in BLOCKS)
        if rate:
            inside = keras.layers.Dropout(
                rate, noise_shape=(None, 1, 1, 1), name=f"{name}.drop_connect"
            )(inside)
        return keras.layers.Add(name=f"{name}.add")([tensor, inside])


def _convolve(
    tensor: Any,
    filters: int,
    kernel: int,
    name: str,
    *,
    stride: int = 1,
    activate: bool = True,
) -> Any:
    tensor = keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=f"{name}.conv",
    )(tensor)
    return _normalise(tensor, name, activate=activate)


def _normalise(tensor: Any, name: str, *, activate: bool = True) -> Any:
    tensor = keras.layers.BatchNormalization(name=f"{name}.norm")(tensor)
    return keras.layers.ReLU(6.0, name=f"{name}.relu")(tensor) if activate else tensor


def _initializer() -> Any:
    """Return a new one: a shared initializer would draw the same numbers again."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
