from typing import Any

import keras

from mtlzoo._config import Configured
from mtlzoo.tasks import Task


@keras.saving.register_keras_serializable("mtlzoo")
class Tower(Configured):
    """Dense layers on the representation of one task, then its prediction.

    On a sequence or a map they work on each step or pixel. A map's logits are resized
    to the input image before the activation. All is computed in float32 under every
    precision policy.

    Args:
        units: the width of each hidden layer; `()` for a linear head.
        activation: of each hidden layer.
        dropout: the rate after each hidden layer.
    """

    def __init__(
        self,
        units: tuple[int, ...] = (64,),
        *,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        self.units = tuple(units)
        self.activation = activation
        self.dropout = dropout

    def connect(
        self, task: Task, representation: Any, size: tuple[int, int] | None = None
    ) -> Any:
        """Apply new layers and return the prediction of `task`.

        Args:
            task: what to predict.
            representation: the tensor that the task reads.
            size: height and width of the predictions of a task a pixel.
        """
        name = f"heads.{task.name}"
        tensor = representation
        for index, units in enumerate(self.units, start=1):
            tensor = keras.layers.Dense(
                units,
                activation=self.activation,
                dtype="float32",
                name=f"{name}.dense_{index}",
            )(tensor)
            if self.dropout:
                tensor = keras.layers.Dropout(
                    self.dropout, dtype="float32", name=f"{name}.dropout_{index}"
                )(tensor)
        tensor = keras.layers.Dense(task.units, dtype="float32", name=f"{name}.logits")(
            tensor
        )
        if task.reads == "map" and size and tuple(tensor.shape[1:3]) != tuple(size):
            tensor = keras.layers.Resizing(
                *size, interpolation="bilinear", dtype="float32", name=f"{name}.resize"
            )(tensor)
        return task.activate(tensor, name)
