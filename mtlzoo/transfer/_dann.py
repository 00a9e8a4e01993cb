import math
from typing import Any

import keras
from keras import ops

from mtlzoo.errors import OptionError
from mtlzoo.sharing._shared_private import reverse_gradient
from mtlzoo.transfer._adapt import Alignment


@keras.saving.register_keras_serializable("mtlzoo")
class DANN(Alignment):
    """An adversary that tells the domains apart, and features that don't let it.

    A small network learns from the features which domain a row is from; its gradient
    reaches the features reversed, multiplied by `-strength`. The strength grows while
    training, as in the paper: `2 / (1 + exp(-10 p)) - 1`, where `p` goes from 0 to 1 in
    `steps` training steps. So the adversary learns first, and its noise at the start
    does no harm.

    Args:
        steps: in how many training steps the strength grows from 0 to 1, such as
            `epochs * stream.steps_per_epoch`; `None` for 1 from the start.
        weight: of the adversary's loss, a cross-entropy. Where the loss of the tasks
            rises with it, it is too large.
        units: the width of each of the adversary's hidden layers.

    Reference: Yaroslav Ganin et al., *Domain-Adversarial Training of Neural Networks*,
    JMLR 2016, <https://arxiv.org/abs/1505.07818>.

    Differences from the paper: the adversary sees each row of features scaled to one
    length, else features can escape it by growing without bound; and its loss weighs
    0.1 by default, where the paper has 1 and another optimizer.
    """

    def __init__(
        self,
        *,
        steps: int | None = None,
        weight: float = 0.1,
        units: tuple[int, ...] = (64,),
        **kwargs: Any,
    ) -> None:
        super().__init__(weight=weight, **kwargs)
        self.steps = steps
        self.units = tuple(units)
        if steps is not None and steps < 1:
            raise OptionError(f"`steps` must be at least 1. Received: steps={steps}.")
        self._adversary = [
            *(keras.layers.Dense(width, activation="relu") for width in self.units),
            keras.layers.Dense(1),
        ]

    def build(self, input_shape: Any) -> None:
        shape = input_shape[1]
        for layer in self._adversary:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.step = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="step"
        )
        self.built = True

    @property
    def strength(self) -> Any:
        """By what the reversed gradient is multiplied now, a scalar."""
        if self.steps is None:
            return ops.ones(())
        progress = ops.minimum(self.step / self.steps, 1.0)
        return 2.0 / (1.0 + ops.exp(-10.0 * progress)) - 1.0

    def distance(self, features: Any, target: Any, training: bool) -> Any:
        length = math.sqrt(features.shape[-1])
        logits = length * ops.normalize(features, axis=-1)
        logits = reverse_gradient(logits, self.strength)
        for layer in self._adversary:
            logits = layer(logits)
        if training and self.steps is not None:
            self.step.assign_add(1.0)
        labels = ops.expand_dims(target, -1)
        losses = ops.binary_crossentropy(labels, logits, from_logits=True)
        return ops.mean(losses)

    def get_config(self) -> dict[str, Any]:
        config = {"steps": self.steps, "units": self.units}
        return {**super().get_config(), **config}
