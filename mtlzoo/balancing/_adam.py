from typing import Any

import keras
from keras import ops


class Adam(keras.layers.Layer):
    """Adam for one small vector that a method trains by a gradient of its own.

    The optimizer of the model can't: its learning rate and decay are made for the
    weights of a network. The decay here is part of the gradient, as in the codes that
    the balancing papers come with.

    Reference:
        Diederik Kingma and Jimmy Ba, "Adam: A Method for Stochastic Optimization",
        ICLR 2015, <https://arxiv.org/abs/1412.6980>.
    """

    def __init__(self, learning_rate: float, weight_decay: float = 0.0) -> None:
        super().__init__(dtype="float32", autocast=False)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay

    def build(self, size: int) -> None:
        def state(name: str, shape: tuple[int, ...]) -> keras.Variable:
            return self.add_weight(
                name=name,
                shape=shape,
                initializer="zeros",
                trainable=False,
                aggregation="none",
            )

        self.first = state("first", (size,))
        self.second = state("second", (size,))
        self.steps = state("steps", (size,))

    def step(self, variable: keras.Variable, gradient: Any, known: Any = True) -> None:
        """Move `variable` against `gradient`, unless that isn't finite.

        Args:
            variable: of shape `(size,)`.
            gradient: tensor of the same shape.
            known: boolean tensor of the same shape: which entries have a gradient; the
                others stay as they are.
        """
        gradient = ops.cast(gradient, "float32") + self.weight_decay * variable
        gradient = ops.where(known, gradient, 0.0)
        moves = ops.logical_and(ops.all(ops.isfinite(gradient)), known)
        steps = self.steps + 1.0
        first = 0.9 * self.first + 0.1 * gradient
        second = 0.999 * self.second + 0.001 * gradient**2
        change = first / (1.0 - 0.9**steps)
        change = change / (ops.sqrt(second / (1.0 - 0.999**steps)) + 1e-8)
        updates = [
            (self.first, first),
            (self.second, second),
            (self.steps, steps),
            (variable, variable - self.learning_rate * change),
        ]
        for state, value in updates:
            state.assign(ops.where(moves, value, state))
