"""Expire: a document whose time is over is recorded as expired by whoever comes upon it, before the next sweep."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from gateway.errors import TransitionNotAllowed
from gateway.flows.act import Act, onto, require_takes
from gateway.flows.once import Once
from ledger import RecordRow

_EXPIRED = "CommitmentExpired"


async def expire(act: Act, once: Once, row: RecordRow) -> None:
    """Record that the document of a record expired, unless it was signed, or that was recorded, at the same moment; or
    another was handed out in its place, whose time is not over."""

    async def judge(row: RecordRow, at: datetime) -> None:
        require_takes(row, _EXPIRED)
        if row.due_at is not None and row.due_at < at:
            await once.record(None, [onto(row, _EXPIRED)], at=at)

    with suppress(TransitionNotAllowed):
        await act.judged(row, judge)
