"""Runs of the session, in threads, with requests that fit together made one batch."""

import asyncio
import concurrent.futures
import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtlzoo.serving._errors import Code, ServingError, invalid
from mtlzoo.serving._plans import Feeds
from mtlzoo.serving._servable import Servable

TINY = 50e-6
"""Seconds; to put a run together with others costs about as much."""

QUICK = 300e-6
"""Seconds; handing a run to another thread and back costs about as much."""

SHORT = 2e-3
"""Seconds that the next request may have to wait when nobody is waiting yet."""


class Runner:
    """Runs servables for an event loop: in threads, or at once what is that quick.

    With batching, a request that comes while its model is idle runs at once; those that
    come while it runs wait for it to end, and then run together. So nobody waits for a
    clock, and the busier the server, the larger its batches. Together go only requests
    for the same tensors of the same version, with rows of equal shape. When a batch
    fails, its requests run one by one, so that none pays for another's mistake. A run
    that is shorter than the work of putting it together with others goes by itself.

    Args:
        max_batch_size: rows that run together; 0 runs each request by itself.
    """

    def __init__(self, max_batch_size: int = 0) -> None:
        self._max_batch_size = max_batch_size
        self._threads = concurrent.futures.ThreadPoolExecutor(
            max(4, 2 * (os.cpu_count() or 1)), "mtlzoo-session"
        )
        self._queues: dict[Any, _Queue] = {}
        self._at_work = 0

    async def run(
        self, servable: Servable, feeds: Feeds, fetches: Sequence[str]
    ) -> list[Any]:
        """Return the tensors named `fetches`.

        Raises:
            ServingError: from TensorFlow, or because the tensors can't be batched.
        """
        self._at_work += 1
        try:
            if self._max_batch_size:
                return await self._run_in_batch(servable, feeds, fetches)
            # In the loop's next round it is known who else came in this one.
            await asyncio.sleep(0)
            if servable.expected(feeds, fetches) < self.limit:
                return servable.run(feeds, fetches, here=True)
            return await self.in_thread(servable.run, feeds, fetches)
        finally:
            self._at_work -= 1

    @property
    def limit(self) -> float:
        """Seconds of a run that the loop makes itself: more if nobody has to wait."""
        return SHORT if self._at_work == 1 else QUICK

    async def _run_in_batch(
        self, servable: Servable, feeds: Feeds, fetches: Sequence[str]
    ) -> list[Any]:
        rows = self._rows(feeds)
        if servable.expected(feeds, fetches) < TINY:
            outputs = servable.run(feeds, fetches, here=True)
            _check(outputs, rows)
            return outputs
        key = (
            id(servable),
            tuple((name, array.dtype, array.shape[1:]) for name, array in feeds),
            tuple(fetches),
        )
        queue = self._queues.get(key)
        if queue is None:
            queue = _Queue(self, servable, fetches, self._max_batch_size)
            self._queues[key] = queue
        try:
            return await queue.run(feeds, rows)
        finally:
            if queue.idle and self._queues.get(key) is queue:
                del self._queues[key]

    async def in_thread(self, function: Any, *args: Any) -> Any:
        """Call a function in one of the session's threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *args)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _rows(self, feeds: Feeds) -> int:
        if any(array.ndim == 0 for _, array in feeds):
            raise invalid(
                "Batching Run() input tensors must have at least one dimension"
            )
        sizes = {len(array) for _, array in feeds}
        if len(sizes) != 1:
            raise invalid(
                "Batching Run() input tensors must have equal 0th-dimension size"
            )
        (rows,) = sizes
        if rows > self._max_batch_size:
            raise invalid(
                f"Task size {rows} is larger than maximum input batch size "
                f"{self._max_batch_size}"
            )
        return rows


@dataclasses.dataclass(eq=False)
class _Request:
    feeds: Feeds
    rows: int
    done: asyncio.Future[list[Any]]


class _Queue:
    """Requests that can run together."""

    def __init__(
        self, runner: Runner, servable: Servable, fetches: Sequence[str], most: int
    ) -> None:
        self._runner = runner
        self._servable = servable
        self._fetches = fetches
        self._most = most
        self._waiting: list[_Request] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return self._task is None and not self._waiting

    async def run(self, feeds: Feeds, rows: int) -> list[Any]:
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(feeds, rows, done))
        if self._task is None:
            # It begins in the loop's next round: what came in the same round joins it.
            self._task = asyncio.create_task(self._work())
        return await done

    async def _work(self) -> None:
        while self._waiting:
            batch = self._take()
            if batch:
                await self._answer(batch)
        self._task = None

    def _take(self) -> list[_Request]:
        batch: list[_Request] = []
        rows = 0
        while self._waiting:
            request = self._waiting[0]
            if not request.done.cancelled():
                if batch and rows + request.rows > self._most:
                    break
                rows += request.rows
                batch.append(request)
            self._waiting.pop(0)
        return batch

    async def _answer(self, batch: list[_Request]) -> None:
        try:
            expected = self._servable.expected(batch[0].feeds, self._fetches)
            if expected < self._runner.limit:
                answers = self._run(batch, here=True)
            else:
                answers = await self._runner.in_thread(self._run, batch)
        except Exception as error:
            if len(batch) == 1:
                _finish(batch[0].done, error=error)
                return
            for request in batch:
                await self._answer([request])
            return
        for request, answer in zip(batch, answers, strict=True):
            _finish(request.done, answer)

    def _run(self, batch: list[_Request], here: bool = False) -> list[list[Any]]:
        feeds = batch[0].feeds
        if len(batch) > 1:
            feeds = [
                (name, np.concatenate([one.feeds[index][1] for one in batch]))
                for index, (name, _) in enumerate(feeds)
            ]
        outputs = self._servable.run(feeds, self._fetches, here=here)
        _check(outputs, sum(request.rows for request in batch))
        ends = np.cumsum([request.rows for request in batch])[:-1]
        columns = [np.split(output, ends) for output in outputs]
        return [list(row) for row in zip(*columns, strict=True)]


def _check(outputs: Sequence[Any], rows: int) -> None:
    """Refuse outputs that can't be told apart by the rows they are for."""
    for output in outputs:
        if output.ndim == 0:
            raise ServingError(
                Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions"
            )
        if len(output) != rows:
            raise ServingError(
                Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of "
                "the 0th dimension sizes of the input tensors",
            )


def _finish(
    done: asyncio.Future[list[Any]],
    answer: list[Any] | None = None,
    error: Exception | None = None,
) -> None:
    if done.cancelled():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(answer or [])
