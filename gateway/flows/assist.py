"""Assist: ask the people of another department (协查), and take what they answer.

SENT → RECEIVED (a person has seen what is asked) → CLAIMED → ANSWERED | REFUSED | RETURNED; OVERDUE by the clock, after
which a late answer is still taken. Each act that changes what is known of the claim is recorded in one submission with
a new answer to it, so that whoever watches the verification is told, and what was decided on is what was recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from msgspec.structs import replace

from connectors.outcome import Kind
from gateway.catalogue.words import Rung
from gateway.errors import (
    AssistanceOpen,
    AssistanceUnseen,
    DocumentErased,
    InvalidRequest,
    SecondPersonRequired,
    StepNotCalledFor,
    TransitionNotAllowed,
    Violation,
)
from gateway.flows.look_up import ANSWER, LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.flows.people import ASKED, ASSISTANCE, FOUND, People
from gateway.flows.stand import Stand
from gateway.flows.verify import Verify
from gateway.rules.admission import Operator, Question, question_body, question_from_body
from gateway.rules.clocks import WorkCalendar, add_working_days, end_of_day, legal_day
from gateway.rules.fallback import StepKind
from gateway.rules.kept import table, text
from gateway.rules.people import OPEN, Inquiry, reminders_due
from gateway.rules.roles import Caller
from gateway.rules.same_claim import is_same_claim
from gateway.rules.separation import SecondOfficerRequired, verify_second_officer
from ledger import AlreadyClaimed, Draft, Ledger, LedgerError, RecordRow, decode_entry, new_record
from ledger.canonical import Json

_log = structlog.get_logger()
_PAGE = 256
_TRIES = 4
_CLOSING = {"AssistanceAnswered": "ANSWERED", "AssistanceRefused": "REFUSED", "AssistanceReturned": "RETURNED"}
OWN = "own-check"
COMMISSIONED = "commissioned-check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What is asked of whom: the verification that is open, the unit, the type of fact, how long it has, and a note."""

    verification: bytes
    unit: str
    fact_type: str
    working_days: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What people found: one of `rules.people.OUTCOMES`, on what basis, who else found it, and digests of files."""

    outcome: Kind
    basis: str
    second: Operator | None
    attachments: Sequence[tuple[str, bytes]] = ()

    def body(self) -> dict[str, Json]:
        """Give it as a canonical value."""
        return {
            "outcome": self.outcome.value,
            "basis": self.basis,
            "second": None if self.second is None else {"person": self.second.person, "unit": self.second.unit},
            "attachments": [{"title": title, "sha256": digest.hex()} for title, digest in self.attachments],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """A check of the approval department itself, or one that it paid for: `commission` says whom and under what."""

    verification: bytes
    fact_type: str
    method: str
    finding: Finding
    commission: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assisted:
    """What was recorded, and the record of the new answer to the claim, if there is one."""

    recorded: Recorded
    verification: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A claim in a case: a record of the case, and the question as it was asked."""

    row: RecordRow
    question: Question

    @property
    def case_key(self) -> bytes:
        """The keyed index of the case."""
        return self.row.case_key or b""


