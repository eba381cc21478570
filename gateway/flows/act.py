"""Act: an act upon a record is judged on the very state that it is appended to.

Between reading a record and appending to it, others may act upon it: what was judged then is not what the entry
follows. So each draft names the newest entry that was read (`onto`), the ledger refuses it where another came since,
and the record is read and judged again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar

from gateway.errors import ClockBehind, StepRefused, TransitionNotAllowed
from gateway.flows.look_up import LookUp
from gateway.flows.once import Once, Recorded, Request
from ledger import Draft, LedgerUnavailable, RecordChanged, RecordRow, TransitionRefused
from ledger.canonical import Json
from ledger.records.lifecycle import state_after

_TRIES = 16
_NOTHING: Mapping[str, Json] = {}
_Done = TypeVar("_Done")
Judge = Callable[[RecordRow, datetime], Awaitable[_Done]]
"""Judges an act on a record as it is at a time, and appends it `onto` that."""


def onto(
    row: RecordRow, kind: str, groups: Mapping[str, Json] = _NOTHING, *, facts: Mapping[str, Json] = _NOTHING
) -> Draft:
    """Draft an entry that follows a record as it was read, and nothing else."""
    return Draft(kind=kind, record=row.record, groups=groups, facts=facts, expect_newest=row.last_idx)


def require_takes(row: RecordRow, kind: str) -> None:
    """Require that a record's life takes an entry of a kind now, before anything else is asked about the act.

    Raises:
        TransitionNotAllowed: it does not.
    """
    try:
        state_after(row.record, row.state, kind)
    except TransitionRefused as error:
        raise TransitionNotAllowed(kind, row.state) from error


def require_after(row: RecordRow, at: datetime) -> None:
    """Require that a time is not before the newest entry of a record: nothing is signed before its notice.

    Raises:
        ClockBehind: it is; a wrong time is not recorded, not even of a refusal.
    """
    if at < row.changed_at:
        raise ClockBehind


class Act:
    """Has acts judged and appended, again where a record went on in between."""

    def __init__(self, *, once: Once, look_up: LookUp, now: Callable[[], datetime]) -> None:
        self._once = once
        self._look_up = look_up
        self._now = now

    async def __call__(self, request: Request, row: RecordRow, judge: Judge[Recorded]) -> Recorded:
        """Act upon a record that was read, as a request asks which was new then, and once only (`Once.done_or`).

        Raises:
            StepRefused: what `judge` refuses.
            ClockBehind: the clock is before the newest entry of the record; nothing is recorded.
            ledger.LedgerUnavailable: others acted upon the record all the time.
        """
        try:
            return await self.judged(row, judge)
        except StepRefused as refusal:
            return await self._once.done_or(request, refusal)

    async def judged(self, row: RecordRow, judge: Judge[_Done]) -> _Done:
        """Act upon a record that was read, of our own accord; raises as `__call__` does."""
        for _ in range(_TRIES):
            at = self._now()
            require_after(row, at)
            try:
                return await judge(row, at)
            except RecordChanged:
                row = await self._look_up.any(row.family, row.record)
        raise LedgerUnavailable("others acted upon the record all the time")
