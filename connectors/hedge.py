"""Ask a second time when the first takes long, take the first good answer, and stop the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")


async def hedged(
    ask: Callable[[], Coroutine[object, object, T]],
    *,
    after: float,
    may_ask_again: Callable[[], bool],
    is_good: Callable[[T], bool],
) -> T:
    """Give the first good answer of one call, or of two if the first is not there `after` so many seconds.

    A failure that comes before then is not hedged (it is for retries); one that comes after leaves the other call its
    chance. When neither is good, the first call's answer or failure counts. Both have ended on return.

    Raises:
        Exception: what the first call raised, when no call gave a good answer.
    """
    first = asyncio.create_task(ask())
    tasks = [first]
    try:
        done, _ = await asyncio.wait({first}, timeout=after)
        if not done and may_ask_again():
            tasks.append(asyncio.create_task(ask()))
            return await _first_good(tasks, is_good)
        return await first
    finally:
        for task in tasks:
            task.cancel()
        # Awaited even so: a call that goes on after its question ended would be nobody's.
        await asyncio.gather(*tasks, return_exceptions=True)


async def _first_good(tasks: list[asyncio.Task[T]], is_good: Callable[[T], bool]) -> T:
    pending: set[asyncio.Task[T]] = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled() and task.exception() is None and is_good(task.result()):
                return task.result()
    return tasks[0].result()
