from typing import Any, Self

import keras
from keras import ops

from mtlzoo.errors import OptionError


@keras.saving.register_keras_serializable("mtlzoo")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly at first, then is what it is to be.

    Step `t`, counted from 0, has `(t + 1) / steps` of the learning rate until that is
    all of it. Fine-tuning starts gently so, while the statistics of the optimizer and
    new heads settle.

    Args:
        learning_rate: what follows: a number, or a schedule, which counts its steps
            from the end of the warm-up.
        steps: the length of the warm-up, in batches.

    Raises:
        OptionError: `steps` is below 1.

    Example:

    ```python
    optimizer = keras.optimizers.Adam(transfer.WarmUp(1e-3, steps=200))
    ```
    """

    def __init__(self, learning_rate: Any, steps: int) -> None:
        if steps < 1:
            raise OptionError(f"`steps` must be at least 1. Received: steps={steps}.")
        self.learning_rate = learning_rate
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        after = ops.maximum(step - self.steps, 0.0)
        rate = self.learning_rate
        there = rate(after) if callable(rate) else rate
        return ops.minimum((step + 1.0) / self.steps, 1.0) * there

    def get_config(self) -> dict[str, Any]:
        rate = keras.saving.serialize_keras_object(self.learning_rate)
        return {"learning_rate": rate, "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        rate = keras.saving.deserialize_keras_object(config["learning_rate"])
        return cls(rate, config["steps"])


@keras.saving.register_keras_serializable("mtlzoo")
class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a number.

    Args:
        schedule: a schedule of learning rates.
        factor: what it is multiplied by.
    """

    def __init__(self, schedule: Any, factor: float) -> None:
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step: Any) -> Any:
        return self.factor * self.schedule(step)

    def get_config(self) -> dict[str, Any]:
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "factor": self.factor}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["factor"])
