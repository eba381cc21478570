"""Requery: ask again about commitments, without asking people; the first and strongest audit.

MATCH confirms and closes; a contradiction opens a finding (nothing is held against anybody yet), and so does one that
too few sources confirm; data still missing are noted; a source that is away concludes nothing, nor does that none
covers the claim. What people cleared up is not held against anybody again, as long as the data that contradicted do
not change, and who bore it out still does. What people found in the case counts beside what sources say, and who is
asked and has not answered holds nothing up. Each asking is itself a recorded verification. Before the decision of the
case a commitment is only noted as asked about, or questioned, so that the officer sees it in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.book import Book
from gateway.errors import ClockBehind, DocumentErased, RecordNotFound, TransitionNotAllowed
from gateway.flows.act import Act, onto
from gateway.flows.commitments.cleared import Cleared
from gateway.flows.commitments.documents import UNDECIDED, case_facts, cleared_at
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST, Once
from gateway.flows.verification.people import Inquiries, People
from gateway.flows.verification.verify import Verify
from gateway.rules.admission import CaseContext, Operator, Question, question_from_body
from gateway.rules.kept import table
from gateway.rules.people import Heard
from gateway.rules.plan import NotVerifiable, ParametersRefused
from gateway.rules.roles import Caller
from gateway.rules.standing_query import INCONCLUSIVE, contradicts, is_answered
from gateway.rules.verdict import Judgement, Verdict, would_contradict
from ledger import Draft, Ledger, RecordRow, new_record

_PAGE = 256
_REASON = "告知承诺事后核查"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeried:
    """What came of one commitment: CONFIRMED, DISCREPANCY, STILL_MISSING, NOT_REACHED, SKIPPED or CLEARED_BEFORE."""

    done: int
    total: int
    commitment: bytes
    result: str
    finding: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAgain:
    """What came of asking about one commitment; the words are those of `Requeried`.

    `covered` says whether any source could have answered.
    """

    result: str
    finding: bytes | None = None
    covered: bool = True


class Requery:
    """Looks at commitments again."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        book: Book,
        verify: Verify,
        once: Once,
        look_up: LookUp,
        people: People,
        cleared: Cleared,
        patience: float,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._verify = verify
        self._once = once
        self._look_up = look_up
        self._people = people
        self._cleared = cleared
        self._patience = patience
        self._act = Act(once=once, look_up=look_up, now=now)
        self._now = now
        self._entropy = entropy

    async def __call__(
        self, operator: Operator, caller: Caller, *, matter: str, all_in_force: bool
    ) -> AsyncIterator[Requeried]:
        """Ask about each commitment of the caller's unit that is in force and due (or all in force), in log order."""
        rows = await self._due(caller, matter, all_in_force)
        for done, row in enumerate(rows, 1):
            asked = await self.one(row, operator, asyncio.get_running_loop().time() + self._patience)
            yield Requeried(
                done=done, total=len(rows), commitment=row.record, result=asked.result, finding=asked.finding
            )

    async def _due(self, caller: Caller, matter: str, all_in_force: bool) -> Sequence[RecordRow]:
        before = None if all_in_force else self._now()
        found: list[RecordRow] = []
        after = -1
        while True:
            page = await self._page(before, after)
            found += [row for row in page if row.unit == caller.unit and matter in ("", row.matter)]
            if len(page) < _PAGE:
                return found
            after = page[-1].first_idx

    async def _page(self, before: datetime | None, after: int) -> list[RecordRow]:
        register = self._ledger.register()
        return await self._ledger.read(
            lambda: register.in_state("commitment", ("IN_FORCE",), due_before=before, after_idx=after, limit=_PAGE)
        )

    async def one(self, row: RecordRow, operator: Operator, deadline: float) -> AskedAgain:
        """Ask about one commitment by a loop time, and record what came of it."""
        try:
            question = await self._question(row, operator)
        except (DocumentErased, RecordNotFound):
            return AskedAgain(result="SKIPPED")
        catalogue = self._book.catalogue
        matter = catalogue.matters.get(question.context.matter)
        if question.item not in catalogue.items or matter is None or question.item not in matter.items:
            return AskedAgain(result="SKIPPED")
        try:
            planned = self._verify.plan(question, catalogue)
            asked = await self._verify.ask(question, catalogue, deadline, planned=planned)
            heard = await self._heard(row, question)
            terms = self._verify.terms(question, catalogue)
            weighed = await self._verify.with_people(question, planned, asked, terms, deadline, heard=heard)
        except (ParametersRefused, NotVerifiable):
            return AskedAgain(result="SKIPPED")  # the catalogue in force does not admit it as it was asked
        except TimeoutError:
            return AskedAgain(result="NOT_REACHED")
        step = self._verify.step(weighed.asked, terms, attempted=weighed.attempted)
        away = self._verify.step(asked, terms).kind.value in INCONCLUSIVE
        silent = None
        if away or not is_answered(asked.evidence):
            silent = AskedAgain(result="NOT_REACHED", covered=away)
        unconfirmed = would_contradict(planned, weighed.asked.answers)
        first, said = row, weighed.asked.judgement
        against = contradicts(said.verdict.value, map(str, said.reasons)) or (silent is None and unconfirmed)
        known = against and await self._cleared(row, question, planned, weighed.asked)

        async def judge(row: RecordRow, at: datetime) -> AskedAgain:
            await self._require_same(row, first)
            again, following = self._following(row, said, operator, silent, against=against, known=known)
            draft = self._verify.draft(question, weighed.asked, step, terms, at=at, parent=row.record)
            await self._once.record(None, [draft, *following], at=at)
            return again

        try:
            return await self._act.judged(row, judge)
        except (TransitionNotAllowed, DocumentErased, ClockBehind):
            return AskedAgain(result="SKIPPED")  # withdrawn, disputed, decided or erased while the sources were asked

    async def may_ask(self, row: RecordRow, operator: Operator, caller: Caller) -> bool:
        """Tell whether a caller may still ask what a commitment stands in for.

        Raises:
            DocumentErased: what it stands in for was erased.
        """
        return self._verify.may_ask(await self._question(row, operator), caller)

    async def _question(self, row: RecordRow, operator: Operator) -> Question:
        verification = await self._look_up.any("verification", row.parent or b"")
        kept = await self._look_up.document(verification.record, verification.first_idx)
        first = question_from_body(table(kept[REQUEST]))
        context = CaseContext(
            matter=first.context.matter, case_id=first.context.case_id, purpose=_REASON, operator=operator
        )
        return Question(context=context, item=first.item, subject=first.subject, parameters=first.parameters)

    async def _heard(self, row: RecordRow, question: Question) -> Heard:
        """Give what people said of the claim, but for what was cleared up since."""
        said = await self._people.inquiries(question, row.case_key or b"")
        since = await cleared_at(self._look_up, row)
        found = tuple(one for one in said.found if one.index > since)
        return self._people.with_these(Inquiries(found=found, marks=said.marks), ())

    async def note_contradiction(self, row: RecordRow, operator: Operator) -> None:
        """Note that what is recorded contradicts a commitment which waits for its decision; a finding is opened.

        Raises:
            TransitionNotAllowed: it waits no longer.
            DocumentErased: its documents were erased meanwhile.
        """
        first = row

        async def judge(row: RecordRow, at: datetime) -> None:
            await self._require_same(row, first)
            _, drafts = self._contradicted(row, operator)
            await self._once.record(None, drafts, at=at)

        await self._act.judged(row, judge)

    async def _require_same(self, row: RecordRow, first: RecordRow) -> None:
        """Require that a commitment still waits for what it waited for when it was asked about.

        A milestone, or that somebody else asked, changes nothing of what the sources answer; that people cleared it up
        does.

        Raises:
            TransitionNotAllowed: it does not.
        """
        waiting = UNDECIDED if first.state in UNDECIDED else (first.state,)
        cleared = row is not first and await cleared_at(self._look_up, row) > first.last_idx
        if row.state not in waiting or cleared:
            raise TransitionNotAllowed("CommitmentRequeried", row.state)

    def _contradicted(self, row: RecordRow, operator: Operator) -> tuple[AskedAgain, list[Draft]]:
        finding = new_record(self._now(), self._entropy)
        opened = Draft(
            kind="DiscrepancyFound",
            record=finding,
            groups={"officer": {"person": operator.person, "unit": operator.unit}},
            facts=case_facts(row, parent=row.record),
        )
        kind = "CommitmentQuestioned" if row.state in UNDECIDED else "CommitmentDisputed"
        return AskedAgain(result="DISCREPANCY", finding=finding), [opened, onto(row, kind)]

    def _following(
        self,
        row: RecordRow,
        said: Judgement,
        operator: Operator,
        silent: AskedAgain | None,
        *,
        against: bool,
        known: bool,
    ) -> tuple[AskedAgain, list[Draft]]:
        """Say what follows; `silent` is what an open answer comes to where the sources concluded nothing, `against`
        says that the answer contradicts the commitment, or that those who decided do, and too few others answered,
        `known` that people cleared up all of that.
        """
        decided = row.state not in UNDECIDED
        noted = [onto(row, "CommitmentRequeried")]
        if said.verdict is Verdict.ESTABLISHED:
            confirmed = [onto(row, "CommitmentConfirmed", facts={"due_at": None})]
            return AskedAgain(result="CONFIRMED"), confirmed if decided else noted
        if against:
            return (AskedAgain(result="CLEARED_BEFORE"), noted) if known else self._contradicted(row, operator)
        if silent is not None:
            return silent, []
        return AskedAgain(result="STILL_MISSING"), noted
