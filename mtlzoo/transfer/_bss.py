from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._around import features_of, train_around
from mtlzoo.transfer._regularize import Loss, Regularizer, check_strength


class BSS(Regularizer):
    """Batch spectral shrinkage: features that hardly vary in the new data are let go.

    Added to the loss is `strength * sum_i s_i^2` over the `count` smallest singular
    values `s_i` of the features of a batch, a matrix of shape `(batch, width)`. What
    the trunk has learned and the new data has no use for is shrunk, which else does
    harm when labels are few.

    Args:
        strength: the paper's `eta`.
        count: how many singular values are shrunk; the paper's `k`.
        layers: names of layers whose outputs are taken, averaged over steps or pixels.
            `None` takes the features that the heads read, each that differs.

    Reference: Xinyang Chen, Sinan Wang, Bo Fu, Mingsheng Long, Jianmin Wang,
    *Catastrophic Forgetting Meets Negative Transfer: Batch Spectral Shrinkage for Safe
    Transfer Learning*, NeurIPS 2019, code at
    <https://github.com/thuml/Batch-Spectral-Shrinkage>.
    """

    def __init__(
        self,
        strength: float = 1e-3,
        *,
        count: int = 1,
        layers: Sequence[str] | None = None,
    ) -> None:
        self.strength = strength
        self.count = count
        self.layers = None if layers is None else list(layers)
        check_strength("strength", strength)
        if count < 1:
            raise OptionError(f"`count` must be at least 1. Received: count={count}.")

    def around(self, model: MultiTaskModel) -> MultiTaskModel:
        outputs: dict[str, Any] = {}
        for index, (task, features) in enumerate(features_of(model, self.layers)):
            layer = Shrinkage(
                strength=self.strength, count=self.count, name=f"bss.{index}"
            )
            outputs[task] = layer([outputs.get(task, model.output[task]), features])
        return train_around(model, outputs, name="bss")


@keras.saving.register_keras_serializable("mtlzoo")
class Shrinkage(Loss):
    """The loss of `BSS`.

    Args:
        strength: what it is multiplied by.
        count: how many singular values are shrunk.

    Input shape: a list: a prediction, and features of shape `(batch, width)`.

    Output shape: as the prediction.
    """

    def __init__(self, *, strength: float, count: int, **kwargs: Any) -> None:
        super().__init__(strength=strength, **kwargs)
        self.count = count

    def loss(self, tensors: list[Any]) -> Any:
        values = ops.svd(tensors[0], full_matrices=False, compute_uv=False)
        return ops.sum(ops.square(values[-self.count :]))  # they come largest first

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "count": self.count}
