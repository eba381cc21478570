"""End what is due: records of a family that are due before a time are ended page by page, each on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial

from ledger import Ledger, RecordRow

PAGE = 256
"""Records ended at once: they travel to the ledger together and become one or few of its batches."""


async def end_due(
    ledger: Ledger,
    family: str,
    states: Sequence[str],
    end: Callable[[RecordRow], Awaitable[bool]],
    *,
    before: datetime,
    stopping: asyncio.Event,
    page: int,
) -> int:
    """End every record of a family in some states that is due before a time; give how many `end` says it ended.

    Stops early, between two pages, when the gateway is about to stop.
    """
    register = ledger.register()
    ended, after = 0, -1
    while not stopping.is_set():
        due = await ledger.read(
            partial(register.in_state, family, states, due_before=before, after_idx=after, limit=page)
        )
        if not due:
            break
        # All of them at once: the ledger takes what waits as one batch, and a refused one spoils no other.
        ended += sum(await asyncio.gather(*map(end, due)))
        after = due[-1].first_idx
    return ended
