"""Decide: the case is decided upon the commitment, which is in force from then on, and the clock of its audit runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from gateway.catalogue.book import Book
from gateway.catalogue.model import AuditRules
from gateway.catalogue.words import AuditTiming
from gateway.errors import DiscrepancyFound, FoundSince, NotChecked, TransitionNotAllowed
from gateway.flows.act import Act, onto, require_takes
from gateway.flows.commitments.documents import DECIDED, UNDECIDED, require_in_time
from gateway.flows.commitments.newest import Against, Newest
from gateway.flows.commitments.refusals import Refusals
from gateway.flows.commitments.requery import Requery
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.rules.clocks import WorkCalendar, add_working_days, end_of_day, legal_day
from ledger import RecordRow
from ledger.canonical import Json

_ASKED_AGAIN = "CommitmentRequeried"
_CHECKED = ("CONFIRMED", "STILL_MISSING", "CLEARED_BEFORE")
"""What asking again comes to when the sources answered and contradict nothing, or only as people cleared it up."""
_TRIES = 2


class Decide:
    """Puts commitments in force."""

    def __init__(
        self,
        *,
        book: Book,
        once: Once,
        look_up: LookUp,
        newest: Newest,
        requery: Requery,
        refusals: Refusals,
        calendar: WorkCalendar,
        now: Callable[[], datetime],
    ) -> None:
        self._book = book
        self._once = once
        self._look_up = look_up
        self._newest = newest
        self._requery = requery
        self._refusals = refusals
        self._calendar = calendar
        self._act = Act(once=once, look_up=look_up, now=now)
        self._now = now

    async def __call__(self, request: Request, record: bytes, document_number: str, deadline: float) -> Recorded:
        """Record the decision; what must be checked before it, is checked now if it was not yet, by a loop time.

        Raises:
            RecordNotFound: no such commitment of the caller's unit.
            NotChecked: it must be checked before the decision, and no source answered; or none can be asked, and people
                found nothing since it was signed.
            DiscrepancyFound: sources or people contradict it; that is looked into first.
            FoundSince: people contradicted it, no answer to the claim knows of it yet, and it can be asked again.
            TransitionNotAllowed: it was decided, withdrawn, lapsed or never signed.
            DocumentErased: its documents were erased meanwhile.
            All but the last are recorded as refused.
            ClockBehind: the clock is before what was recorded last; nothing is recorded.
        """
        if replayed := await self._once.replay(request):
            return replayed
        row = await self._refusals.own(request, "commitment", record)
        async with self._refusals.of(request, row):
            return await self._act(
                request, row, lambda row, at: self._decide(request, row, at, document_number, deadline)
            )

    async def _decide(
        self, request: Request, row: RecordRow, begun: datetime, document_number: str, deadline: float
    ) -> Recorded:
        audit = self._audit(row)
        require_in_time(row, DECIDED, at=begun)
        waiting = row.state in UNDECIDED
        against = await self._against(row, request) if waiting else Against.NOTHING
        during = waiting and audit.timing is AuditTiming.DURING
        if against is Against.CONTRADICTED:
            with suppress(TransitionNotAllowed):  # questioned, withdrawn or ended at the same moment
                await self._requery.note_contradiction(row, request.operator)
        elif against is Against.PERHAPS or during:
            await self._require_checked(row, request, deadline, during=during, again=against is Against.PERHAPS)
        row = await self._unquestioned(row.record)  # being asked about, it went on
        at = self._now()
        require_in_time(row, DECIDED, at=at)  # asking may have taken the rest of it
        require_takes(row, DECIDED)
        due = None
        if audit.timing is AuditTiming.AFTER:
            last = add_working_days(legal_day(at), audit.due_working_days, self._calendar)
            due = end_of_day(last).isoformat()
        groups: dict[str, Json] = {
            REQUEST: request.body,
            "decision": {"document_number": document_number},
            "officer": request.person,
        }
        return await self._once.record(request, [onto(row, DECIDED, groups, facts={"due_at": due})], at=at)

    async def _against(self, row: RecordRow, request: Request) -> Against:
        """Tell what is known against a commitment; what people found counts alone where nobody may ask any more."""
        try:
            against = await self._newest.against(row)
        except FoundSince:
            if await self._requery.may_ask(row, request.operator, request.caller):
                raise
            return Against.CONTRADICTED
        if against is not Against.AGAIN:
            return against
        may_ask = await self._requery.may_ask(row, request.operator, request.caller)
        return Against.PERHAPS if may_ask else Against.CONTRADICTED

    def _audit(self, row: RecordRow) -> AuditRules:
        """Give the rules in force; of an item that is no longer in the catalogue, an audit afterwards."""
        item = self._book.catalogue.items.get(row.item or "")
        return item.audit if item else AuditRules(timing=AuditTiming.AFTER)

    async def _require_checked(
        self, row: RecordRow, request: Request, deadline: float, *, during: bool, again: bool
    ) -> None:
        """Ask the sources now, unless that need not be `again` after they were asked since it was signed.

        The check that an item wants before its decision (`during`) is an answer of theirs; where none covers the claim,
        what people found since it was signed.
        """
        for _ in range(_TRIES):
            life = await self._look_up.life(row)
            if not again and any(line.kind == _ASKED_AGAIN for line in life.history):
                return
            asked = await self._requery.one(row, request.operator, deadline)
            if asked.result in _CHECKED:
                return
            if not asked.covered:
                if not during or await self._newest.heard_since(row):
                    return
                raise NotChecked(None, covered=False)
            if asked.result == "NOT_REACHED":
                matter = self._book.catalogue.matters.get(row.matter or "")
                raise NotChecked(matter.retry_after if matter else None)
            row = await self._look_up.own("commitment", row.record, request.caller)
            if row.state not in UNDECIDED:
                return  # questioned, withdrawn or ended meanwhile: what follows refuses the decision for that
        raise NotChecked(None)

    async def _unquestioned(self, record: bytes) -> RecordRow:
        """Read a commitment; tell the officer of the finding, where data contradicted it before the decision."""
        row = await self._look_up.any("commitment", record)
        if row.state == "QUESTIONED":
            raise DiscrepancyFound((await self._look_up.children(record, "finding"))[-1].record)
        return row
