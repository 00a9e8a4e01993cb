from typing import Any

import keras

from mtlzoo import _trainable
from mtlzoo._trainable import Choice
from mtlzoo.errors import OptionError
from mtlzoo.transfer._parts import chosen_places, trained_places, trunk_stages


class GradualUnfreeze(keras.callbacks.Callback):
    """Train the heads first, then the trunk too, one more stage at a time from the top.

    What is trained in an epoch follows from its number alone, so a training that goes
    on with `fit(initial_epoch=...)` goes on where it stopped. What was frozen outside
    of the trunk stays so.

    Args:
        start: the epochs during which the whole trunk is frozen.
        every: the epochs from one stage to the next.
        leave: what of the trunk is never trained, in the language of
            `mtlzoo.transfer`, such as `"batch_norm"`.

    Raises:
        OptionError: `start` is below 0, or `every` below 1.

    Example:

    ```python
    model.fit(data, epochs=8, callbacks=[transfer.GradualUnfreeze(start=2, every=2)])
    ```

    Reference: Jeremy Howard and Sebastian Ruder, *Universal Language Model Fine-tuning
    for Text Classification*, ACL 2018, <https://arxiv.org/abs/1801.06146>, section 3.3.
    """

    def __init__(
        self, *, start: int = 1, every: int = 1, leave: Choice = False
    ) -> None:
        super().__init__()
        if start < 0 or every < 1:
            raise OptionError(
                "`start` must be at least 0 and `every` at least 1 epoch. Received: "
                f"start={start}, every={every}."
            )
        self.start = start
        self.every = every
        self.leave = leave

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        stages = list(trunk_stages(self.model).values())
        trunk = {id(one.variable) for stage in stages for one in stage}
        chosen = [
            one for one in trained_places(self.model) if id(one.variable) not in trunk
        ]
        if epoch >= self.start:
            count = 1 + (epoch - self.start) // self.every
            chosen += [one for stage in stages[-count:] for one in stage]
        left = {id(one.variable) for one in chosen_places(self.model, self.leave)}
        _trainable.set_chosen(
            self.model, [one for one in chosen if id(one.variable) not in left]
        )
        # Keras runs what this makes; where nothing has changed, it makes nothing.
        self.model.make_train_function()
