"""Report: what the credit platform is told of a final finding, in the national layout; and ending it by repair.

Nothing is told to be entered once the effect of its finding is over (`expire` ends what was told before).

The layout is that of commitments and their fulfilment (信用承诺及履行, GB/T 39441 family; domain field names in
Chinese beside each). Of a sensitive item the underlying fact never leaves: only the item's name and the decision; nor
does anything of other people whom the facts name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial

from gateway.catalogue.book import Book
from gateway.errors import PeriodRunning, StepRefused
from gateway.flows.act import Act, onto, require_after, require_takes
from gateway.flows.audit.serials import LAST_SERIAL, code_claim, code_of, free_serial
from gateway.flows.await_receipts import when_published
from gateway.flows.commitments.documents import prepared_groups
from gateway.flows.commitments.signing import signed_at
from gateway.flows.look_up import LookUp, receipt_size
from gateway.flows.once import REQUEST, Once, Recorded, Request
from gateway.flows.second_officer import require_uninvolved
from gateway.letters import fulfilment
from gateway.letters.document import DOCUMENT
from gateway.rules.clocks import legal_day
from gateway.rules.grades import no_repair_until
from gateway.rules.kept import moment, table, text
from gateway.rules.roles import Role
from ledger import AlreadyClaimed, Draft, Erased, Ledger, RecordRow, new_record
from ledger.canonical import Json, canonical

REPORT = "report"
"""The group of a report's entries that holds its content."""
ACTS: Mapping[str, str] = {"ISSUED": "ENTER", "RECALLED": "RECALL", "REPAIRED": "END", "EFFECT_ENDED": "END"}
"""What the platform is asked to do with a report in each state; in other states, nothing."""
_PAGE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """One item for the platform: what to do, the content with the salt that opens its commitment, and the proof."""

    cursor: int
    record: bytes
    act: str
    content: Mapping[str, Json] = field(repr=False)
    salt: bytes = field(repr=False)
    canonical: bytes = field(repr=False)
    receipt: bytes
    size: int


class SerialsExhausted(StepRefused):
    """A division has used all 999,999 codes of a day."""

    reason = "SERIALS_EXHAUSTED"
    chinese = "该区划当日承诺编码已用尽。"

    def __init__(self) -> None:
        super().__init__("the six-digit serials of this division and day are used up")


