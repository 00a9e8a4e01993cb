from typing import Any

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress as Bars,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

AROUND = 34
"""How wide a line is at least without label and losses, in characters."""


class Progress(keras.callbacks.Callback):
    """One bar for the whole of `fit`, with the epoch and the latest losses beside it.

    It writes to standard error, and leaves one line behind when the training ends.
    Where that isn't a terminal, this line is all it writes. A terminal that is too
    narrow for the losses beside the label doesn't show them. Pass `verbose=0` to `fit`,
    since the bars of Keras go to standard output.

    Args:
        label: what is trained, to begin the line with.

    Example:

    ```python
    model.fit(data, epochs=10, verbose=0, callbacks=[Progress("mmoe")])
    ```
    """

    def __init__(self, label: str = "training") -> None:
        super().__init__()
        self.label = label
        self._bars: Bars | None = None
        self._room = 0

    def on_train_begin(self, logs: Any = None) -> None:
        console = Console(stderr=True)
        if not console.is_terminal:
            console.width = 200  # nothing is cut off there
        self._room = console.width - len(self.label) - AROUND
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            TextColumn("{task.fields[losses]}", markup=False),
            # Where it is narrow, the bar alone gives way.
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            console=console,
        )
        epochs, steps = self.params["epochs"], self.params["steps"]
        self._bar = self._bars.add_task(
            self.label,
            # Keras learns in the first epoch how long a generator is.
            total=epochs * steps if steps else None,
            epoch=1,
            epochs=epochs,
            losses="",
        )
        self._bars.start()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._bars is not None:
            self._bars.update(self._bar, epoch=epoch + 1)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._bars is not None:
            self._bars.advance(self._bar)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        shown = [
            f"{name} {logs[name]:.4f}" for name in ("loss", "val_loss") if name in logs
        ]
        while shown and len("  ".join(shown)) > self._room:
            shown.pop()
        if self._bars is not None:
            self._bars.update(self._bar, losses="  ".join(shown))

    def on_train_end(self, logs: Any = None) -> None:
        self.close()

    def close(self) -> None:
        """Stop drawing; `fit` does so itself unless it is interrupted."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
