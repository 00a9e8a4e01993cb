from collections.abc import Sequence
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import DataError
from mtlzoo.sharing._base import Sharing
from mtlzoo.sharing._features import Layers
from mtlzoo.sharing._readable import AttentionMask
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources

_NORM = {"momentum": 0.9, "epsilon": 1e-5}
"""Of batch normalisation: what PyTorch, and so the authors' code, has by default."""


@ARCHITECTURES.register(
    "mtan",
    paper="Liu et al., CVPR 2019",
    tasks="one or more, any kind",
    inputs="one image, over a trunk of stages that give maps: cnn, resnet",
    extra_losses="none",
    example="image",
)
@keras.saving.register_keras_serializable("mtlzoo")
class MTAN(Sharing):
    """One convolutional trunk, from which each task picks by attention at every stage.

    With `p_l` the map that stage `l` of the trunk gives, task `t` has the mask
    `a_{l,t} = sigmoid(BN(G relu(BN(H [p_l, f(a_{l-1,t} * p_{l-1})]))))` and goes on
    with `a_{l,t} * p_l`. `H` and `G` are 1x1 convolutions of the task's own; `f`,
    shared by the tasks, is a 3x3 convolution, batch normalisation (`BN`), relu and the
    pooling that brings the map to the size of `p_l`. The head reads the last masked
    map, or the trunk's pooling of it: multi-task attention network.

    Reference: Shikun Liu, Edward Johns, Andrew J. Davison, *End-to-End Multi-Task
    Learning with Attention*, CVPR 2019, <https://arxiv.org/abs/1803.10704>.

    Differences from the authors' code: `H` reads the output of the stage, where the
    paper has an earlier layer of it; dense tasks are predicted from the encoder's last
    map, resized, as the trunks have no decoder.
    """

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        maps = self._maps(sources, trunk)
        layers = Layers("sharing")
        representations = {}
        for task in tasks:
            masked = None
            for stage, tensor in enumerate(maps, start=1):
                read = tensor
                if masked is not None:
                    passed = self._pass_on(masked, tensor, stage, task.name, layers)
                    read = keras.layers.Concatenate(
                        name=f"sharing.merge_{stage}.{task.name}"
                    )([tensor, passed])
                mask = self._mask(read, tensor.shape[-1], f"stage_{stage}.{task.name}")
                masked = keras.layers.Multiply(
                    name=f"sharing.masked_{stage}.{task.name}"
                )([mask, tensor])
            features = trunk.finish(masked, f"trunk.{task.name}")
            representations[task.name] = features.read(task)
        return representations

    def _maps(self, sources: Sources, trunk: Trunk) -> list[Any]:
        """Return the output of each stage, each a map."""
        tensor = trunk.begin(sources, "trunk")
        maps = []
        for stage in trunk.stages("trunk"):
            tensor = stage(tensor)
            maps.append(tensor)
        if not maps or any(len(tensor.shape) != 4 for tensor in maps):
            raise DataError(
                "The architecture 'mtan' needs a trunk of stages that give maps, such "
                f"as 'cnn' or 'resnet' on an image. Received: {type(trunk).__name__}."
            )
        return maps

    def _mask(self, tensor: Any, channels: int, suffix: str) -> Any:
        for part, act in (("hidden", keras.layers.ReLU), ("mask", AttentionMask)):
            tensor = keras.layers.Conv2D(
                channels, 1, name=f"sharing.{part}_conv.{suffix}"
            )(tensor)
            tensor = keras.layers.BatchNormalization(
                **_NORM, name=f"sharing.{part}_norm.{suffix}"
            )(tensor)
            tensor = act(name=f"sharing.{part}.{suffix}")(tensor)
        return tensor

    def _pass_on(
        self, masked: Any, target: Any, stage: int, task: str, layers: Layers
    ) -> Any:
        """Return `f(masked)`, as high and wide as `target`."""
        tensor = layers(
            keras.layers.Conv2D,
            f"refine_{stage}_conv",
            target.shape[-1],
            3,
            padding="same",
        )(masked)
        tensor = layers(
            keras.layers.BatchNormalization, f"refine_{stage}_norm", **_NORM
        )(tensor)
        tensor = layers(keras.layers.ReLU, f"refine_{stage}")(tensor)
        size, wanted = tuple(tensor.shape[1:3]), tuple(target.shape[1:3])
        if size == wanted:
            return tensor
        # A stage that halves 15 pixels leaves 7 by pooling, 8 by a padded convolution.
        padding = "valid" if wanted == tuple(side // 2 for side in size) else "same"
        if padding == "same" and wanted != tuple(-(-side // 2) for side in size):
            return layers(keras.layers.Resizing, f"refine_{stage}_resize", *wanted)(
                tensor
            )
        return layers(
            keras.layers.MaxPooling2D, f"refine_{stage}_pool", 2, padding=padding
        )(tensor)
