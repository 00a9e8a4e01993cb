"""How far a download is, on a terminal; and its end, if it never ends."""

import contextlib
import sys
from typing import Any

from mtlzoo.errors import DownloadError

VISIBLE_FROM = 2**20
"""Bytes; a smaller file is there before anyone could read its bar."""


class Progress:
    """What pooch tells of a download.

    Args:
        url: of the file.
        size: that it should have, in bytes.
        chunk: the most bytes between two calls of `update`.
    """

    def __init__(self, url: str, size: int, chunk: int) -> None:
        self.total = size
        self._size = size
        self._chunk = chunk
        self._done = 0
        self._stack = contextlib.ExitStack()
        self._bar: Any = None
        if size >= VISIBLE_FROM and sys.stderr.isatty():
            self._bar = self._show("/".join(url.split("/")[-3:]), size)

    def update(self, steps: int) -> None:
        """Count `steps` more bytes.

        Raises:
            DownloadError: there are more than the file should have.
        """
        self._done += steps
        if self._done > self._size + self._chunk:
            self.close()
            raise DownloadError(
                f"longer than the published file, which has {self._size:,} bytes"
            )
        if self._bar is not None:
            self._bar(min(self._done, self._size))

    def reset(self) -> None:
        """Begin to count anew."""
        self._done = 0

    def close(self) -> None:
        """Take the bar away."""
        self._stack.close()
        self._bar = None

    def _show(self, name: str, size: int) -> Any:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress as Bar,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = self._stack.enter_context(
            Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
        )
        task = bar.add_task(name, total=size)
        return lambda done: bar.update(task, completed=done)
