"""A bell that rings once, for all who wait to hear it."""

from __future__ import annotations

import asyncio


class Bell:
    """Rings once. Cheaper than `asyncio.wait` for a future: that costs three turns of the loop, this one."""

    __slots__ = ("_waiting", "has_rung")

    def __init__(self) -> None:
        self.has_rung = False
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Wake all who wait; those who come later wait for nothing."""
        self.has_rung = True
        for one in self._waiting:
            _wake(one)
        self._waiting.clear()

    async def heard(self, until: float) -> bool:
        """Wait for the bell until a loop time, and say whether it has rung."""
        if not self.has_rung:
            loop = asyncio.get_running_loop()
            waiting: asyncio.Future[None] = loop.create_future()
            self._waiting.append(waiting)
            timer = loop.call_at(until, _wake, waiting)
            try:
                await waiting
            finally:
                timer.cancel()
        return self.has_rung


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