class Assist:
    """Carries requests for assistance, and records checks."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        verify: Verify,
        people: People,
        once: Once,
        look_up: LookUp,
        stand: Stand,
        calendar: WorkCalendar,
        answering: frozenset[str],
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
    ) -> None:
        """`answering` are the units that have somebody who can answer."""
        self._ledger = ledger
        self._verify = verify
        self._people = people
        self._once = once
        self._look_up = look_up
        self._stand = stand
        self._calendar = calendar
        self._answering = answering
        self._now = now
        self._entropy = entropy

    async def send(self, request: Request, sending: Sending, deadline: float) -> Assisted:
        """Ask a unit about a type of fact that a verification of the caller's own unit leaves open.

        Raises:
            RecordNotFound: there is no such verification of the caller's unit.
            InvalidRequest: the unit cannot answer here, or the item does not turn on this type of fact.
            StepNotCalledFor: the newest answer to the claim calls for something else.
            AssistanceOpen: the unit was asked already and has not answered.
        """
        if replayed := await self._once.replay(request):
            return self._first(replayed)
        claimed = await self._own_claim(request.caller, sending.verification)
        self._require_fact(claimed.question, sending)
        await self._require_step(claimed, (StepKind.ASSISTANCE, StepKind.WAIT))
        at = self._now()
        due = end_of_day(add_working_days(legal_day(at), sending.working_days, self._calendar))
        record = new_record(at, self._entropy)
        who = f"{ASSISTANCE}/{sending.unit}"
        draft = Draft(
            kind="AssistanceSent",
            record=record,
            groups={
                REQUEST: request.body,
                ASKED: {
                    "claim": self._people.claim(claimed.question),
                    "fact_type": sending.fact_type,
                    "who": who,
                    "sender": request.caller.unit,
                    "note": sending.note,
                    "due_at": due.isoformat(),
                    "disclosure": self._verify.disclosure(claimed.question).value,
                },
                "operator": request.person,
            },
            facts={**_facts(claimed.row), "unit": sending.unit, "due_at": due.isoformat()},
        )
        inquiry = Inquiry(
            record=record, rung=Rung.ASSISTANCE, fact_type=sending.fact_type, who=who, state="SENT", began_at=at,
            changed_at=at, due_at=due,
        )  # fmt: skip
        key = self._people.one_at_a_time(claimed.question, claimed.case_key, sending.fact_type, sending.unit)
        try:
            return await self._with_answer(
                request, draft, claimed, inquiry, deadline, claims=[(key, record)], only=StepKind.WAIT
            )
        except AlreadyClaimed as error:
            raise AssistanceOpen from error

    async def receive(self, request: Request, record: bytes) -> Recorded:
        """Record that a person of the unit asked sees what is asked.

        Raises:
            RecordNotFound: no such request was addressed to the caller's unit.
            TransitionNotAllowed: it is closed.
        """
        return await self._act(request, record, "AssistanceReceived", seen=False)

    async def claim(self, request: Request, record: bytes) -> Recorded:
        """Record that a person of the unit asked has taken a request on.

        Raises:
            RecordNotFound: no such request was addressed to the caller's unit.
            AssistanceUnseen: nobody has received it yet.
            TransitionNotAllowed: it is closed.
        """
        return await self._act(request, record, "AssistanceClaimed", seen=True)

    async def answer(self, request: Request, record: bytes, finding: Finding, deadline: float) -> Assisted:
        """Take the answer of the unit asked; a MISMATCH is found by two people.

        Raises:
            RecordNotFound: no such request was addressed to the caller's unit.
            SecondPersonRequired: the second person is the first, or missing where one is needed.
            AssistanceUnseen: nobody has received it yet.
            TransitionNotAllowed: it is closed.
        """
        if finding.outcome is Kind.MISMATCH or finding.second is not None:
            _require_two(request.operator, finding.second)
        return await self._close(
            request, record, "AssistanceAnswered", {FOUND: finding.body()}, deadline, outcome=finding.outcome
        )

    async def refuse(self, request: Request, record: bytes, reason: str, deadline: float) -> Assisted:
        """Take the refusal of the unit asked; raises as `answer` does."""
        return await self._close(request, record, "AssistanceRefused", {"refusal": {"reason": reason}}, deadline)

    async def send_back(self, request: Request, record: bytes, forward_to: str, deadline: float) -> Assisted:
        """Take a request back that reached the wrong unit; raises as `answer` does."""
        kept: dict[str, Json] = {"returned": {"forward_to": forward_to}}
        return await self._close(request, record, "AssistanceReturned", kept, deadline)

    async def check(self, request: Request, checking: Checking, deadline: float) -> Assisted:
        """Record what two people of the caller's own unit checked, or had checked.

        Raises:
            RecordNotFound: there is no such verification of the caller's unit.
            SecondPersonRequired: the second person is the first, or missing.
            InvalidRequest: the item does not turn on this type of fact.
            StepNotCalledFor: the newest answer to the claim calls for something else.
        """
        if replayed := await self._once.replay(request):
            return self._first(replayed)
        _require_two(request.operator, checking.finding.second)
        claimed = await self._own_claim(request.caller, checking.verification)
        self._require_known(claimed.question, checking.fact_type)
        await self._require_step(claimed, (StepKind.OWN_OR_COMMISSIONED_CHECK,))
        at = self._now()
        record = new_record(at, self._entropy)
        who = OWN if checking.commission is None else COMMISSIONED
        groups: dict[str, Json] = {
            REQUEST: request.body,
            ASKED: {
                "claim": self._people.claim(claimed.question),
                "fact_type": checking.fact_type,
                "who": who,
                "method": checking.method,
            },
            FOUND: checking.finding.body(),
            "operator": request.person,
        }
        if checking.commission is not None:
            groups["commission"] = dict(checking.commission)
        draft = Draft(kind="CheckRecorded", record=record, groups=groups, facts=_facts(claimed.row))
        inquiry = Inquiry(
            record=record, rung=Rung.OWN_OR_COMMISSIONED_CHECK, fact_type=checking.fact_type, who=who, state="DONE",
            began_at=at, changed_at=at, outcome=checking.finding.outcome,
        )  # fmt: skip
        return await self._with_answer(request, draft, claimed, inquiry, deadline)

    async def note_time(self, row: RecordRow, deadline: float) -> bool:
        """Record what the clock says of an open request: that it is overdue, or a reminder; False if neither is due."""
        now = self._now()
        if row.due_at is None or row.state not in OPEN:
            return False
        if now <= row.due_at:
            sent = sum(line.kind == "AssistanceReminded" for line in await self._look_up.history(row))
            if sent >= reminders_due(row.opened_at, row.due_at, now=now):
                return False
            draft = Draft(kind="AssistanceReminded", record=row.record, expect_state=frozenset({row.state}))
            await self._once.record(None, [draft], at=now)
            return True
        draft = Draft(kind="AssistanceOverdue", record=row.record, expect_state=frozenset(OPEN))
        inquiry = await self._people.inquiry(row)
        if inquiry is None:
            await self._once.record(None, [draft], at=now)
            return True
        claimed = await self._claim_of(row)
        await self._with_answer(None, draft, claimed, _at(inquiry, "OVERDUE", now), deadline)
        return True

    async def _act(self, request: Request, record: bytes, kind: str, *, seen: bool) -> Recorded:
        if replayed := await self._once.replay(request):
            return replayed
        row = await self._look_up.own(ASSISTANCE, record, request.caller)
        if seen:
            await self._require_seen(row)
        draft = Draft(kind=kind, record=record, groups={REQUEST: request.body, "operator": request.person})
        return await self._once.record(request, [draft], at=self._now())

    async def _close(
        self,
        request: Request,
        record: bytes,
        kind: str,
        kept: Mapping[str, Json],
        deadline: float,
        *,
        outcome: Kind | None = None,
    ) -> Assisted:
        if replayed := await self._once.replay(request):
            return self._first(replayed)
        row = await self._look_up.own(ASSISTANCE, record, request.caller)
        if row.state not in (*OPEN, "OVERDUE"):
            raise TransitionNotAllowed(kind, row.state)
        await self._require_seen(row)
        at = self._now()
        draft = Draft(
            kind=kind,
            record=record,
            groups={REQUEST: request.body, **kept, "operator": request.person},
            facts={"due_at": None},
        )
        inquiry = await self._people.inquiry(row)
        if inquiry is None:
            raise DocumentErased
        claimed = await self._claim_of(row)
        key = self._people.one_at_a_time(claimed.question, claimed.case_key, inquiry.fact_type, row.unit or "")
        changed = _at(inquiry, _CLOSING[kind], at, outcome)
        return await self._with_answer(request, draft, claimed, changed, deadline, releases=[key])

    async def _with_answer(
        self,
        request: Request | None,
        draft: Draft,
        claimed: Claimed,
        inquiry: Inquiry,
        deadline: float,
        *,
        claims: Sequence[tuple[bytes, bytes]] = (),
        releases: Sequence[bytes] = (),
        only: StepKind | None = None,
    ) -> Assisted:
        """Record an act together with the answer to the claim that follows from it; where that answer does not lead to
        the one step given, the sources know more by now, and nothing is recorded.

        Acts of several units at once each see what was recorded before them: whoever finds afterwards that another act
        came in between answers the claim once more, so that the newest answer knows all of them.
        """
        known = await self._people.inquiries(claimed.question, claimed.case_key)
        at = self._now()
        answered = await self._verify.answer_again(
            claimed.question, deadline, self._people.with_these(known, [inquiry]), at=at
        )
        if only is not None and (step := _step_of(answered)) != only.value:
            raise StepNotCalledFor(StepKind.ASSISTANCE.value, step)
        drafts = [draft] if answered is None else [draft, answered]
        recorded = await self._once.record(request, drafts, at=at, claims=claims, releases=releases)
        done = self._first(recorded)
        if not recorded.replayed:
            await self._catch_up(claimed, known.marks, inquiry.record, deadline)
        return done

    async def _catch_up(
        self, claimed: Claimed, marks: frozenset[tuple[bytes, int]], own: bytes, deadline: float
    ) -> None:
        seen = {mark for mark in marks if mark[0] != own}
        try:
            for _ in range(_TRIES):
                known = await self._people.inquiries(claimed.question, claimed.case_key)
                others = {mark for mark in known.marks if mark[0] != own}
                if others == seen:
                    return
                seen, at = others, self._now()
                answered = await self._verify.answer_again(
                    claimed.question, deadline, self._people.with_these(known, ()), at=at
                )
                if answered is not None:
                    await self._once.record(None, [answered], at=at)
        except (TimeoutError, LedgerError) as error:
            # The act itself is recorded; whoever asks again is answered with all that people said.
            _log.warning("a claim was not answered again", reason=type(error).__name__)

    def _first(self, recorded: Recorded) -> Assisted:
        later = [decode_entry(entry) for entry in recorded.entries[1:]]
        answers = [entry.record for entry in later if entry.kind == "VerificationAnswered"]
        return Assisted(recorded=recorded, verification=answers[0] if answers else None)

    async def _own_claim(self, caller: Caller, verification: bytes) -> Claimed:
        row = await self._look_up.own("verification", verification, caller)
        if row.state != "ANSWERED" or row.parent is not None or row.case_key is None:
            raise StepNotCalledFor(StepKind.ASSISTANCE.value, row.state)
        return await self._claim_of(row)

    async def _claim_of(self, row: RecordRow) -> Claimed:
        """Read the claim that a verification is about, or that people were asked about."""
        asked = row if row.family == "verification" else await self._look_up.any("verification", row.parent or b"")
        kept = await self._look_up.document(asked.record, asked.first_idx)
        return Claimed(row=asked, question=question_from_body(table(kept[REQUEST])))

    async def _require_step(self, claimed: Claimed, wanted: Sequence[StepKind]) -> None:
        claim = question_body(claimed.question)
        for row in reversed(await self._stand.verifications(claimed.row)):
            try:
                kept = await self._look_up.document(row.record, row.first_idx)
            except DocumentErased:
                continue
            if is_same_claim(table(kept[REQUEST]), claim):
                step = text(table(table(kept[ANSWER])["next_step"])["kind"])
                if step not in {one.value for one in wanted}:
                    raise StepNotCalledFor(" or ".join(one.value for one in wanted), step)
                return
        raise DocumentErased

    def _require_fact(self, question: Question, sending: Sending) -> None:
        self._require_known(question, sending.fact_type)
        if sending.unit not in self._answering:
            raise InvalidRequest(
                [
                    Violation(
                        field="unit",
                        description="nobody of this unit can answer here",
                        chinese="该单位未在网关登记协查经办系统,不能向其发起协查。",
                    )
                ]
            )
        if sending.unit == question.context.operator.unit:
            raise InvalidRequest(
                [
                    Violation(
                        field="unit",
                        description="is the own unit; what it finds itself is recorded as a check",
                        chinese="本单位自行核查的,请直接登记核查结果。",
                    )
                ]
            )

    def _require_known(self, question: Question, fact_type: str) -> None:
        if fact_type not in self._verify.fact_types(question):
            raise InvalidRequest(
                [
                    Violation(
                        field="fact_type",
                        description="the item does not turn on this type of fact",
                        chinese="该证明事项不涉及此类事实。",
                    )
                ]
            )

    async def _require_seen(self, row: RecordRow) -> None:
        if not any(line.kind == "AssistanceReceived" for line in await self._look_up.history(row)):
            raise AssistanceUnseen


class Chase:
    """Watches the clocks of open requests: reminds at parts of the time, and notes what is overdue."""

    def __init__(
        self, *, ledger: Ledger, assist: Assist, stopping: asyncio.Event, patience: float
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._assist = assist
        self._stopping = stopping
        self._patience = patience

    async def __call__(self) -> int:
        """Note what time says of every open request; returns of how many. Stops early when the gateway is to stop."""
        noted, after = 0, -1
        register = self._ledger.register()
        while not self._stopping.is_set():
            edge = after
            page = await self._ledger.read(
                lambda edge=edge: register.in_state(ASSISTANCE, OPEN, after_idx=edge, limit=_PAGE)  # type: ignore[misc]
            )
            if not page:
                break
            for row in page:
                if self._stopping.is_set():
                    break
                noted += await self._one(row)
            after = page[-1].first_idx
        return noted

    async def _one(self, row: RecordRow) -> bool:
        deadline = asyncio.get_running_loop().time() + self._patience
        try:
            return await self._assist.note_time(row, deadline)
        except (TransitionNotAllowed, DocumentErased):
            return False  # it was answered, or erased, at the same moment
        except TimeoutError:
            return False  # the next round comes


def _step_of(answered: Draft | None) -> str:
    return "" if answered is None else text(table(table(answered.groups[ANSWER])["next_step"])["kind"])


def _at(inquiry: Inquiry, state: str, at: datetime, outcome: Kind | None = None) -> Inquiry:
    return replace(inquiry, state=state, changed_at=at, outcome=outcome)


def _facts(row: RecordRow) -> dict[str, Json]:
    """Give the facts that a request or check takes from the verification it is for."""
    return {
        "subject": row.subject.hex() if row.subject else None,
        "case_key": row.case_key.hex() if row.case_key else None,
        "unit": row.unit,
        "matter": row.matter,
        "item": row.item,
        "parent": row.record.hex(),
    }


def _require_two(first: Operator, second: Operator | None) -> None:
    try:
        verify_second_officer("finding", second.person if second else "", [first.person])
    except SecondOfficerRequired as error:
        raise SecondPersonRequired from error
