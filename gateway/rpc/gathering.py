"""Gathering: calls that come while others are served go on together.

What a call needs is mostly shared with those beside it: one statement to a source, one commit, one wake-up of a thread
cost the same for one call as for thirty. grpc.aio hands a server one new call in each turn of its loop, so a busy loop
would see calls one by one and pay all of it for each. Here they wait for the group before them; who comes to an idle
gateway waits for nothing.

A group that itself waits, for a source that answers slowly, is not waited for longer than a few milliseconds. While it
computes, whoever went on would only hinder it: that is told by the processor time of this process, until the first of
the group is done. The others are nearly done then, but for those whose source is slow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_MOST = 0.05
"""Seconds that a group is waited for, however busy it is."""


class Gathering:
    """Lets one group of calls go on at a time; no call waits for the group before it when that has been idle for
    `longest` seconds, under way for much longer, or when none of it was done for half as long after another was.
    `busy` gives the processor seconds of this process.
    """

    def __init__(self, *, longest: float, busy: Callable[[], float] = time.process_time) -> None:
        self._longest = longest
        self._busy = busy
        self._waiting: list[asyncio.Future[int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._newest = 0
        """The group that went on last; those before it are waited for no more."""
        self._inside = 0
        """How many of the newest group are not done."""
        self._began = float("-inf")
        self._used = 0.0
        """Processor seconds when it began."""
        self._ended: float | None = None
        """When the last call of it that is done was done."""

    async def enter(self) -> int:
        """Wait for the group before; returns the number to `leave` with."""
        loop = asyncio.get_running_loop()
        if not self._waiting and (not self._inside or self._left() <= 0):
            self._begin(1)
            return self._newest
        if not self._waiting:
            self._timer = loop.call_later(self._longest / 4, self._look)
        turn: asyncio.Future[int] = loop.create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was let on in the very turn in which it was given up
                self.leave(turn.result())
            raise

    def leave(self, group: int) -> None:
        """Say that a call is done."""
        if group == self._newest:
            self._inside -= 1
            self._ended = asyncio.get_running_loop().time()
            if not self._inside and self._waiting:
                self._release()

    def _left(self) -> float:
        """Say for how many seconds the newest group is still waited for, if nothing happens."""
        now = asyncio.get_running_loop().time()
        if self._ended is not None:
            return self._ended + self._longest / 2 - now
        passed = now - self._began
        idle = passed - (self._busy() - self._used)
        return min(self._longest - idle, max(_MOST, self._longest) - passed)

    def _look(self) -> None:
        left = self._left()
        if left <= 0:
            self._release()
        else:
            self._timer = asyncio.get_running_loop().call_later(min(left, self._longest / 4), self._look)

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        turns = [turn for turn in waiting if not turn.done()]
        self._begin(len(turns))
        for turn in turns:
            turn.set_result(self._newest)

    def _begin(self, calls: int) -> None:
        self._newest += 1
        self._inside = calls
        self._began = asyncio.get_running_loop().time()
        self._used = self._busy()
        self._ended = None
