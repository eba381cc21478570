"""Wait until what is recorded is published: there is no receipt of it before.

A ledger that signs with each commit has published whatever can be read. One that signs at an interval, or waits for
witnesses or a standby server first, is waited for here, for as long as the call that reads has time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import TypeVar

from gateway.errors import NotYetPublished
from ledger import EntryUnpublished, Ledger, StoreError

Answer = TypeVar("Answer")
_LONGEST = 10.0
"""Seconds that a call without an end of its own waits, such as a stream, which can be resumed."""
_KEPT = 0.5
"""Seconds, at most, that are kept for saying that it was in vain: after its deadline nobody hears a call."""
_GIVEN_UP: ContextVar[float | None] = ContextVar("given_up", default=None)
"""When (loop time) the current call is told that it waits in vain. Each call is served in a context of its own."""


def answer_by(deadline: float) -> None:
    """Say by when (loop time) the current call must be answered."""
    left = deadline - asyncio.get_running_loop().time()
    _GIVEN_UP.set(deadline - min(_KEPT, max(0.0, left) / 2))


def end_in(seconds: float | None) -> None:
    """Say how long the current call, a stream, may last; one that may last long waits as one without an end does."""
    if seconds is not None and seconds < _LONGEST:
        answer_by(asyncio.get_running_loop().time() + seconds)


async def require_publication(ledger: Ledger, size: int) -> None:
    """Wait until the first `size` entries are published, before something is recorded that must be proved at once.

    Raises:
        NotYetPublished: they are not in the time that the call has.
    """
    if ledger.publishes_later:
        await once_published(ledger, size, _nothing)


async def _nothing() -> None:
    """Read nothing."""


async def when_published(ledger: Ledger, read: Callable[[], Awaitable[Answer]]) -> Answer:
    """Read what holds receipts, again once the entries that it proves are published.

    Raises:
        NotYetPublished: they are not in the time that the call has.
    """
    try:
        return await read()
    except EntryUnpublished as missing:
        return await once_published(ledger, missing.size, read)


async def once_published(
    ledger: Ledger, size: int, read: Callable[[], Awaitable[Answer]], *, ends_by_itself: bool = False
) -> Answer:
    """Read what holds receipts once a published checkpoint covers the first `size` entries; again if more is missing.

    What was published may be lost in a fail-over: then it is waited for anew. `ends_by_itself` says that who calls ends
    the waiting in time.

    Raises:
        NotYetPublished: none does in the time that the call has.
    """
    given_up = _GIVEN_UP.get()
    if given_up is None:
        given_up = asyncio.get_running_loop().time() + _LONGEST
    try:
        async with asyncio.timeout_at(None if ends_by_itself else given_up):
            while True:
                await ledger.published(size)
                try:
                    return await read()
                except EntryUnpublished as missing:
                    if missing.size <= size:
                        await ledger.read(partial(ledger.take_back, missing.size))
                    size = missing.size
    except (TimeoutError, StoreError) as error:  # without a publisher, only the next append can bring it
        raise NotYetPublished from error
