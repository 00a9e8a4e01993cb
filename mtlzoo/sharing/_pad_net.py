from collections.abc import Sequence
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._base import Sharing
from mtlzoo.sharing._experts import check_at_least
from mtlzoo.sharing._labels import check_one_kind
from mtlzoo.sharing._readable import AttentionMask
from mtlzoo.sharing._supervision import DeepSupervision
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@ARCHITECTURES.register(
    "pad_net",
    paper="Xu et al., CVPR 2018",
    tasks="two or more that read one kind of features",
    inputs="any",
    extra_losses="of each task's first prediction",
)
@keras.saving.register_keras_serializable("mtlzoo")
class PADNet(Sharing):
    """Each task predicts twice: the second time it has seen what the others found.

    With the features `x` of one trunk, `F_t = relu(W_t x + b_t)`. A linear prediction
    from `F_t` has the task's loss, times `first_weight`, so that `F_t` holds what the
    task is about. The head of task `t` reads
    `F_t + sum_{a != t} sigmoid(G_{t,a} F_a) * (M_{t,a} F_a)`: the features of the other
    tasks, each mapped by `M_{t,a}` and masked by a learned attention (the paper's
    distillation module C). On maps `W`, `G` and `M` are 3x3 convolutions; on vectors
    and sequences they are matrices.

    Args:
        units: the width of each `F_t`.
        first_weight: of the losses of the first predictions.
        activation: in place of the relu.

    Reference: Dan Xu, Wanli Ouyang, Xiaogang Wang, Nicu Sebe, *PAD-Net: Multi-Tasks
    Guided Prediction-and-Distillation Network for Simultaneous Depth Estimation and
    Scene Parsing*, CVPR 2018, <https://arxiv.org/abs/1805.04409>.

    Differences from the paper: all of the first predictions' tasks are predicted again
    in the end; the attention is computed from the features that it masks.
    """

    min_tasks = 2

    def __init__(
        self,
        units: int = 64,
        *,
        first_weight: float = 1.0,
        activation: str = "relu",
    ) -> None:
        self.units = units
        self.first_weight = first_weight
        self.activation = activation
        check_at_least(1, "pad_net", units=units)

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        check_one_kind(tasks, "pad_net")
        features = trunk.connect(sources).read(tasks[0])
        images = [one for one in sources.values() if one.feature.form == "image"]
        size = images[0].feature.input_shape[:2] if len(images) == 1 else None
        first = {
            task.name: self._first(
                task, features, size if task.reads == "map" else None
            )
            for task in tasks
        }
        return {
            task: keras.layers.Add(name=f"sharing.distill.{task}")(
                [
                    own,
                    *(
                        self._message(task, other, first)
                        for other in first
                        if other != task
                    ),
                ]
            )
            for task, own in first.items()
        }

    def _first(self, task: Task, features: Any, size: Any) -> Any:
        """Return the features of a task, with the loss of what they predict."""
        name = f"sharing.first.{task.name}"
        own = self._map(features, name, activation=self.activation)
        logits = keras.layers.Dense(task.units, dtype="float32", name=f"{name}.logits")(
            own
        )
        if size and tuple(logits.shape[1:3]) != tuple(size):
            logits = keras.layers.Resizing(
                *size, interpolation="bilinear", dtype="float32", name=f"{name}.resize"
            )(logits)
        return DeepSupervision(task, weight=self.first_weight, name=f"{name}.loss")(
            [own, task.activate(logits, name)]
        )

    def _message(self, task: str, other: str, first: dict[str, Any]) -> Any:
        suffix = f".{other}.{task}"
        logits = self._map(first[other], f"sharing.attention{suffix}", use_bias=False)
        mask = AttentionMask(name=f"sharing.mask{suffix}")(logits)
        value = self._map(first[other], f"sharing.message{suffix}", use_bias=False)
        return keras.layers.Multiply(name=f"sharing.masked{suffix}")([mask, value])

    def _map(self, tensor: Any, name: str, **options: Any) -> Any:
        if len(tensor.shape) == 4:
            return keras.layers.Conv2D(
                self.units, 3, padding="same", name=name, **options
            )(tensor)
        return keras.layers.Dense(self.units, name=name, **options)(tensor)
