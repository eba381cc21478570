"""Find: from a discrepancy, through notice and defence, to a decision by a second officer and a final finding.

The system proposes; people decide, and none of them had a part in the commitment. Only a FINAL finding against a person
with full civil capacity is reported, and each step is one entry of the finding's life (`ledger.records.lifecycle`), so
none can be skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.names import is_blank
from gateway.catalogue.book import Book
from gateway.errors import CapacityUnknown, InvalidRequest, PeriodRunning, Violation
from gateway.flows.act import Act, Judge, onto, require_after, require_takes
from gateway.flows.audit.report import Report, decided_at
from gateway.flows.commitments.decision_clock import DecisionClock
from gateway.flows.commitments.documents import CLEARED, DECIDED, REINSTATED, REOPENED, prepared_groups
from gateway.flows.commitments.listings import Listings, Lists
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.flows.second_officer import require_second, require_uninvolved
from gateway.letters.document import DOCUMENT
from gateway.rules.admission import CaseContext, Operator, Question, subject_from_body
from gateway.rules.clocks import WorkCalendar, add_working_days, end_of_day, is_over, legal_day, working_day_from
from gateway.rules.grades import GRADES, effect_ends
from gateway.rules.kept import table, text
from gateway.rules.listing import Listing
from ledger import Draft, RecordRow
from ledger.canonical import Json

_PURPOSE = "告知承诺失信认定"
_WAIVED = "当事人表示放弃其余的陈述申辩期限。"
_CLOSINGS = {
    "CLEARED": ("FindingCleared", CLEARED),
    "MINOR_ERROR": ("MinorErrorRectified", CLEARED),
    "INCONCLUSIVE": ("FindingInconclusive", "CommitmentInconclusive"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Who set a decision aside, by which document, and why."""

    authority: str
    document_number: str
    reasons: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the second officer decides; a grade only where the commitment was false."""

    broken: bool
    document_number: str
    grade: str
    reasons: str


class Find:
    """Carries findings from discrepancy to their end."""

    def __init__(
        self,
        *,
        book: Book,
        once: Once,
        look_up: LookUp,
        report: Report,
        listings: Listings,
        clock: DecisionClock,
        calendar: WorkCalendar,
        defence_working_days: int,
        remedy_days: int,
        now: Callable[[], datetime],
    ) -> None:
        self._book = book
        self._once = once
        self._look_up = look_up
        self._report = report
        self._listings = listings
        self._clock = clock
        self._calendar = calendar
        self._defence_working_days = defence_working_days
        self._remedy_days = remedy_days
        self._act = Act(once=once, look_up=look_up, now=now)

    async def request_evidence(self, request: Request, record: bytes) -> Recorded:
        """Ask the person for supporting evidence before anything is held against them."""
        return await self._note(request, record, "EvidenceRequested", {})

    async def close(self, request: Request, record: bytes, kind: str, reason: str) -> Recorded:
        """End a finding in the person's favour: CLEARED, MINOR_ERROR or INCONCLUSIVE; the commitment follows."""
        of_finding, of_commitment = _CLOSINGS[kind]

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            drafts = [
                _draft(request, row, of_finding, {"reason": reason}),
                await self._ended(row, of_commitment, at),
            ]
            return await self._once.record(request, drafts, at=at)

        return await self._upon(request, record, of_finding, judge)

    async def propose(self, request: Request, record: bytes, grounds: str) -> Recorded:
        """Propose that the commitment was false; another officer will decide."""
        return await self._note(request, record, "FalseProposed", {"grounds": grounds})

    async def notify(self, request: Request, record: bytes, manner: str) -> Recorded:
        """Record that the person was notified; the defence period starts."""

        def facts(at: datetime) -> dict[str, Json]:
            due = end_of_day(add_working_days(legal_day(at), self._defence_working_days, self._calendar))
            return {"due_at": due.isoformat()}

        return await self._note(request, record, "FindingNotified", {"manner": manner}, facts)

    async def hear(self, request: Request, record: bytes, statement: str, *, waives_rest: bool = False) -> Recorded:
        """Record what the person says in their defence, as often as they speak; the period runs on, unless they waive
        the rest of it. An empty statement says that none came, which is only true once the period has passed.

        Raises:
            PeriodRunning: there is no statement and the defence period still runs.
            InvalidRequest: a waiver without a statement.
        """
        lapsed = is_blank(statement)
        require_waiver_said(lapsed, waives_rest)
        kind = "DefenceLapsed" if lapsed else "DefenceHeard"
        said: dict[str, Json] = {"statement": statement}
        if waives_rest:
            said |= {"waives_rest": True, "meaning": _WAIVED}
        ended: Mapping[str, Json] = {"due_at": None} if lapsed or waives_rest else {}

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            if lapsed:
                _require_passed("defence", row, at)
            return await self._once.record(request, [_draft(request, row, kind, said, ended)], at=at)

        return await self._upon(request, record, kind, judge)

    async def decide(self, request: Request, record: bytes, decision: Decision) -> Recorded:
        """Decide, by an officer who took no part before; against the person only once they had all the time to speak.

        Raises:
            SameOfficer: the officer proposed, notified or heard.
            PeriodRunning: the commitment is to be found false, and the defence period still runs.
        """
        content: dict[str, Json] = {
            "broken": decision.broken,
            "document_number": decision.document_number,
            "grade": decision.grade,
            "reasons": decision.reasons,
        }
        kind = "FindingDecided" if decision.broken else "FindingDismissed"

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            await self._require_second(row, request.operator)
            if decision.broken:
                _require_passed("defence", row, at)
                ends = self._remedy_ends(at)
                facts: dict[str, Json] = {"grade": decision.grade, "due_at": ends.isoformat() if ends else None}
                drafts = [_draft(request, row, kind, content, facts)]
            else:
                dismissed = _draft(request, row, kind, content, {"due_at": None})
                drafts = [dismissed, await self._ended(row, CLEARED, at)]
            return await self._once.record(request, drafts, at=at)

        return await self._upon(request, record, kind, judge)

    def _remedy_ends(self, decided: datetime) -> datetime | None:
        """Give the end of the time to ask for a review: calendar days, of which the last is worked (行政复议法, article
        20, by the Civil Code, article 203); None where there is no such time."""
        if not self._remedy_days:
            return None
        last = legal_day(decided) + timedelta(days=self._remedy_days)
        return end_of_day(working_day_from(last, self._calendar))

    async def finalise(self, request: Request, record: bytes, deadline: float) -> Recorded:
        """Make a decision final after the remedy period, and issue the credit report in the same act.

        Whoever a court has by now declared to be without full civil capacity is not reported. The register is asked by
        a loop time.

        Raises:
            PeriodRunning: the remedy period still runs.
            CapacityUnknown: the register gives no usable answer; nothing is recorded.
        """

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            _require_passed("remedy", row, at)
            decided = await decided_at(self._look_up, row)
            over = end_of_day(effect_ends(row.grade, legal_day(decided)))
            commitment = await self._commitment(row, at)
            capacity = await self._capacity(commitment, request.operator, deadline)
            content: dict[str, Json] = {"capacity": capacity.body()}
            drafts = [
                _draft(request, row, "FindingFinalised", content, {"due_at": over.isoformat()}),
                onto(commitment, "CommitmentBroken", facts={"due_at": None}),
            ]
            if capacity.incapacity is Listing.LISTED:
                return await self._once.record(request, drafts, at=at)
            return await self._report.issue_with(request, drafts, finding=row, decided=decided, at=at)

        return await self._upon(request, record, "FindingFinalised", judge)

    async def revoke(self, request: Request, record: bytes, revocation: Revocation) -> Recorded:
        """Record that a decision does not stand, final or not: the commitment stands again, and its report is recalled.

        One that was found false already stands as it would by a dismissal, if the decision of its case was recorded
        before; if none was, it waits for it.

        Raises:
            DocumentErased: what was reported is erased, and cannot be recalled.
        """
        content: dict[str, Json] = {
            "authority": revocation.authority,
            "document_number": revocation.document_number,
            "reasons": revocation.reasons,
        }

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            drafts = [
                _draft(request, row, "FindingRevoked", content, {"due_at": None}),
                await self._standing_again(row, at),
                *await self._report.ending(row, "ReportRecalled", at),
            ]
            return await self._once.record(request, drafts, at=at)

        return await self._upon(request, record, "FindingRevoked", judge)

    async def _upon(self, request: Request, record: bytes, kind: str, judge: Judge[Recorded]) -> Recorded:
        """Act upon a finding of the caller's unit as it stands, once for each request, and by nobody who handled the
        commitment.
        """
        if replayed := await self._once.replay(request):
            return replayed

        async def auditing(row: RecordRow, at: datetime) -> Recorded:
            require_takes(row, kind)
            await require_uninvolved(self._look_up, await self._commitment(row, at), request.operator)
            return await judge(row, at)

        return await self._act(request, await self._look_up.own("finding", record, request.caller), auditing)

    async def _note(
        self,
        request: Request,
        record: bytes,
        kind: str,
        content: Mapping[str, Json],
        facts: Callable[[datetime], Mapping[str, Json]] = lambda _at: {},
    ) -> Recorded:
        async def judge(row: RecordRow, at: datetime) -> Recorded:
            return await self._once.record(request, [_draft(request, row, kind, content, facts(at))], at=at)

        return await self._upon(request, record, kind, judge)

    async def _capacity(self, commitment: RecordRow, operator: Operator, deadline: float) -> Lists:
        """Ask the register of declared incapacity, where one is configured, about the person who committed."""
        document = table((await prepared_groups(self._look_up, commitment))[DOCUMENT])
        person = subject_from_body(table(document["applicant"]))
        matter, case = commitment.matter or "", text(document["case"])
        context = CaseContext(matter=matter, case_id=case, purpose=_PURPOSE, operator=operator)
        question = Question(context=context, item=commitment.item or "", subject=person, parameters={})
        lists = await self._listings.capacity(person, question, operator, deadline)
        if lists.incapacity is Listing.UNKNOWN:
            known = self._book.catalogue.matters.get(matter)
            raise CapacityUnknown(known.retry_after if known else None)
        return lists

    async def _commitment(self, row: RecordRow, at: datetime) -> RecordRow:
        """Read the commitment that a finding is about, which nothing can happen to before its newest entry."""
        commitment = await self._look_up.any("commitment", row.parent or b"")
        require_after(commitment, at)
        return commitment

    async def _ended(self, row: RecordRow, kind: str, at: datetime) -> Draft:
        """Let the commitment follow its finding."""
        return self._followed(await self._commitment(row, at), kind, at)

    async def _standing_again(self, row: RecordRow, at: datetime) -> Draft:
        """Let the commitment follow its finding that is revoked."""
        commitment = await self._commitment(row, at)
        if commitment.state != "BROKEN":
            return self._followed(commitment, CLEARED, at)
        decided = any(line.kind == DECIDED for line in await self._look_up.history(commitment))
        return self._followed(commitment, REINSTATED if decided else REOPENED, at)

    def _followed(self, commitment: RecordRow, kind: str, at: datetime) -> Draft:
        """Nothing is due of a commitment any more, but one that waits for its decision gets the whole time for it
        again."""
        waits = kind == REOPENED or (commitment.state == "QUESTIONED" and kind == CLEARED)
        due = self._clock.due(commitment.matter or "", at).isoformat() if waits else None
        return onto(commitment, kind, facts={"due_at": due})

    async def _require_second(self, row: RecordRow, operator: Operator) -> None:
        await require_second(self._look_up, row, "deciding", operator, besides=("DiscrepancyFound",))


