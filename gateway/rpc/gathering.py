"""Gathering: calls that come while others are served go on together.

What a call needs is mostly shared with those beside it: one statement to a source, one commit, one wake-up of a thread
cost the same for one call as for thirty. grpc.aio hands a server one new call in each turn of its loop, so a busy loop
would see calls one by one and pay all of it for each. Here they wait for the group before them, and no longer than a
few milliseconds; who comes to an idle gateway waits for nothing.
"""

from __future__ import annotations

import asyncio


class Gathering:
    """Lets one group of calls go on at a time; no call waits longer than `longest` seconds for the group before it."""

    def __init__(self, *, longest: float) -> None:
        self._longest = longest
        self._waiting: list[asyncio.Future[int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._newest = 0
        """The group that went on last; those before it are waited for no more."""
        self._inside = 0
        """How many of the newest group are not done."""
        self._began = float("-inf")

    async def enter(self) -> int:
        """Wait for the group before; returns the number to `leave` with."""
        loop = asyncio.get_running_loop()
        if not self._waiting and (not self._inside or loop.time() >= self._began + self._longest):
            self._begin(1)
            return self._newest
        if not self._waiting:
            self._timer = loop.call_later(self._longest, self._release)
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
            if not self._inside and self._waiting:
                self._release()

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
