"""Withdraw: take a commitment back within its window; and the milestones of a case that end the window early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gateway.catalogue.book import Book
from gateway.catalogue.model import Withdrawal
from gateway.errors import MilestoneIrrelevant, RecordNotFound, WithdrawalClosed
from gateway.flows.act import Act, onto, require_takes
from gateway.flows.commitments.documents import (
    UNDECIDED,
    WITHDRAWAL,
    prepared_groups,
    require_in_time,
    window_told,
)
from gateway.flows.commitments.refusals import Refusals
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.rules.clocks import legal_day
from gateway.rules.withdrawal import Milestone, Window, closing_milestone, is_window_closed
from ledger import RecordRow
from ledger.canonical import Json

_PASSED = "MilestonePassed"
_WITHDRAWN = "CommitmentWithdrawn"


class Withdraw:
    """Takes commitments back."""

    def __init__(
        self, *, book: Book, once: Once, look_up: LookUp, refusals: Refusals, now: Callable[[], datetime]
    ) -> None:
        self._book = book
        self._once = once
        self._look_up = look_up
        self._refusals = refusals
        self._act = Act(once=once, look_up=look_up, now=now)

    async def withdraw(self, request: Request, record: bytes, reason: str) -> Recorded:
        """Take a commitment back; it is no misconduct, nothing is deleted, and what it does to later ones is kept.

        Raises:
            RecordNotFound: no such commitment of the caller's unit.
            WithdrawalClosed: the window of the item is over.
            TransitionNotAllowed: the case was decided, a finding is open, or it is withdrawn already.
            All of them are recorded as refused.
            ClockBehind: the clock is before what was recorded last; nothing is recorded.
        """
        if replayed := await self._once.replay(request):
            return replayed
        row = await self._refusals.own(request, "commitment", record)
        async with self._refusals.of(request, row):
            return await self._act(request, row, lambda row, at: self._withdraw(request, row, at, reason))

    async def pass_milestone(self, request: Request, record: bytes, milestone: Milestone) -> Recorded:
        """Record that a case passed a milestone: from then on the commitment binds.

        Raises:
            RecordNotFound: no such commitment of the caller's unit.
            MilestoneIrrelevant: the item's window does not end with it.
            TransitionNotAllowed: it binds already, was withdrawn, or the case was decided.
            All of them are recorded as refused.
            ClockBehind: the clock is before what was recorded last; nothing is recorded.
        """
        if replayed := await self._once.replay(request):
            return replayed
        row = await self._refusals.own(request, "commitment", record)
        async with self._refusals.of(request, row):
            return await self._act(request, row, lambda row, at: self._pass(request, row, at, milestone))

    async def _withdraw(self, request: Request, row: RecordRow, at: datetime, reason: str) -> Recorded:
        require_in_time(row, _WITHDRAWN, at=at)
        if row.state in UNDECIDED:
            await self._require_open(row, at)
        require_takes(row, _WITHDRAWN)
        effect = (await self._window(row)).rules.after_effect
        groups: dict[str, Json] = {
            REQUEST: request.body,
            WITHDRAWAL: {"reason": reason, "after_effect": effect.value},
            "clerk": request.person,
        }
        draft = onto(row, _WITHDRAWN, groups, facts={"due_at": None})
        return await self._once.record(request, [draft], at=at)

    async def _pass(self, request: Request, row: RecordRow, at: datetime, milestone: Milestone) -> Recorded:
        until = (await self._window(row)).rules.until
        if closing_milestone(until) is not milestone:
            raise MilestoneIrrelevant(until.value)
        require_takes(row, _PASSED)
        groups: dict[str, Json] = {REQUEST: request.body, "milestone": milestone.value, "clerk": request.person}
        return await self._once.record(request, [onto(row, _PASSED, groups)], at=at)

    async def _require_open(self, row: RecordRow, at: datetime) -> None:
        window = await self._window(row)
        # A commitment that was questioned and cleared is RECORDED again; what its case passed before, it has passed.
        passed = row.state == "BINDING" or any(line.kind == _PASSED for line in (await self._look_up.life(row)).history)
        if is_window_closed(window, passed=passed, today=legal_day(at)):
            raise WithdrawalClosed(window.rules.until.value)

    async def _window(self, row: RecordRow) -> Window:
        """Give the window that the applicant was told before signing: a catalogue that came since changes nothing of
        it. Where no document was handed out, none was told."""
        try:
            kept = await prepared_groups(self._look_up, row)
        except RecordNotFound:
            return self._in_force(row)
        return window_told(kept, self._in_force(row))

    def _in_force(self, row: RecordRow) -> Window:
        """Give the window by the catalogue; of an item that is no longer in it, the one that protects the applicant."""
        catalogue = self._book.catalogue
        item, matter = catalogue.items.get(row.item or ""), catalogue.matters.get(row.matter or "")
        return Window(
            rules=item.commitment.withdrawal if item else Withdrawal(),
            closing_date=matter.closing_date if matter else None,
        )
