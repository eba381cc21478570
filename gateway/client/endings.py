"""What a gateway ended a stream with, whatever grpc.aio makes of it.

A message that cannot be written any more, because its call is over, makes grpc.aio set the status INTERNAL by itself:
before it hears the gateway's status, or over it. It sets it in the task that writes, and tells of the first status that
a call gets, at once; so the gateway's is that one, or the next.
"""

from __future__ import annotations

import asyncio

from grpc import aio

_SOON = 0.01
"""Seconds after which a status is looked for again; it comes with the end of what is read, or a moment later."""


class Ending:
    """How a call ends that is written to in the task `writing` alone."""

    def __init__(self, call: aio.Call, writing: asyncio.Task[None]) -> None:
        self._call = call
        self._writing = writing
        self._first: aio.AioRpcError | None = None
        self._is_own = False
        call.add_done_callback(self._note)

    def _note(self, _call: object) -> None:
        if self._first is not None:
            return
        self._is_own = asyncio.current_task() is self._writing
        reading = _status(self._call)
        try:
            reading.send(None)  # a call that is over has all of it
        except StopIteration as read:
            self._first = read.value
        finally:
            reading.close()

    async def status(self, overdue: asyncio.Task[None]) -> aio.AioRpcError | None:
        """Return the gateway's status once everything is read, OK too; None if there is none, or not before `overdue`
        is."""
        while self._call.done() and not overdue.done():
            if self._first is not None and not self._is_own:
                return self._first
            found = await _status(self._call)
            if str(found) != str(self._first):
                return found
            await asyncio.sleep(_SOON)
        return None


async def _status(call: aio.Call) -> aio.AioRpcError:
    trailing = await call.trailing_metadata()
    return aio.AioRpcError(await call.code(), aio.Metadata(), trailing, details=await call.details())
