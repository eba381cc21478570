"""Finding what idempotency keys were used for, for many callers at once.

Each request asks before any work is done, and nearly all are new. What is asked in one turn of an event loop becomes
one question to the database: on the loop's own thread for SQLite, where a question costs less than a thread hop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from weakref import WeakKeyDictionary

from ledger.appends.values import Replay

Found = Mapping[bytes, Replay]
_Waiting = list[tuple[bytes, "asyncio.Future[Replay | None]"]]


class Lookups:
    """Gathers questions; `pool` is None to ask on the event loop's thread."""

    def __init__(self, ask: Callable[[Sequence[bytes]], Found], pool: Executor | None) -> None:
        self._ask = ask
        self._pool = pool
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, _Waiting] = WeakKeyDictionary()

    def find(self, key: bytes) -> asyncio.Future[Replay | None]:
        """Ask what a key was used for; the future is told None if it is new, or raises `LedgerUnavailable`."""
        loop = asyncio.get_running_loop()
        gate = self._gates.setdefault(loop, [])
        if not gate:
            loop.call_soon(self._dispatch, loop, gate)
        future: asyncio.Future[Replay | None] = loop.create_future()
        gate.append((key, future))
        return future

    def _dispatch(self, loop: asyncio.AbstractEventLoop, gate: _Waiting) -> None:
        waiting = gate.copy()
        gate.clear()
        keys = [key for key, _ in waiting]
        if self._pool is not None:
            asked = loop.run_in_executor(self._pool, self._ask, keys)
            asked.add_done_callback(lambda done: _settle(waiting, done.exception() or done.result()))
            return
        try:
            found: Found | BaseException = self._ask(keys)
        except Exception as failure:  # each who asked is told
            found = failure
        _settle(waiting, found)


def _settle(waiting: _Waiting, found: Found | BaseException) -> None:
    for key, future in waiting:
        if future.done():
            continue
        if isinstance(found, BaseException):
            future.set_exception(found)
        else:
            future.set_result(found.get(key))
