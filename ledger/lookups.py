"""Reading by key for many callers at once: what is asked in one turn of an event loop is one question.

A question to the database costs the same for one key as for thirty. On SQLite it is asked on the loop's own thread,
where it costs less than a thread hop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from ledger.errors import LedgerUnavailable

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
_MOST = 4096
"""Keys of one question."""


class _Waiting(NamedTuple, Generic[Key, Value]):
    keys: Sequence[Key]
    future: asyncio.Future[Mapping[Key, Value]]


class Lookups(Generic[Key, Value]):
    """Gathers questions; `ask` gives the values of those keys that have one, `pool` is None to ask on the loop.

    A key whose question fails spoils no other.
    """

    def __init__(self, ask: Callable[[Sequence[Key]], Mapping[Key, Value]], pool: Executor | None) -> None:
        self._ask = ask
        self._pool = pool
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Waiting[Key, Value]]] = WeakKeyDictionary()

    def find(self, keys: Sequence[Key]) -> asyncio.Future[Mapping[Key, Value]]:
        """Look keys up; the answer may hold others' keys too. The future raises what the question raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Mapping[Key, Value]] = loop.create_future()
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

    async def one(self, key: Key) -> Value | None:
        """Look one key up; None if it has no value."""
        return (await self.find((key,))).get(key)

    def _depart(self, loop: asyncio.AbstractEventLoop, gate: list[_Waiting[Key, Value]]) -> None:
        waiting = gate.copy()
        gate.clear()
        group: list[_Waiting[Key, Value]] = []
        wanted: dict[Key, None] = {}
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
        self, loop: asyncio.AbstractEventLoop, group: Sequence[_Waiting[Key, Value]], keys: Sequence[Key]
    ) -> None:
        if self._pool is not None:
            asked = loop.run_in_executor(self._pool, self._ask, keys)
            asked.add_done_callback(lambda done: self._answer(loop, group, done.exception() or done.result()))
            return
        try:
            found: Mapping[Key, Value] | BaseException = self._ask(keys)
        except Exception as failure:  # each who asked is told
            found = failure
        self._answer(loop, group, found)

    def _answer(
        self,
        loop: asyncio.AbstractEventLoop,
        group: Sequence[_Waiting[Key, Value]],
        found: Mapping[Key, Value] | BaseException,
    ) -> None:
        """Answer those who asked together; where what one asked for is at fault, each is asked for alone."""
        at_fault = isinstance(found, Exception) and not isinstance(found, LedgerUnavailable)
        if at_fault and len(group) > 1:
            for one in group:
                self._dispatch(loop, [one], one.keys)
            return
        for one in group:
            if one.future.done():
                continue
            if isinstance(found, BaseException):
                one.future.set_exception(found)
            else:
                one.future.set_result(found)