class Report:
    """Issues reports, hands them to the platform, and takes its answers."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        book: Book,
        once: Once,
        look_up: LookUp,
        division: str,
        authority_name: str,
        authority_code: str,
        shortest_effects: Mapping[str, int],
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._once = once
        self._look_up = look_up
        self._division = division
        self._authority = (authority_name, authority_code)
        self._shortest = shortest_effects
        self._act = Act(once=once, look_up=look_up, now=now)
        self._now = now
        self._entropy = entropy

    async def issue_with(
        self, request: Request, drafts: Sequence[Draft], *, finding: RecordRow, decided: datetime, at: datetime
    ) -> Recorded:
        """Append drafts together with the report of the finding, under a code of its own; without one, where the drafts
        say that the effect of the finding is over already.

        Raises:
            SerialsExhausted: the day's codes are used up.
        """
        ends = [moment(draft.facts.get("due_at")) for draft in drafts if draft.record == finding.record]
        if any(end is not None and end < at for end in ends):
            return await self._once.record(request, drafts, at=at)
        content, made_on = await self._content(finding, decided)
        prefix = f"{self._division}{made_on:%Y%m%d}"
        serial = 0
        while (serial := await free_serial(self._ledger, prefix, after=serial)) <= LAST_SERIAL:
            code = code_of(prefix, serial)
            record = new_record(at, self._entropy)
            draft = Draft(
                kind="ReportIssued",
                record=record,
                groups={REPORT: {"code": code, **content}},
                facts={
                    "code": code,
                    "unit": finding.unit,
                    "matter": finding.matter,
                    "item": finding.item,
                    "parent": finding.record.hex(),
                    "subject": finding.subject.hex() if finding.subject else None,
                },
            )
            try:
                return await self._once.record(request, [*drafts, draft], at=at, claims=[(code_claim(code), record)])
            except AlreadyClaimed:
                continue  # another report of the same day took the serial in the meantime
        raise SerialsExhausted

    async def pull(self, after: int, limit: int) -> AsyncIterator[Pulled]:
        """Yield what the platform has not handled, in ledger order after a cursor; `limit` 0 means all there is.

        What was erased is passed over: it stops nothing that comes after it.

        Raises:
            NotYetPublished: the next of them is recorded, and nothing proves it yet.
        """
        sent = 0
        while True:
            page = await self._ledger.read(partial(self._page, after))
            for row in page:
                if limit and sent >= limit:
                    return
                after = row.last_idx
                pulled = await self._pulled(row)
                if pulled is not None:
                    yield pulled
                    sent += 1
            if len(page) < _PAGE:
                return

    def _page(self, after: int) -> list[RecordRow]:
        return self._ledger.register().changed_after("report", ACTS, after_idx=after, limit=_PAGE)

    async def acknowledge(self, request: Request, record: bytes, platform_reference: str) -> Recorded:
        """Record that the platform holds the report."""
        content: dict[str, Json] = {"platform_reference": platform_reference}
        return await self._answer(request, record, "ReportAcknowledged", content)

    async def reject(self, request: Request, record: bytes, reason: str) -> Recorded:
        """Record that the platform cannot take the report."""
        return await self._answer(request, record, "ReportRejected", {"reason": reason})

    async def recall(self, request: Request, record: bytes, reason: str) -> Recorded:
        """Take back what the caller's unit reported, from everyone who was told; the finding stands.

        Whoever handled the commitment takes nothing back, as they find nothing (`Find`).

        Raises:
            RecordNotFound: there is no such report of the caller's unit.
            TransitionNotAllowed: it has ended already.
            CommitmentHandled: the officer handled the commitment that the report is about.
            DocumentErased: what was reported is erased, or who handled the commitment cannot be told any more.
        """
        if replayed := await self._once.replay(request):
            return replayed

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            require_takes(row, "ReportRecalled")
            finding = await self._look_up.any("finding", row.parent or b"")
            commitment = await self._look_up.any("commitment", finding.parent or b"")
            await require_uninvolved(self._look_up, commitment, request.operator)
            groups: dict[str, Json] = {REQUEST: request.body, "act": {"reason": reason}, "officer": request.person}
            if row.state != "REJECTED":
                kept = await self._look_up.document(row.record, row.first_idx)
                groups[REPORT] = kept[REPORT]
            return await self._once.record(request, [onto(row, "ReportRecalled", groups)], at=at)

        return await self._act(request, await self._look_up.own("report", record, request.caller), judge)

    async def repair(self, request: Request, finding: bytes, document_number: str) -> Recorded:
        """End the effect of a final finding: of the finding, the commitment and the report, in one act.

        The credit system repairs what any unit found; a reviewer, what the own unit found.

        Raises:
            RecordNotFound: there is none, or it is not the caller's to repair; the two are not told apart.
            TransitionNotAllowed: the finding is not final, or repaired already.
            PeriodRunning: the shortest time of the effect of its grade is not over.
            ClockBehind: the clock is before what was recorded last; nothing is recorded.
        """
        if replayed := await self._once.replay(request):
            return replayed
        if Role.CREDIT in request.caller.roles:
            found = await self._look_up.any("finding", finding)
        else:
            found = await self._look_up.own("finding", finding, request.caller)

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            require_takes(row, "FindingRepaired")
            await self._require_repairable(row, at)
            repaired: dict[str, Json] = {"document_number": document_number}
            groups: dict[str, Json] = {REQUEST: request.body, "act": repaired, "officer": request.person}
            commitment = await self._look_up.any("commitment", row.parent or b"")
            require_after(commitment, at)
            drafts = [
                onto(row, "FindingRepaired", groups),
                onto(commitment, "CommitmentRepaired", facts={"due_at": None}),
            ]
            drafts += await self.ending(row, "ReportRepaired", at)
            return await self._once.record(request, drafts, at=at)

        return await self._act(request, found, judge)

    async def _require_repairable(self, finding: RecordRow, at: datetime) -> None:
        decided = legal_day(await decided_at(self._look_up, finding))
        until = no_repair_until(finding.grade, decided, shortest=self._shortest)
        if until is not None and legal_day(at) <= until:
            raise PeriodRunning("repair", until)

    async def ending(self, finding: RecordRow, kind: str, at: datetime) -> list[Draft]:
        """Draft what ends the reports of a finding: with what was reported, where somebody may have been told of it.

        Raises:
            DocumentErased: what was reported is erased.
            ClockBehind: the clock is before what was recorded of a report last.
        """
        drafts = []
        for report in await self._look_up.children(finding.record, "report"):
            require_after(report, at)
            if report.state == "REJECTED":
                drafts.append(onto(report, kind))
            elif report.state in ("ISSUED", "ACKNOWLEDGED"):
                kept = await self._look_up.document(report.record, report.first_idx)
                drafts.append(onto(report, kind, {REPORT: kept[REPORT]}))
        return drafts

    async def _answer(self, request: Request, record: bytes, kind: str, content: Mapping[str, Json]) -> Recorded:
        if replayed := await self._once.replay(request):
            return replayed

        async def judge(row: RecordRow, at: datetime) -> Recorded:
            require_takes(row, kind)
            draft = onto(row, kind, {REQUEST: request.body, "act": dict(content)})
            return await self._once.record(request, [draft], at=at)

        return await self._act(request, await self._look_up.any("report", record), judge)

    async def _pulled(self, row: RecordRow) -> Pulled | None:
        """Read an item; None where what was reported is erased, or is to be entered though its effect is over."""

        def read() -> Pulled | None:
            if ACTS[row.state] == "ENTER" and self._is_over(row):
                return None
            document = self._ledger.document(row.last_idx)
            if isinstance(document, Erased):
                return None
            kept = document[REPORT]
            receipt = self._ledger.receipt(row.last_idx)
            return Pulled(
                cursor=row.last_idx,
                record=row.record,
                act=ACTS[row.state],
                content=table(kept.value),
                salt=kept.salt,
                canonical=canonical(kept.value),
                receipt=receipt,
                size=receipt_size(receipt),
            )

        return await when_published(self._ledger, lambda: self._ledger.read(read))

    def _is_over(self, report: RecordRow) -> bool:
        finding = self._ledger.register().get(report.parent) if report.parent else None
        return finding is not None and finding.due_at is not None and finding.due_at < self._now()

    async def _content(self, finding: RecordRow, decided: datetime) -> tuple[dict[str, Json], date]:
        commitment = await self._look_up.any("commitment", finding.parent or b"")
        kept = await prepared_groups(self._look_up, commitment)
        document = table(kept[DOCUMENT])
        decision = table((await self._look_up.document_of(finding, "FindingDecided"))["act"])
        made = await self._look_up.life(commitment)
        recorded = next(line for line in made.history if line.kind == "CommitmentRecorded")
        signature = table((await self._look_up.document(commitment.record, recorded.idx))["signature"])
        made_on = legal_day(signed_at(signature, recorded.at))
        item = self._book.catalogue.items.get(finding.item or "")
        may = fulfilment.telling(table(kept[fulfilment.TELLING]) if fulfilment.TELLING in kept else None, item)
        return self._layout(may, document, decision, made_on, legal_day(decided)), made_on

    def _layout(
        self,
        may: fulfilment.Telling,
        document: Mapping[str, Json],
        decision: Mapping[str, Json],
        made_on: date,
        decided_on: date,
    ) -> dict[str, Json]:
        applicant, authority = table(document["applicant"]), table(document["authority"])
        content = fulfilment.content(document, may)
        return {
            "subject_name": applicant["name"],
            "subject_category": fulfilment.category(text(applicant["id_type"])),
            "subject_code": applicant["id_number"],
            "commitment_type": fulfilment.KIND,
            "reason": fulfilment.reason(document),
            "content": content,
            "liability": fulfilment.liability(document),
            "commitment_date": made_on.isoformat(),
            "valid_until": "",
            "fulfilment": "全部未履行",
            "unperformed": fulfilment.item_title(document) if may.sensitive else content,
            "consequence": f"依据{text(decision['document_number'])}处理",
            "determined_on": decided_on.isoformat(),
            "determined_by": self._authority[0],
            "determined_by_code": self._authority[1],
            "accepted_by": authority["name"],
            "accepted_by_code": authority["unit"],
            "publication": fulfilment.publication(document),
            "remarks": decision["document_number"],
        }


async def decided_at(look_up: LookUp, finding: RecordRow) -> datetime:
    """Say when a finding was decided: what the law counts from the document that determined it counts from then."""
    return max(line.at for line in await look_up.history(finding) if line.kind == "FindingDecided")
