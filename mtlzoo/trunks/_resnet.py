from typing import Any

import keras

from mtlzoo._registry import TRUNKS
from mtlzoo.errors import OptionError
from mtlzoo.trunks._base import Features, Sources, Stage, Trunk, encode_one


@TRUNKS.register(
    "resnet", takes="one image", gives="pooled, map", paper="He et al., CVPR 2016"
)
@keras.saving.register_keras_serializable("mtlzoo")
class ResNet(Trunk):
    """A residual network for small images, as in the paper's CIFAR-10 experiments.

    A 3x3 convolution, then three stages of `(depth - 2) / 6` basic blocks with `width`,
    `2 * width` and `4 * width` channels; the second and third halve height and width.

    Args:
        depth: the number of layers with weights on the longest path: 8, 14, 20, 32, ...
        width: channels of the first stage.

    Reference: Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun, *Deep Residual
    Learning for Image Recognition*, CVPR 2016, <https://arxiv.org/abs/1512.03385>,
    section 4.2.

    Differences from the paper: where the shape changes, the shortcut is a 1x1
    convolution (option B of the paper) instead of padding with zeros (option A). Batch
    normalisation, of which the paper gives no numbers, has those of fb.resnet.torch:
    averages move by 0.1 a step, and 1e-5 is added to variances.
    """

    def __init__(self, depth: int = 20, *, width: int = 16) -> None:
        self.depth = depth
        self.width = width
        if depth < 8 or (depth - 2) % 6:
            raise OptionError(
                "`depth` of the trunk 'resnet' must be 6n + 2: 8, 14, 20, 26, 32, ... "
                f"Received: depth={depth}."
            )

    def begin(self, sources: Sources, name: str) -> Any:
        image = encode_one(sources, "image", name, "resnet")
        return self._convolve(image, self.width, 1, f"{name}.stem")

    def stages(self, name: str) -> list[Stage]:
        def stage(index: int) -> Stage:
            def apply(tensor: Any) -> Any:
                for block in range(1, (self.depth - 2) // 6 + 1):
                    stride = 2 if index > 1 and block == 1 else 1
                    filters = self.width * 2 ** (index - 1)
                    prefix = f"{name}.stage_{index}.block_{block}"
                    tensor = self._block(tensor, filters, stride, prefix)
                return tensor

            return apply

        return [stage(index) for index in (1, 2, 3)]

    def finish(self, tensor: Any, name: str) -> Features:
        pooled = keras.layers.GlobalAveragePooling2D(name=f"{name}.average")(tensor)
        return Features(pooled=pooled, map=tensor)

    def _block(self, tensor: Any, filters: int, stride: int, name: str) -> Any:
        inside = self._convolve(tensor, filters, stride, f"{name}.first")
        inside = self._convolve(inside, filters, 1, f"{name}.second", activate=False)
        if stride != 1 or tensor.shape[-1] != filters:
            tensor = keras.layers.Conv2D(
                filters, 1, strides=stride, use_bias=False, name=f"{name}.shortcut"
            )(tensor)
        tensor = keras.layers.Add(name=f"{name}.add")([tensor, inside])
        return keras.layers.ReLU(name=f"{name}.relu")(tensor)

    @staticmethod
    def _convolve(
        tensor: Any, filters: int, stride: int, name: str, *, activate: bool = True
    ) -> Any:
        tensor = keras.layers.Conv2D(
            filters,
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}.conv",
        )(tensor)
        tensor = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name=f"{name}.norm"
        )(tensor)
        if not activate:
            return tensor
        return keras.layers.ReLU(name=f"{name}.relu")(tensor)
