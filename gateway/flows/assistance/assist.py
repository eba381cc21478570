"""Assist: ask the people of another department (协查), and take what they answer.

SENT → RECEIVED (a person has seen what is asked) → CLAIMED → ANSWERED | REFUSED | RETURNED; OVERDUE by the clock, after
which a late answer is still taken. Each act that changes what is known of the claim is recorded in one submission with
a new answer to it, so that whoever watches the verification is told, and what was decided on is what was recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from connectors.outcome import Kind
from gateway.catalogue.book import Book
from gateway.catalogue.words import Disclosure, Rung
from gateway.errors import (
    AssistanceHeld,
    AssistanceOpen,
    AssistanceUnseen,
    CheckedBefore,
    DocumentErased,
    GatewayError,
    InvalidRequest,
    SecondPersonRequired,
    StepNotCalledFor,
    StepRefused,
    TransitionNotAllowed,
    Violation,
)
from gateway.flows.act import Act, onto, require_after, require_takes
from gateway.flows.assistance.answer_again import Again, AnswerAgain, step_of
from gateway.flows.assistance.values import Assisted, Checking, Claimed, Finding, Sending
from gateway.flows.commitments.documents import case_facts
from gateway.flows.commitments.stand import Stand
from gateway.flows.look_up import LookUp, next_step_in, reasons_in
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.flows.verification.people import ASKED, ASSISTANCE, FOUND, SHOWN, People, shown
from gateway.flows.verification.refusals import attach_proof
from gateway.rules.admission import Operator, Question, question_body, question_from_body
from gateway.rules.clocks import WorkCalendar, add_working_days, end_of_day, legal_day
from gateway.rules.fallback import StepKind
from gateway.rules.kept import table, text
from gateway.rules.people import (
    OPEN,
    Inquiry,
    decisive,
    may_say_again,
    reminders_due,
    stands_untrue,
)
from gateway.rules.reasons import ReasonKind
from gateway.rules.roles import Caller
from gateway.rules.separation import SecondOfficerRequired, verify_second_officer
from ledger import AlreadyClaimed, Draft, Ledger, RecordRow, decode_entry, new_record
from ledger.canonical import Json
from ledger.spelling import one_spelling

_CLOSING = {"AssistanceAnswered": "ANSWERED", "AssistanceRefused": "REFUSED", "AssistanceReturned": "RETURNED"}
_PEOPLE = {step.value for step in (StepKind.ASSISTANCE, StepKind.WAIT, StepKind.OWN_OR_COMMISSIONED_CHECK)}
OWN = "own-check"
COMMISSIONED = "commissioned-check"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """What somebody said before about a type of fact: in the case, and of the same elsewhere (`Inquiries.elsewhere`);
    and whether what anybody found elsewhere stands (`barred`)."""

    here: Sequence[Inquiry] = ()
    elsewhere: Sequence[Inquiry] = ()
    barred: bool = False

    def untrue_elsewhere(self) -> list[Inquiry]:
        """Pick what they found untrue elsewhere, as long as it stands: it alone counts in other cases, and bearing the
        claim out takes it back."""
        found = [one for one in self.elsewhere if one.outcome is Kind.MISMATCH]
        return found if stands_untrue((*self.here, *self.elsewhere)) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    """What people did: its entry, how the request or check stands with it. Of what the asking unit does: the type of
    fact that must be open for it, and the one step that the answer must lead to, where there is one; and what was said
    before of it by who is to say it `again`, of whom neither is demanded. Of what is done with a request: the request
    as it was read, and what judges the act on it.
    """

    draft: Draft
    inquiry: Inquiry
    fact_type: str = ""
    only: StepKind | None = None
    again: _Before = _Before()
    row: RecordRow | None = None
    judge: Callable[[RecordRow], Awaitable[None]] | None = None


class Assist:
    """Carries requests for assistance, and records checks."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        book: Book,
        again: AnswerAgain,
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
        self._book = book
        self._again = again
        self._people = people
        self._once = once
        self._look_up = look_up
        self._stand = stand
        self._calendar = calendar
        self._answering = answering
        self._act = Act(once=once, look_up=look_up, now=now)
        self._now = now
        self._entropy = entropy

    async def send(self, request: Request, sending: Sending, deadline: float) -> Assisted:
        """Ask a unit about a type of fact that a verification of the caller's own unit leaves open; or again, where
        what it found stands against the applicant and may be a mistake (`may_say_again`).

        Raises:
            RecordNotFound: there is no such verification of the caller's unit.
            InvalidRequest: the unit cannot answer here, or the item does not turn on this type of fact.
            StepNotCalledFor: the newest answer to the claim calls for something else.
            AssistanceOpen: the unit was asked already and has not answered.
            NotEntitled, ItemBanned, GuessBudgetSpent: the question may not be asked again; the refusal is recorded.
        """
        return await self._once_only(request, lambda: self._send(request, sending, deadline))

    async def _send(self, request: Request, sending: Sending, deadline: float) -> Assisted:
        claimed = await self._own_claim(request.caller, sending.verification)
        self._require_asked(claimed.question, sending.unit)
        self._require_turns_on(claimed.question, sending.fact_type)
        who = f"{ASSISTANCE}/{sending.unit}"
        before = await self._said(claimed, sending.fact_type, Rung.ASSISTANCE, who=who)
        await self._require_step(claimed, (StepKind.ASSISTANCE, StepKind.WAIT), before)
        key = self._people.one_at_a_time(claimed.question, claimed.case_key, sending.fact_type, sending.unit)
        given_up = await self._given_up(key)
        at = self._now()
        due = end_of_day(add_working_days(legal_day(at), sending.working_days, self._calendar))
        record = new_record(at, self._entropy)
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
                    "disclosure": self._again.disclosure(claimed.question).value,
                    "question": question_body(claimed.question),
                },
                "operator": request.person,
            },
            facts={
                **case_facts(claimed.row, parent=claimed.row.record),
                "unit": sending.unit,
                "due_at": due.isoformat(),
            },
        )
        inquiry = Inquiry(
            record=record, rung=Rung.ASSISTANCE, fact_type=sending.fact_type, who=who, unit=sending.unit, state="SENT",
            began_at=at, changed_at=at, due_at=due,
        )  # fmt: skip
        act = _Act(draft=draft, inquiry=inquiry, fact_type=sending.fact_type, only=StepKind.WAIT, again=before)
        return await self._with_answer(request, act, claimed, deadline, claims=[(key, record)], releases=given_up)

    async def receive(self, request: Request, record: bytes) -> Recorded:
        """Record that a person of the unit asked sees what is asked, in the words that are shown.

        Raises:
            RecordNotFound: no such request was addressed to the caller's unit.
            TransitionNotAllowed: it is closed.
            DocumentErased: what is asked is erased.
        """
        if replayed := await self._once.replay(request):
            return replayed

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            require_takes(row, "AssistanceReceived")
            kept = await self._look_up.document(row.record, row.first_idx)
            words = shown(table(kept[ASKED]), self._book.catalogue, legal_day(at))
            groups: dict[str, Json] = {
                REQUEST: request.body,
                SHOWN: words | {"sender": kept["operator"]},
                "operator": request.person,
            }
            return await self._once.record(request, [onto(row, "AssistanceReceived", groups)], at=at)

        return await self._act(request, await self._look_up.own(ASSISTANCE, record, request.caller), judge)

    async def claim(self, request: Request, record: bytes, *, take_over: bool = False) -> Recorded:
        """Record that a person of the unit asked has taken a request on, or over from a colleague.

        Raises:
            RecordNotFound: no such request was addressed to the caller's unit.
            AssistanceUnseen: this person has not received it yet.
            AssistanceHeld: a colleague has claimed it, and it is not said that it is taken over.
            TransitionNotAllowed: it is closed.
            DocumentErased: who received or claimed it is erased.
        """
        if replayed := await self._once.replay(request):
            return replayed

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            await self._require_seen(row, request.operator)
            require_takes(row, "AssistanceClaimed")
            colleague = await self._held_by_another(row, request.operator)
            if colleague and not take_over:
                raise AssistanceHeld
            groups: dict[str, Json] = {REQUEST: request.body, "operator": request.person}
            if colleague:
                groups["taken_over"] = {"from": colleague}
            return await self._once.record(request, [onto(row, "AssistanceClaimed", groups)], at=at)

        return await self._act(request, await self._look_up.own(ASSISTANCE, record, request.caller), judge)

    async def answer(self, request: Request, record: bytes, finding: Finding, deadline: float) -> Assisted:
        """Take the answer of the unit asked; a MISMATCH is found by two people.

        Raises:
            RecordNotFound: no such request was addressed to the caller's unit.
            SecondPersonRequired: the second person is the first, or missing where one is needed.
            AssistanceUnseen: who answers, or the second person, has not received it yet.
            AssistanceHeld: a colleague has claimed it; who answers takes it over first.
            TransitionNotAllowed: it is closed.
        """
        if finding.outcome is Kind.MISMATCH or finding.second is not None:
            _require_two(request.operator, finding.second)
        kind, kept, outcome, second = "AssistanceAnswered", {FOUND: finding.body()}, finding.outcome, finding.second
        return await self._once_only(
            request, lambda: self._close(request, record, kind, kept, deadline, outcome=outcome, second=second)
        )

    async def refuse(self, request: Request, record: bytes, reason: str, deadline: float) -> Assisted:
        """Take the refusal of the unit asked; raises as `answer` does."""
        kept: dict[str, Json] = {"refusal": {"reason": reason}}
        return await self._once_only(request, lambda: self._close(request, record, "AssistanceRefused", kept, deadline))

    async def send_back(self, request: Request, record: bytes, forward_to: str, deadline: float) -> Assisted:
        """Take a request back that reached the wrong unit; raises as `answer` does."""
        kept: dict[str, Json] = {"returned": {"forward_to": forward_to}}
        return await self._once_only(
            request, lambda: self._close(request, record, "AssistanceReturned", kept, deadline)
        )

    async def check(self, request: Request, checking: Checking, deadline: float) -> Assisted:
        """Record what two people of the caller's own unit checked, or had checked; or again, as `send` asks again.

        Raises:
            RecordNotFound: there is no such verification of the caller's unit.
            SecondPersonRequired: the second person is the first, or missing.
            CheckedBefore: who records what may take an earlier check back took part in that.
            InvalidRequest: the item does not turn on this type of fact.
            StepNotCalledFor: the newest answer to the claim calls for something else.
            NotEntitled, ItemBanned, GuessBudgetSpent: the question may not be asked again; the refusal is recorded.
        """
        return await self._once_only(request, lambda: self._check(request, checking, deadline))

    async def _check(self, request: Request, checking: Checking, deadline: float) -> Assisted:
        _require_two(request.operator, checking.finding.second)
        claimed = await self._own_claim(request.caller, checking.verification)
        self._require_turns_on(claimed.question, checking.fact_type)
        # Before and beside an applicant's word a check is always in order, and may be the only one there can be.
        wanted = (StepKind.OWN_OR_COMMISSIONED_CHECK, StepKind.COMMITMENT)
        before = await self._said(
            claimed, checking.fact_type, Rung.OWN_OR_COMMISSIONED_CHECK, unit=claimed.row.unit or ""
        )
        again = await self._require_step(claimed, wanted, before)
        earlier = list(before.here) if again or decisive(before.here) else []
        if checking.finding.outcome is Kind.MATCH:
            earlier += before.untrue_elsewhere()
        await self._require_other(request.operator, earlier)
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
                "question": question_body(claimed.question),
            },
            FOUND: checking.finding.body(),
            "operator": request.person,
        }
        if checking.commission is not None:
            groups["commission"] = dict(checking.commission)
        draft = Draft(
            kind="CheckRecorded", record=record, groups=groups, facts=case_facts(claimed.row, parent=claimed.row.record)
        )
        inquiry = Inquiry(
            record=record, rung=Rung.OWN_OR_COMMISSIONED_CHECK, fact_type=checking.fact_type, who=who,
            unit=claimed.row.unit or "", state="DONE", began_at=at, changed_at=at, outcome=checking.finding.outcome,
        )  # fmt: skip
        act = _Act(draft=draft, inquiry=inquiry, fact_type=checking.fact_type, again=before)
        return await self._with_answer(request, act, claimed, deadline)

    async def note_time(self, row: RecordRow, deadline: float) -> bool:
        """Record what the clock says of an open request: that it is overdue, or a reminder; False if neither is due."""
        now = self._now()
        if row.due_at is None or row.state not in OPEN:
            return False
        if now <= row.due_at:
            return await self._act.judged(row, self._remind)
        draft = onto(row, "AssistanceOverdue")
        inquiry = await self._people.inquiry(row)
        if inquiry is None:
            await self._once.record(None, [draft], at=now)
            return True

        async def judge(row: RecordRow) -> None:
            require_takes(row, "AssistanceOverdue")

        act = _Act(draft=draft, inquiry=_at(inquiry, "OVERDUE", now), row=row, judge=judge)
        await self._with_answer(None, act, await self._asked_about(row), deadline)
        return True

    async def _remind(self, row: RecordRow, at: datetime) -> bool:
        require_takes(row, "AssistanceReminded")
        sent = sum(line.kind == "AssistanceReminded" for line in await self._look_up.history(row))
        due = row.due_at
        if due is None or sent >= reminders_due(row.opened_at, due, now=at, calendar=self._calendar):
            return False
        await self._once.record(None, [onto(row, "AssistanceReminded")], at=at)
        return True

    async def _close(
        self,
        request: Request,
        record: bytes,
        kind: str,
        kept: Mapping[str, Json],
        deadline: float,
        *,
        outcome: Kind | None = None,
        second: Operator | None = None,
    ) -> Assisted:
        row = await self._look_up.own(ASSISTANCE, record, request.caller)

        async def judge(row: RecordRow) -> None:
            if row.state not in (*OPEN, "OVERDUE"):
                raise TransitionNotAllowed(kind, row.state)
            await self._require_seen(row, request.operator, *([] if second is None else [second]))
            if await self._held_by_another(row, request.operator):
                raise AssistanceHeld

        at = self._now()
        require_after(row, at)
        await judge(row)
        groups: dict[str, Json] = {REQUEST: request.body, **kept, "operator": request.person}
        draft = onto(row, kind, groups, facts={"due_at": None})
        inquiry = await self._people.inquiry(row)
        if inquiry is None:
            raise DocumentErased
        claimed = await self._asked_about(row)
        key = self._people.one_at_a_time(claimed.question, claimed.case_key, inquiry.fact_type, row.unit or "")
        act = _Act(draft=draft, inquiry=_at(inquiry, _CLOSING[kind], at, outcome), row=row, judge=judge)
        return await self._with_answer(request, act, claimed, deadline, releases=[key])

    async def _once_only(self, request: Request, do: Callable[[], Awaitable[Assisted]]) -> Assisted:
        """Do what a request asks, or give what it came to, before or at the same moment."""
        if replayed := await self._once.replay(request):
            return self._first(replayed)
        try:
            return await do()
        except (StepRefused, InvalidRequest) as refusal:
            return self._first(await self._once.done_or(request, refusal))

    async def _with_answer(
        self,
        request: Request | None,
        act: _Act,
        claimed: Claimed,
        deadline: float,
        *,
        claims: Sequence[tuple[bytes, bytes]] = (),
        releases: Sequence[bytes] = (),
    ) -> Assisted:
        """Record an act together with the answer to the claim that follows from it, or with the refusal of one.

        Who asks for an act of their own is refused where the question may not be asked, or the answer does not lead
        there: then answer or refusal is recorded without the act. What others did is recorded in any case.

        Raises:
            InvalidRequest: the act is about a type of fact that nobody left open.
            StepNotCalledFor: the answer does not lead where the act does.
            AssistanceOpen: somebody else sent the same request at the same moment.
            NotEntitled, ItemBanned, GuessBudgetSpent: the question may not be asked again.
        """
        question, case_key = claimed.question, claimed.case_key
        known = await self._people.inquiries(question, case_key)

        async def record(again: Again) -> Recorded:
            refusal = _refusal(act, again)
            if refusal is None:
                try:
                    return await self._keep(request, act, again, claims, releases)
                except AlreadyClaimed as error:
                    if not await self._is_request(error.record):
                        raise
                    refusal = AssistanceOpen()
            if request is not None and (replayed := await self._once.replay(request)):
                return replayed  # by another process, while the sources were asked
            if request is not None and again.refusal is refusal:
                await self._keep_refusal(request, again, refusal)
            elif again.alone is not None:
                await self._again.keep(again)
            raise refusal

        recorded = await self._again(question, known, deadline, record, at=self._now(), acts=[act.inquiry])
        if not recorded.replayed:
            await self._again.catch_up(question, case_key, known, act.inquiry.record, deadline)
        return self._first(recorded)

    async def _keep(
        self,
        request: Request | None,
        act: _Act,
        again: Again,
        claims: Sequence[tuple[bytes, bytes]],
        releases: Sequence[bytes],
    ) -> Recorded:
        """Record an act with its answer; while sources were asked others may have acted, so it is judged on what is
        there now.
        """
        first, judge = act.row, act.judge
        if first is None or judge is None:
            return await self._again.keep(again, request, act.draft, claims=claims, releases=releases)

        async def keep(row: RecordRow, _at: datetime) -> Recorded:
            if row is not first:
                await judge(row)
            draft = act.draft._replace(expect_newest=row.last_idx)
            later = replace(again, at=max(again.at, row.changed_at))
            return await self._again.keep(later, request, draft, claims=claims, releases=releases)

        return await self._act.judged(first, keep)

    async def _keep_refusal(self, request: Request, again: Again, refusal: GatewayError) -> None:
        """Record a refusal, once for each request and rule, and attach its proof to it."""
        recorded = await self._again.keep(again, replace(request, refusal=f"{refusal.reason}: {refusal}"))
        await attach_proof(refusal, recorded, self._look_up)

    async def _given_up(self, key: bytes) -> list[bytes]:
        """Give the key of a request if the one that holds it is erased, so that nobody can answer it any more.

        Raises:
            AssistanceOpen: it is held by a request that can be answered.
        """
        register = self._ledger.register()
        holder = (await self._ledger.read(lambda: register.holders([key]))).get(key)
        if holder is None:
            return []
        if holder.unit is not None:
            raise AssistanceOpen
        return [key]

    async def _is_request(self, record: bytes) -> bool:
        row = await self._look_up.find(record)
        return row is not None and row.family == ASSISTANCE

    def _first(self, recorded: Recorded) -> Assisted:
        later = [decode_entry(entry) for entry in recorded.entries[1:]]
        answers = [entry.record for entry in later if entry.kind == "VerificationAnswered"]
        return Assisted(recorded=recorded, verification=answers[0] if answers else None)

    async def _own_claim(self, caller: Caller, verification: bytes) -> Claimed:
        """Read the claim that a verification of the caller's unit is about, which the caller may still ask."""
        row = await self._look_up.own("verification", verification, caller)
        if row.state != "ANSWERED" or row.parent is not None or row.case_key is None:
            raise StepNotCalledFor(StepKind.ASSISTANCE.value, row.state)
        kept = await self._look_up.document(row.record, row.first_idx)
        claimed = Claimed(row=row, question=question_from_body(table(kept[REQUEST])))
        catalogue = self._book.catalogue
        if claimed.question.item not in catalogue.items or claimed.question.context.matter not in catalogue.matters:
            raise StepNotCalledFor(StepKind.ASSISTANCE.value, "closed by the catalogue now in force")
        self._again.require_entitled(claimed.question, caller)
        return claimed

    async def _asked_about(self, row: RecordRow) -> Claimed:
        """Read the claim that people were asked about."""
        kept = await self._look_up.document(row.record, row.first_idx)
        return Claimed(row=row, question=question_from_body(table(table(kept[ASKED])["question"])))

    async def _said(
        self, claimed: Claimed, fact_type: str, rung: Rung, *, who: str = "", unit: str = ""
    ) -> _Before:  # fmt: skip
        """Give what somebody answered about a type of fact, in a case and elsewhere: a unit, or the office itself (then
        elsewhere that of the `unit` alone) in its checks."""
        known = await self._people.inquiries(claimed.question, claimed.case_key)
        here, elsewhere = (
            [
                one
                for one in told
                if (one.fact_type, one.rung) == (fact_type, rung) and who in ("", one.who) and one.outcome is not None
            ]
            for told in (known.found, known.elsewhere)
        )
        return _Before(
            here=here,
            elsewhere=[one for one in elsewhere if unit in ("", one.unit)],
            barred=stands_untrue(known.elsewhere),
        )

    async def _require_other(self, operator: Operator, before: Sequence[Inquiry]) -> None:
        """Require that who records a check took part in none of some earlier ones.

        Raises:
            CheckedBefore: they did.
        """
        people: list[str] = []
        for one in before:
            kept = await self._look_up.document(one.record, one.first)
            people.append(text(table(kept["operator"])["person"]))
            people.append(text(table(table(kept[FOUND])["second"])["person"]))
        try:
            verify_second_officer("checking again", operator.person, people)
        except SecondOfficerRequired as error:
            raise CheckedBefore from error

    async def _require_step(self, claimed: Claimed, wanted: Sequence[StepKind], before: _Before) -> bool:
        """Require that the newest answer to a claim calls for a step, or that what was said `before` may be said again;
        tells whether it is for that.

        Raises:
            StepNotCalledFor: it is for neither.
            DocumentErased: the answers are erased.
        """
        rows = await self._stand.verifications(claimed.row)
        answered = await self._look_up.newest_answer(rows, question_body(claimed.question))
        if answered is None:
            raise DocumentErased
        if (step := next_step_in(answered[1])) in {one.value for one in wanted}:
            return False
        tells_facts = self._again.disclosure(claimed.question) is Disclosure.PER_FACT
        if not _may_say_again(before, answered[1], tells_facts=tells_facts):
            raise StepNotCalledFor(" or ".join(one.value for one in wanted), step)
        return True

    def _require_asked(self, question: Question, unit: str) -> None:
        if unit not in self._answering:
            raise InvalidRequest(
                [
                    Violation(
                        field="unit",
                        description="nobody of this unit can answer here",
                        chinese="该单位未在网关登记协查经办系统,不能向其发起协查。",
                    )
                ]
            )
        if unit == question.context.operator.unit:
            raise InvalidRequest(
                [
                    Violation(
                        field="unit",
                        description="is the own unit; what it finds itself is recorded as a check",
                        chinese="本单位自行核查的,请直接登记核查结果。",
                    )
                ]
            )

    def _require_turns_on(self, question: Question, fact_type: str) -> None:
        """Refuse a type of fact before anybody is asked about it, if it decides nothing."""
        if fact_type not in self._again.fact_types(question):
            raise _fact_not_open()

    async def _held_by_another(self, row: RecordRow, operator: Operator) -> str:
        """Name the colleague who has claimed a request last; empty if nobody has, or this person."""
        claimed = await self._acted(row, "AssistanceClaimed")
        holder = claimed[-1] if claimed else operator.person
        return "" if one_spelling(holder) == one_spelling(operator.person) else holder

    async def _require_seen(self, row: RecordRow, *acting: Operator) -> None:
        seen = set(map(one_spelling, await self._acted(row, "AssistanceReceived")))
        if not seen.issuperset(one_spelling(one.person) for one in acting):
            raise AssistanceUnseen

    async def _acted(self, row: RecordRow, kind: str) -> list[str]:
        """Give who made the entries of a kind in a request's life, oldest first.

        Raises:
            DocumentErased: their documents are erased.
        """
        indexes = [line.idx for line in await self._look_up.history(row) if line.kind == kind]
        kept = [await self._look_up.document(row.record, index) for index in indexes]
        return [text(table(one["operator"])["person"]) for one in kept]


