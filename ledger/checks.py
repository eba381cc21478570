"""Checks that cost processor time and need no interpreter, such as signatures: many a thread hop, on all cores.

A hop to another thread costs as much as a check. What waits is therefore handed over in small batches, to as many
threads as there are cores; a batch is cut when a thread can take it, so that alone a check waits for nothing. A
thread has a batch at hand beside the one it works on: who hands out batches is the loop, which may be at other work.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

_Result = TypeVar("_Result")
_Found = tuple[Any, BaseException | None]


class _Waiting(NamedTuple):
    check: Callable[[], Any]
    future: asyncio.Future[Any]


class Checks:
    """Runs checks for one event loop.

    `most` checks make a batch, and a thread has `at_hand` batches with the one it works on. Who goes on to do something
    that is shared by those who do it at the same time (reading, committing) wants `threads` and `at_hand` to be 1, and
    `most` to be large: then those who waited together also go on together.
    """

    def __init__(self, threads: int | None = None, *, at_hand: int = 2, most: int = 32) -> None:
        threads = threads or os.cpu_count() or 1
        self._places = threads * at_hand
        self._most = most
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ledger-check")
        self._queue: deque[_Waiting] = deque()
        self._running = 0
        self._scheduled = False

    def run(self, check: Callable[[], _Result]) -> asyncio.Future[_Result]:
        """Queue a check; the future is told what it returned, or raises what it raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._queue.append(_Waiting(check, future))
        if not self._scheduled and self._running < self._places:
            self._scheduled = True
            loop.call_soon(self._dispatch, loop)
        return future

    def close(self) -> None:
        """End the threads once they are idle."""
        self._pool.shutdown(wait=True)

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        while self._queue and self._running < self._places:
            # An equal share for each free place, so that two cores work on forty checks and not one on thirty-two.
            share = -(-len(self._queue) // (self._places - self._running))
            batch = [self._queue.popleft() for _ in range(min(share, self._most))]
            self._running += 1
            self._pool.submit(_work, batch).add_done_callback(
                lambda done, batch=batch: loop.call_soon_threadsafe(self._settle, loop, batch, done.result())  # type: ignore[misc]
            )

    def _settle(self, loop: asyncio.AbstractEventLoop, batch: Sequence[_Waiting], found: Sequence[_Found]) -> None:
        self._running -= 1
        for waiting, (result, failure) in zip(batch, found, strict=True):
            if waiting.future.done():  # its caller was cancelled meanwhile
                continue
            if failure is None:
                waiting.future.set_result(result)
            else:
                waiting.future.set_exception(failure)
        self._dispatch(loop)


def _work(batch: Sequence[_Waiting]) -> list[_Found]:
    found: list[_Found] = []
    for waiting in batch:
        if waiting.future.done():  # nobody waits for it any more
            found.append((None, None))
            continue
        try:
            found.append((waiting.check(), None))
        except Exception as failure:  # it is the caller's to judge, on the caller's side
            found.append((None, failure))
    return found
