"""Reads of the ledger by key that travel together: what is asked within one turn of the loop is one question.

A hop to the reading threads costs as much as the question itself. Many callers at once, such as the questions of one
batch, so cost little more than one; alone, nobody waits for company.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

Value = TypeVar("Value")
Fetch = Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, Value]]]
_MOST = 4096


class JoinedRead(Generic[Value]):
    """Looks values up by key; `fetch` gives those that exist, and its failure fails everybody who travelled with it."""

    def __init__(self, fetch: Fetch[Value]) -> None:
        self._fetch = fetch
        self._waiting: list[tuple[Sequence[bytes], asyncio.Future[Mapping[bytes, Value]]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, keys: Sequence[bytes]) -> Mapping[bytes, Value]:
        """Return the values of those keys that have one; the mapping may hold others' keys too.

        Raises:
            Exception: whatever the read raised.
        """
        if not keys:
            return {}
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Mapping[bytes, Value]] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._depart)
        self._waiting.append((keys, future))
        return await future

    def _depart(self) -> None:
        waiting, self._waiting = self._waiting, []
        group: list[asyncio.Future[Mapping[bytes, Value]]] = []
        wanted: dict[bytes, None] = {}
        for keys, future in waiting:
            if future.done():  # its caller went away
                continue
            group.append(future)
            wanted.update(dict.fromkeys(keys))
            if len(wanted) >= _MOST:
                self._start(group, wanted)
                group, wanted = [], {}
        if group:
            self._start(group, wanted)

    def _start(self, group: Sequence[asyncio.Future[Mapping[bytes, Value]]], wanted: Mapping[bytes, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._run(group, list(wanted)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, group: Sequence[asyncio.Future[Mapping[bytes, Value]]], keys: Sequence[bytes]) -> None:
        try:
            found = await self._fetch(keys)
        except Exception as failure:
            for future in group:
                if not future.done():
                    future.set_exception(failure)
            return
        for future in group:
            if not future.done():
                future.set_result(found)
