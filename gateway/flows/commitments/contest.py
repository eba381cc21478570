"""Contest: a refusal made by rules alone is looked at again by a person, who may lift it.

Source: Personal Information Protection Law, article 24: nobody has to accept a decision made by automated means alone.
REFUSED → CONTESTED (with what the applicant says) → REFUSAL_UPHELD, or REFUSAL_LIFTED, after which one document can be
prepared in the same record, and another where that expired before it was signed. Lifting waives exactly the bars of
that refusal, as things stood then, and only those that judge about a person: a commitment never stands in for data that
are away or contradict, whoever decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from gateway.errors import CommitmentBarred, RefusalStands
from gateway.flows.act import Act, onto, require_takes
from gateway.flows.commitments.documents import ELIGIBILITY
from gateway.flows.commitments.expire import expire
from gateway.flows.commitments.refusals import REFUSAL, Refusals
from gateway.flows.commitments.stand import age_of
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.flows.second_officer import require_second
from gateway.rules.admission import question_from_body
from gateway.rules.clocks import legal_day
from gateway.rules.eligibility import BarCode, is_liftable
from gateway.rules.kept import rows, table, text
from ledger import RecordRow
from ledger.canonical import Json

LIFTED = frozenset({"REFUSAL_LIFTED", "EXPIRED"})
"""States in which the record of a lifted refusal takes a document: nothing that was handed out can be signed."""
_CONTESTED = "RefusalContested"
_LIFTED = "RefusalLifted"
_SAME = ("subject", "case_key", "matter", "item", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """A refusal that a reviewer lifted: its record, the bars that are waived, and the entry that refused."""

    record: bytes
    waived: frozenset[BarCode]
    refused: int


class Contest:
    """Takes refusals through their review."""

    def __init__(self, *, once: Once, look_up: LookUp, refusals: Refusals, now: Callable[[], datetime]) -> None:
        self._once = once
        self._look_up = look_up
        self._refusals = refusals
        self._act = Act(once=once, look_up=look_up, now=now)
        self._now = now

    async def contest(self, request: Request, record: bytes, statement: str) -> Recorded:
        """Record that the applicant contests a refusal, and what the applicant says against it.

        Raises:
            RecordNotFound: no such refusal of the caller's unit.
            TransitionNotAllowed: it is contested, or decided, already.
            All of them are recorded as refused.
            ClockBehind: the clock is before what was recorded last; nothing is recorded.
        """
        if replayed := await self._once.replay(request):
            return replayed
        row = await self._refusals.own(request, "commitment", record)
        content: dict[str, Json] = {"contest": {"statement": statement}, "clerk": request.person}

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            require_takes(row, _CONTESTED)
            return await self._record(request, row, _CONTESTED, content, at)

        async with self._refusals.of(request, row):
            return await self._act(request, row, judge)

    async def review(self, request: Request, record: bytes, *, lift: bool, reason: str) -> Recorded:
        """Record what a reviewer decided, who took no part before.

        Raises:
            RecordNotFound: no such refusal of the caller's unit.
            SameOfficer: the reviewer took part in the refusal or in contesting it.
            RefusalStands: it cannot be lifted, because it does not judge about the person.
            TransitionNotAllowed: it is not contested, or decided already.
            All of them are recorded as refused.
            ClockBehind: the clock is before what was recorded last; nothing is recorded.
        """
        if replayed := await self._once.replay(request):
            return replayed
        row = await self._refusals.own(request, "commitment", record)
        content: dict[str, Json] = {"review": {"reason": reason}, "officer": request.person}
        kind = _LIFTED if lift else "RefusalUpheld"

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            require_takes(row, kind)
            await require_second(self._look_up, row, "reviewing", request.operator)
            if lift:
                await self._require_liftable(row, legal_day(at))
            return await self._record(request, row, kind, content, at)

        async with self._refusals.of(request, row):
            return await self._act(request, row, judge)

    async def lifted(self, request: Request, record: bytes | None, verification: RecordRow) -> Lifted | None:
        """Return what was lifted, for a verification of the same person, case and item.

        Raises:
            RecordNotFound: no such refusal of the caller's unit.
            RefusalStands: it was not lifted, was signed upon or can be, or was for something else.
        """
        if record is None:
            return None
        row = await self._refusals.own(request, "commitment", record)
        if row.state == "PREPARED" and row.due_at is not None and row.due_at < self._now():
            await expire(self._act, self._once, row)
            row = await self._refusals.own(request, "commitment", record)
        if row.state not in LIFTED or not await self._was_lifted(row):
            raise RefusalStands(
                f"the refusal is {row.state}, not lifted",
                "该不予适用的决定未经复核撤销,或者已据以办理告知、文书尚在签署期限内或已签署。",
            )
        if any(getattr(row, name) != getattr(verification, name) for name in _SAME):
            raise RefusalStands(
                "the refusal that was lifted is of another person, case or item",
                "复核撤销的决定与本次核验不是同一申请人、同一办件、同一事项。",
            )
        return Lifted(record=record, waived=await self._waived(row), refused=row.first_idx)

    async def _was_lifted(self, row: RecordRow) -> bool:
        """Tell whether a record is of a refusal that was lifted: any other document expires as well."""
        return any(line.kind == _LIFTED for line in await self._look_up.history(row))

    async def _require_liftable(self, row: RecordRow, today: date) -> None:
        kept = await self._look_up.document(row.record, row.first_idx)
        refusal = table(kept[REFUSAL])
        if text(refusal["reason"]) != CommitmentBarred.reason:
            raise _not_about_the_person()
        verification = await self._look_up.any("verification", row.parent or b"")
        question = question_from_body(
            table((await self._look_up.document(verification.record, verification.first_idx))[REQUEST])
        )
        age = age_of(question.subject, today)
        if not all(is_liftable(code, age) for code in await self._waived(row)):
            raise _not_about_the_person()

    async def _waived(self, row: RecordRow) -> frozenset[BarCode]:
        refusal = table((await self._look_up.document(row.record, row.first_idx))[REFUSAL])
        return frozenset(BarCode(text(code)) for code in rows(refusal["codes"]))

    async def _record(
        self, request: Request, row: RecordRow, kind: str, content: Mapping[str, Json], at: datetime
    ) -> Recorded:
        return await self._once.record(request, [onto(row, kind, {REQUEST: request.body, **content})], at=at)


def waived_of(kept: Mapping[str, Json]) -> frozenset[BarCode]:
    """Read which bars were waived for a document when it was handed out."""
    return frozenset(BarCode(text(code)) for code in rows(table(kept[ELIGIBILITY])["waived"]))


def _not_about_the_person() -> RefusalStands:
    return RefusalStands(
        "the refusal follows from the verification or the matter and not from a judgement about the person",
        "该决定并非对申请人个人情况的判断,复核不能撤销;情况变化的,请重新核验。",
    )