def _refusal(act: _Act, again: Again) -> GatewayError | None:
    """Say why who asks for an act is refused by the answer that was made with it, or None."""
    if not act.fact_type:
        return None
    if again.refusal is not None:
        return again.refusal
    refusal = _not_open(act, again)
    if refusal is None or again.alone is None:
        return refusal
    return None if _may_say_again(act.again, again.alone.groups, tells_facts=again.tells_facts) else refusal


def _may_say_again(before: _Before, kept: Mapping[str, Json], *, tells_facts: bool) -> bool:
    return may_say_again(
        before.here,
        next_step_in(kept),
        conflict=ReasonKind.CONFLICT.value in reasons_in(kept),
        tells_facts=tells_facts,
        elsewhere=before.elsewhere,
        barred=before.barred,
    )


def _not_open(act: _Act, again: Again) -> GatewayError | None:
    """Say why an act is refused that is not called for, or is about what is not open; None where it is neither."""
    # What is named is the step of the answer that is recorded without the act: whoever asked may read that one.
    step = step_of(again.acted)
    if act.only is not None and step not in _PEOPLE:
        return StepNotCalledFor(StepKind.ASSISTANCE.value, step_of(again.alone))
    if not again.tells_facts:
        return None  # a refusal would tell which facts are settled
    if act.fact_type not in again.open_before:
        return _fact_not_open()
    if act.only is not None and step != act.only.value:
        return StepNotCalledFor(act.only.value, step_of(again.alone))
    return None


def _fact_not_open() -> InvalidRequest:
    return InvalidRequest(
        [
            Violation(
                field="fact_type",
                description="the answer does not leave this type of fact open",
                chinese="最近一次核验中,此类事实已有结论,或者与该证明事项无关。",
            )
        ]
    )


def _at(inquiry: Inquiry, state: str, at: datetime, outcome: Kind | None = None) -> Inquiry:
    return replace(inquiry, state=state, changed_at=at, outcome=outcome, index=-1)


def _require_two(first: Operator, second: Operator | None) -> None:
    try:
        verify_second_officer("finding", second.person if second else "", [first.person])
    except SecondOfficerRequired as error:
        raise SecondPersonRequired from error
