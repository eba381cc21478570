"""Reading by key for many callers at once: what idempotency keys were used for, who holds claims.

Each request asks before any work is done, and nearly all is new. What is asked in one turn of an event loop becomes
one question to the database: on the loop's own thread for SQLite, where a question costs less than a thread hop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

Value = TypeVar("Value")
_MOST = 4096
"""Keys of one question."""


class _Waiting(NamedTuple, Generic[Value]):
    keys: Sequence[bytes]
    future: asyncio.Future[Mapping[bytes, Value]]


class Lookups(Generic[Value]):
    """Gathers questions; `ask` gives the values of those keys that have one, `pool` is None to ask on the loop."""

    def __init__(self, ask: Callable[[Sequence[bytes]], Mapping[bytes, Value]], pool: Executor | None) -> None:
        self._ask = ask
        self._pool = pool
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Waiting[Value]]] = WeakKeyDictionary()

    def find(self, keys: Sequence[bytes]) -> asyncio.Future[Mapping[bytes, Value]]:
        """Look keys up; the answer may hold others' keys too. The future raises what the question raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Mapping[bytes, Value]] = loop.create_future()
        if not keys:
            future.set_result({})
            return future
        gate = self._gates.get(loop)
        if gate is None:
            gate = self._gates[loop] = []
        if not gate:
            loop.call_soon(self._depart, loop, gate)
        gate.append(_Waiting(keys, future))
        return future

    def _depart(self, loop: asyncio.AbstractEventLoop, gate: list[_Waiting[Value]]) -> None:
        waiting = gate.copy()
        gate.clear()
        group: list[_Waiting[Value]] = []
        wanted: dict[bytes, None] = {}
        for one in waiting:
            if one.future.done():  # its caller went away
                continue
            group.append(one)
            wanted.update(dict.fromkeys(one.keys))
            if len(wanted) >= _MOST:
                self._dispatch(loop, group, list(wanted))
                group, wanted = [], {}
        if group:
            self._dispatch(loop, group, list(wanted))

    def _dispatch(
        self, loop: asyncio.AbstractEventLoop, group: Sequence[_Waiting[Value]], keys: Sequence[bytes]
    ) -> None:
        if self._pool is not None:
            asked = loop.run_in_executor(self._pool, self._ask, keys)
            asked.add_done_callback(lambda done: _settle(group, done.exception() or done.result()))
            return
        try:
            found: Mapping[bytes, Value] | BaseException = self._ask(keys)
        except Exception as failure:  # each who asked is told
            found = failure
        _settle(group, found)


def _settle(group: Sequence[_Waiting[Value]], found: Mapping[bytes, Value] | BaseException) -> None:
    for one in group:
        if one.future.done():
            continue
        if isinstance(found, BaseException):
            one.future.set_exception(found)
        else:
            one.future.set_result(found)
