import statistics
import time
from typing import Any

import keras


class StepTime(keras.callbacks.Callback):
    """Times the training steps, after a first epoch that traces and warms up.

    Attributes:
        seconds: the median of a step, or of the first epoch's last half of steps if
            there was but one epoch; 0 if that has no step but the first.

    Example:

    ```python
    timer = StepTime()
    model.fit(data, epochs=2, callbacks=[timer])
    timer.seconds
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self._first: list[float] = []
        self._later: list[float] = []
        self._epoch = 0
        self._start = 0.0

    @property
    def seconds(self) -> float:
        times = self._later or self._first[(len(self._first) + 1) // 2 :]
        return statistics.median(times) if times else 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch += 1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        times = self._first if self._epoch == 1 else self._later
        times.append(time.perf_counter() - self._start)
