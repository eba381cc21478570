"""Keep one slow source from holding everybody: so many calls at once, so many waiting, no more."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Full(Exception):
    """As many calls wait as may wait."""


class Bulkhead:
    """Lets `concurrency` calls in at once; `queue` more may wait.

    Raises:
        Full: on entering, when the queue is full.
    """

    def __init__(self, *, concurrency: int, queue: int) -> None:
        self._places = asyncio.Semaphore(concurrency)
        self._queue = queue
        self._waiting = 0

    async def __aenter__(self) -> None:
        if self._places.locked() and self._waiting >= self._queue:
            raise Full
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.release()
