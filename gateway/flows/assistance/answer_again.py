"""Answer again: what a claim comes to after people acted, recorded together with what they did.

Who asked first may be another than who acts: the question stands as it was asked, and is asked anew, by the rules by
which it may be asked at all. Where these refuse it (the unit that asked may not ask any more, guesses about the person
are used up), no source is asked, and the refusal is recorded in the answer's place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

import structlog
from msgspec import Struct
from msgspec.structs import replace

from gateway.catalogue.book import Book
from gateway.catalogue.words import Disclosure
from gateway.errors import GatewayError, GuessBudgetSpent, ItemBanned, NotEntitled, NotYetPublished
from gateway.flows.look_up import ANSWER
from gateway.flows.once import Once, Recorded, Request
from gateway.flows.verification.guess import Counting, Guess, GuessBudget, Wrong, until_counted
from gateway.flows.verification.people import Inquiries, People
from gateway.flows.verification.verify import Verify, open_facts, require_entitled
from gateway.rules.admission import Question
from gateway.rules.kept import table, text
from gateway.rules.people import Inquiry
from gateway.rules.plan import NotVerifiable, ParametersRefused, Plan
from gateway.rules.roles import Caller
from gateway.rules.verdict import Verdict
from ledger import Draft, LedgerError

_log = structlog.get_logger()
_TRIES = 8
_Kept = TypeVar("_Kept")


class Again(Struct, frozen=True, kw_only=True):
    """A question as it is answered once people have acted, and as it is if they do not act: two drafts of one record.

    Both are the same refusal where the question may not be asked, and None where the catalogue in force does not admit
    it. `open_before` are the types of fact that are open if they do not act; `tells_facts` says whether the matter
    discloses which these are.
    """

    at: datetime
    acted: Draft | None = None
    alone: Draft | None = None
    refusal: GatewayError | None = None
    open_before: frozenset[str] = frozenset()
    tells_facts: bool = True
    counting: Counting = Counting()


Record = Callable[[Again], Awaitable[_Kept]]
"""Records an answer with what it goes with. It is called again where another process counted a guess about the same
person at the same moment, so that nothing was recorded."""


class AnswerAgain:
    """Answers questions of a case again, with what people said of them."""

    def __init__(
        self,
        *,
        book: Book,
        verify: Verify,
        guesses: GuessBudget,
        people: People,
        once: Once,
        now: Callable[[], datetime],
        count: Callable[[str, str], None],
    ) -> None:
        """`count` is told verdict and next step of each new answer once it is recorded."""
        self._book = book
        self._verify = verify
        self._guesses = guesses
        self._people = people
        self._once = once
        self._now = now
        self._count = count

    def require_entitled(self, question: Question, caller: Caller) -> None:
        """Refuse a caller who may not ask the question by the catalogue in force.

        Raises:
            NotEntitled, ItemBanned: names the rule.
        """
        catalogue = self._book.catalogue
        require_entitled(caller, catalogue.item(question.item), catalogue.matter(question.context.matter))

    def disclosure(self, question: Question) -> Disclosure:
        """Say what an answer to a question that the catalogue in force admits discloses."""
        return self._verify.terms(question, self._book.catalogue).disclosure

    def fact_types(self, question: Question) -> frozenset[str]:
        """Name the types of fact that a question turns on; none where the catalogue in force does not admit it."""
        planned = self._planned(question)
        return frozenset() if planned is None else planned.fact_types()

    async def __call__(
        self,
        question: Question,
        known: Inquiries,
        deadline: float,
        record: Record[_Kept],
        *,
        at: datetime,
        acts: Sequence[Inquiry] = (),
    ) -> _Kept:
        """Answer a question by a loop time, with what is recorded of people and what is about to be, and have the
        answer recorded; returns what `record` does.

        Raises:
            TimeoutError: there is no time left to ask anybody.
            ledger.LedgerUnavailable: guesses about the person were counted by others all the time.
        """
        planned = self._planned(question)
        if planned is None:
            return await record(Again(at=at))
        guesses = self._guesses.guesses(planned, question.subject)
        if refusal := await self._enter(question, guesses, deadline):
            return await record(self._refused(question, refusal, at))
        try:
            catalogue = self._book.catalogue
            asked = await self._verify.ask(question, catalogue, deadline, planned=planned)
            heard = self._people.with_these(known, acts)
            terms = self._verify.terms(question, catalogue)
            after = await self._verify.with_people(question, planned, asked, terms, deadline, heard=heard)
            before = self._verify.weigh(planned, after.asked, self._people.with_these(known, ()), terms)
            alone, acted = [
                self._verify.draft(question, one.asked, await self._verify.follow(question, one, terms), terms, at=at)
                for one in (before, after)
            ]
            again = Again(
                at=at,
                acted=acted,
                alone=alone._replace(record=acted.record),
                open_before=open_facts(planned, before.asked),
                tells_facts=terms.disclosure is Disclosure.PER_FACT,
            )
            established = after.asked.judgement.verdict is Verdict.ESTABLISHED
            wrong = self._guesses.wrong(planned, question.subject, after.asked.tells, established=established)
            return await self._counted(question, again, acted.record, wrong, record)
        finally:
            self._guesses.leave(guesses)

    async def keep(
        self,
        again: Again,
        request: Request | None = None,
        act: Draft | None = None,
        *,
        claims: Sequence[tuple[bytes, bytes]] = (),
        releases: Sequence[bytes] = (),
    ) -> Recorded:
        """Record an answer, or the refusal in its place, together with an act; raises as `Once.record` does."""
        answer = again.alone if act is None else again.acted
        recorded = await self._once.record(
            request,
            [draft for draft in (act, answer) if draft is not None],
            at=again.at,
            claims=(*claims, *again.counting.claims),
            releases=(*releases, *again.counting.releases),
        )
        if answer is not None and again.refusal is None and not recorded.replayed:
            self._count(text(table(answer.groups[ANSWER])["verdict"]), step_of(answer))
        return recorded

    async def catch_up(
        self, question: Question, case_key: bytes, known: Inquiries, own: bytes, deadline: float
    ) -> None:
        """Answer once more if acts of others came in between, so that the newest answer knows all of them."""

        async def record(again: Again) -> None:
            if again.alone is not None and again.refusal is None:  # refusals stand beside the acts already
                await self.keep(again)

        seen = _others(known, own)
        try:
            for _ in range(_TRIES):
                known = await self._people.inquiries(question, case_key)
                others = _others(known, own)
                if others == seen:
                    return
                seen = others
                await self(question, known, deadline, record, at=self._now())
        except (TimeoutError, NotYetPublished, LedgerError) as error:
            # The act itself is recorded; whoever asks again is answered with all that people said.
            _log.warning("a claim was not answered again", reason=type(error).__name__)

    async def _enter(self, question: Question, guesses: Sequence[Guess], deadline: float) -> GatewayError | None:
        """Take the places of a question among those that are asked, or say why it may not be asked."""
        try:
            unit = question.context.operator.unit
            self.require_entitled(question, Caller(id="", unit=unit, roles=frozenset()))
            async with asyncio.timeout_at(deadline):
                await self._guesses.enter(guesses)
        except (NotEntitled, ItemBanned, GuessBudgetSpent) as refusal:
            return refusal
        return None

    async def _counted(
        self, question: Question, again: Again, answer: bytes, wrong: Sequence[Wrong], record: Record[_Kept]
    ) -> _Kept:  # fmt: skip
        async def count() -> _Kept:
            return await record(replace(again, counting=await self._guesses.counting(wrong, answer)))

        try:
            return await until_counted(count)
        except GuessBudgetSpent as refusal:
            spent = self._refused(question, refusal, again.at)
        return await record(spent)

    def _refused(self, question: Question, refusal: GatewayError, at: datetime) -> Again:
        draft = self._verify.refused(question, refusal, self._book.catalogue, at=at)
        return Again(at=at, acted=draft, alone=draft, refusal=refusal)

    def _planned(self, question: Question) -> Plan | None:
        catalogue = self._book.catalogue
        matter = catalogue.matters.get(question.context.matter)
        if question.item not in catalogue.items or matter is None or question.item not in matter.items:
            return None
        try:
            return self._verify.plan(question, catalogue)
        except (ParametersRefused, NotVerifiable):
            return None


def step_of(answer: Draft | None) -> str:
    """Give the next step of an answer; empty of none."""
    return "" if answer is None else text(table(table(answer.groups[ANSWER])["next_step"])["kind"])


def _others(known: Inquiries, own: bytes) -> frozenset[tuple[bytes, int]]:
    return frozenset(mark for mark in known.marks if mark[0] != own)
