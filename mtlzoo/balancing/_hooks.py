from typing import Any

import keras


class EpochHooks(keras.callbacks.Callback):
    """Tells the balancing of a model when epochs begin and end; `fit` adds it."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.balancing.on_epoch_begin(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.balancing.on_epoch_end(epoch, logs or {})
