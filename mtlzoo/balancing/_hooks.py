from typing import Any

import keras


def with_epoch_hooks(callbacks: Any) -> Any:
    """Return the callbacks of a `fit` with `EpochHooks` before the others.

    Before them, so that what they save at the end of an epoch is up to date.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.callbacks.insert(0, EpochHooks())
        callbacks.callbacks[0].set_model(callbacks.model)
        return callbacks
    if callbacks is not None and not isinstance(callbacks, list | tuple):
        callbacks = [callbacks]
    return [EpochHooks(), *(callbacks or [])]


class EpochHooks(keras.callbacks.Callback):
    """Tells the balancing of a model when epochs begin and end; `fit` adds it."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.model.balancing.observer is not None:  # of a `fit` that was interrupted
            from mtlzoo.balancing._observer import detach  # TensorFlow's alone

            detach(self.model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.balancing.on_epoch_begin(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.balancing.on_epoch_end(epoch, logs or {})
