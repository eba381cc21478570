"""Verifying on a thread, everything that waits together: the loop goes on, and one crossing serves many calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_Waiting = tuple[Callable[[], Any], "asyncio.Future[Any]"]
_Done = tuple[Any, BaseException | None]


class Batches:
    """Runs what was asked while the last batch ran as the next batch; no timer, no fixed size."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._running = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="signatures")

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run one piece of work in the next batch and return what it returns, or raise what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._waiting.append((work, future))
        if not self._running:
            self._start(loop)
        return await future

    def close(self) -> None:
        """End the thread once what it runs is done."""
        self._thread.shutdown(wait=True)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = [one for one in self._waiting if not one[1].done()], []
        self._running = bool(batch)
        if batch:
            running = loop.run_in_executor(self._thread, _do, [work for work, _ in batch])
            running.add_done_callback(lambda done: self._finish(loop, batch, done.result()))

    def _finish(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting], results: list[_Done]) -> None:
        for (_, future), (result, error) in zip(batch, results, strict=True):
            if future.done():  # the call was cancelled meanwhile
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        self._start(loop)


def _do(batch: list[Callable[[], Any]]) -> list[_Done]:
    done: list[_Done] = []
    for work in batch:
        try:
            done.append((work(), None))
        except Exception as error:  # it belongs to the one call that asked, not to the batch
            done.append((None, error))
    return done
