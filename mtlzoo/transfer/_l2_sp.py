from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._around import train_around
from mtlzoo.transfer._parts import trained_places
from mtlzoo.transfer._regularize import Regularizer, check_strength


class L2SP(Regularizer):
    """Weight decay towards the pretrained weights instead of towards 0.

    Added to the loss is `strength / 2 * ||w - w0||^2 + head_strength / 2 * ||v||^2`:
    `w` are the trained weights of the trunk, `w0` what they are when `regularize` is
    called, and `v` all other trained weights, which are new.

    Args:
        strength: for the trunk; the paper's `alpha`. Values from 0.001 to 1 are tried.
        head_strength: for the rest; the paper's `beta`.

    Reference: Xuhong Li, Yves Grandvalet, Franck Davoine, *Explicit Inductive Bias for
    Transfer Learning with Convolutional Networks*, ICML 2018,
    <https://arxiv.org/abs/1802.01483>.
    """

    def __init__(self, strength: float = 0.1, *, head_strength: float = 0.01) -> None:
        self.strength = strength
        self.head_strength = head_strength
        check_strength("strength", strength)
        check_strength("head_strength", head_strength)

    def around(self, model: MultiTaskModel) -> MultiTaskModel:
        trunk = {
            one.path: one.variable
            for one in trained_places(model)
            if one.path.split("/")[0] == "trunk"
        }
        pull = StartingPoint(
            self.strength,
            self.head_strength,
            {path: list(variable.shape) for path, variable in trunk.items()},
        )
        for variable, start in zip(trunk.values(), pull.weights, strict=True):
            start.assign(variable)
        made = train_around(model, {}, name="l2_sp")
        made.penalties = (*made.penalties, pull)
        return made


@keras.saving.register_keras_serializable("mtlzoo")
class StartingPoint(keras.layers.Layer):
    """The penalty of `L2SP`. A layer, so that `w0` is saved and loaded with the model.

    Args:
        strength: for what has a starting point.
        head_strength: for the rest.
        shapes: those of the weights in the trunk, by path.
    """

    never_trained = True

    def __init__(
        self,
        strength: float,
        head_strength: float,
        shapes: Mapping[str, Sequence[int]],
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.strength = strength
        self.head_strength = head_strength
        self.shapes = dict(shapes)
        self.start = {
            path: self.add_weight(
                name=path.replace("/", "."), shape=tuple(shape), trainable=False
            )
            for path, shape in shapes.items()
        }
        self.built = True

    def __call__(self, model: Any) -> Any:
        """Return the penalty for the weights of `model`, a scalar."""
        total = ops.zeros(())
        for place in trained_places(model):
            if place.path in self.start:
                change = place.variable - self.start[place.path]
                total += self.strength / 2 * ops.sum(ops.square(change))
            else:
                total += self.head_strength / 2 * ops.sum(ops.square(place.variable))
        return total

    def get_config(self) -> dict[str, Any]:
        names = ("strength", "head_strength", "shapes")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
