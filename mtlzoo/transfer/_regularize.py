from abc import ABC, abstractmethod
from typing import Any

import keras

from mtlzoo._config import Configured
from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel


class Regularizer(Configured, ABC):
    """What keeps fine-tuning from forgetting what was pretrained.

    A method writes `around`.
    """

    @abstractmethod
    def around(self, model: MultiTaskModel) -> MultiTaskModel:
        """Return a model of the same layers whose loss has what the method adds."""


class Loss(keras.layers.Layer):
    """A layer that adds a loss while the model trains; the prediction passes unchanged.

    Args:
        strength: what the loss is multiplied by.

    Input shape: a list: a prediction, then what the loss is made from.

    Output shape: as the prediction.
    """

    def __init__(self, *, strength: float, **kwargs: Any) -> None:
        # Predictions are float32 under every policy, and distances need it.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.strength = strength

    def call(self, inputs: Any, training: bool = False) -> Any:
        prediction, *rest = inputs
        if training:
            self.add_loss(self.strength * self.loss(rest))
        return prediction

    @abstractmethod
    def loss(self, tensors: list[Any]) -> Any:
        """Return a scalar."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "strength": self.strength}


def regularize(model: MultiTaskModel, *methods: Regularizer) -> MultiTaskModel:
    """Return a model to fine-tune, which stays near what `model` is now.

    It has the layers of `model` and more in its loss. What it learns, `model` has
    learned, which stays as it is otherwise: save, export and serve that one.

    Args:
        model: what starts from pretrained weights. These are what it stays near.
        *methods: `L2SP`, `DELTA`, `BSS`, one or several.

    Raises:
        OptionError: none of `methods`, or one is none.

    Example:

    ```python
    tuned = transfer.regularize(model, transfer.L2SP(0.1), transfer.BSS())
    tuned.fit(few_rows, epochs=20)
    model.save("model.keras")
    ```
    """
    if not methods or not all(isinstance(one, Regularizer) for one in methods):
        raise OptionError(
            "`regularize` takes a model and methods such as transfer.L2SP(0.1). "
            f"Received: {', '.join(map(repr, methods)) or 'no method'}."
        )
    for method in methods:
        model = method.around(model)
    return model


def check_strength(name: str, value: float) -> None:
    """Refuse a strength below 0."""
    if value < 0:
        raise OptionError(f"`{name}` must be at least 0. Received: {name}={value}.")
