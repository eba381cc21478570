"""Who waits until the log is published or witnessed up to some size."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from ledger.errors import LedgerError

_MOMENT = 1.0
"""Seconds after which whoever is patient is told that it takes a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many seconds somebody waits, and what is called, once, where it takes longer than a moment."""

    seconds: float
    told: Callable[[], None]


class _Waiter(NamedTuple):
    size: int
    future: asyncio.Future[None] | Future[None]
    loop: asyncio.AbstractEventLoop | None


class Milestone:
    """A size that grows, and those who wait for it; safe for several threads and event loops."""

    def __init__(self, reached: int = 0) -> None:
        self._reached = reached
        self._waiters: dict[int, _Waiter] = {}
        self._failure: LedgerError | None = None
        self._guard = threading.Lock()

    @property
    def reached(self) -> int:
        """The newest size that was told."""
        return self._reached

    def tell(self, size: int) -> None:
        """Note that the log has come to `size`, and wake whom that serves, with one call into each event loop."""
        with self._guard:
            if size <= self._reached:
                return
            self._reached = size
            served = {key: waiter for key, waiter in self._waiters.items() if waiter.size <= size}
            for key in served:
                del self._waiters[key]
        _wake(served.values(), None)

    def take_back(self, size: int) -> None:
        """Note that the log has come no further than `size`, as after a fail-over that lost what came last: whoever
        waits from now on is woken when it is told again.
        """
        with self._guard:
            self._reached = min(self._reached, size)

    def fail(self, failure: LedgerError) -> None:
        """Tell everybody who waits, now or later, that it will not come to that; what was told first is told on."""
        with self._guard:
            failure = self._failure = self._failure or failure
            left, self._waiters = self._waiters, {}
        _wake(left.values(), failure)

    async def wait(self, size: int) -> None:
        """Wait on an event loop until the log has come to `size`; raises what `fail` was told."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if self._enrol(_Waiter(size, future, loop)):
            try:
                await future
            finally:
                with self._guard:
                    self._waiters.pop(id(future), None)

    def wait_blocking(self, size: int, patience: Patience | None = None) -> None:
        """Block this thread until the log has come to `size`; raises what `fail` was told, or `TimeoutError`."""
        future: Future[None] = Future()
        if not self._enrol(_Waiter(size, future, None)):
            return
        try:
            _await(future, patience)
        finally:
            with self._guard:
                self._waiters.pop(id(future), None)

    def _enrol(self, waiter: _Waiter) -> bool:
        with self._guard:
            if waiter.size <= self._reached:
                return False
            if self._failure is not None:
                raise self._failure
            self._waiters[id(waiter.future)] = waiter
            return True


def _await(future: Future[None], patience: Patience | None) -> None:
    if patience is None:
        future.result()
        return
    moment = min(_MOMENT, patience.seconds)
    if not wait([future], moment).done:
        patience.told()
    future.result(patience.seconds - moment)


def _wake(waiters: Iterable[_Waiter], failure: LedgerError | None) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for waiter in waiters:
        if isinstance(waiter.future, Future):
            _settle([waiter.future], failure)
        elif waiter.loop is not None:
            by_loop.setdefault(waiter.loop, []).append(waiter.future)
    for loop, futures in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody is left to be told
            loop.call_soon_threadsafe(_settle, futures, failure)


def _settle(futures: Sequence[asyncio.Future[None] | Future[None]], failure: LedgerError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
