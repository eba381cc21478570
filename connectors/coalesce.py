"""Join keys asked for while a statement is running into the next statement.

No timer: an idle source waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")
Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, V]]]


class Coalescer(Generic[V]):
    """Fetches values by key, many keys at a time.

    The keys asked for within one turn of the loop, or while all `lanes` are busy, travel together, at most `limit` in
    one fetch. `fetch` must answer every key it is given; its failure fails everybody who travelled with it.
    """

    def __init__(self, fetch: Fetch[V], *, limit: int = 100, lanes: int = 1) -> None:
        self._fetch = fetch
        self._limit = limit
        self._idle = lanes
        self._waiting: dict[str, list[asyncio.Future[V]]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._woken = False

    async def ask(self, keys: Sequence[str]) -> list[V]:
        """Fetch the value of each key, in the same order.

        Raises:
            Exception: whatever the fetch of one of the keys raised.
        """
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[V]] = []
        for key in keys:
            future: asyncio.Future[V] = loop.create_future()
            self._waiting.setdefault(key, []).append(future)
            futures.append(future)
        if not self._woken:
            self._woken = True
            loop.call_soon(self._start)
        try:
            if futures:
                await asyncio.wait(futures)
        finally:
            for future in futures:
                future.cancel()  # only of effect when the caller went away: nobody waits for these any more
        return [future.result() for future in futures]

    def _start(self) -> None:
        self._woken = False
        while self._idle and self._waiting:
            batch = {key: self._waiting.pop(key) for key in list(self._waiting)[: self._limit]}
            batch = {key: alive for key, waiters in batch.items() if (alive := [w for w in waiters if not w.done()])}
            if not batch:
                continue
            self._idle -= 1
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, batch: Mapping[str, list[asyncio.Future[V]]]) -> None:
        try:
            found = await self._fetch(list(batch))
            for key, waiters in batch.items():
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(found[key])
        except BaseException as error:
            for waiters in batch.values():
                for waiter in waiters:
                    if not waiter.done():
                        _fail(waiter, error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._idle += 1
            self._start()


def _fail(waiter: asyncio.Future[V], error: BaseException) -> None:
    if isinstance(error, Exception):
        waiter.set_exception(error)
        waiter.exception()  # marks it as seen: a waiter that went away must not be complained about
    else:
        waiter.cancel()