def _draft(
    request: Request,
    row: RecordRow,
    kind: str,
    content: Mapping[str, Json],
    facts: Mapping[str, Json] | None = None,
) -> Draft:
    groups: dict[str, Json] = {REQUEST: request.body, "act": dict(content), "officer": request.person}
    return onto(row, kind, groups, facts=facts or {})


def _require_passed(period: str, row: RecordRow, at: datetime) -> None:
    if row.due_at is not None and not is_over(row.due_at, at):
        raise PeriodRunning(period, legal_day(row.due_at))


def require_waiver_said(lapsed: bool, waives_rest: bool) -> None:
    """Refuse a waiver of whoever said nothing.

    Raises:
        InvalidRequest: names the field.
    """
    if lapsed and waives_rest:
        wrong = Violation(
            field="waives_rest",
            description="needs the person's statement",
            chinese="当事人放弃其余陈述申辩期限的,须载明其陈述内容。",
        )
        raise InvalidRequest([wrong])


def require_grade(broken: bool, grade: str) -> None:
    """Refuse a decision that a commitment was false without saying how seriously.

    Raises:
        InvalidRequest: names the field.
    """
    if broken and grade not in GRADES:
        raise InvalidRequest(
            [Violation(field="grade", description="is required when broken", chinese="认定不实的,须载明失信等级。")]
        )
