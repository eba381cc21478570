"""Answer again: what a claim comes to after people acted, recorded together with what they did.

Who asked first may be another than who acts now: the question stands as it was asked, and is asked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from msgspec import Struct

from gateway.catalogue.book import Book
from gateway.catalogue.words import Disclosure
from gateway.flows.look_up import ANSWER
from gateway.flows.once import Once
from gateway.flows.verification.people import Inquiries, People
from gateway.flows.verification.verify import Verify, open_facts, require_entitled
from gateway.rules.admission import Question
from gateway.rules.kept import table, text
from gateway.rules.people import Inquiry
from gateway.rules.plan import NotVerifiable, ParametersRefused, Plan
from gateway.rules.roles import Caller
from ledger import Draft, LedgerError

_log = structlog.get_logger()
_TRIES = 4


class Again(Struct, frozen=True, kw_only=True):
    """The new answer, and the types of fact that were open without what is recorded with it."""

    draft: Draft
    open_before: frozenset[str]

    @property
    def step(self) -> str:
        """The next step."""
        return text(table(table(self.draft.groups[ANSWER])["next_step"])["kind"])


class AnswerAgain:
    """Answers questions of a case again, with what people said of them."""

    def __init__(
        self, *, book: Book, verify: Verify, people: People, once: Once, now: Callable[[], datetime]
    ) -> None:  # fmt: skip
        self._book = book
        self._verify = verify
        self._people = people
        self._once = once
        self._now = now

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

    async def __call__(
        self, question: Question, known: Inquiries, deadline: float, *, at: datetime, acts: Sequence[Inquiry] = ()
    ) -> Again | None:
        """Answer a question by a loop time, with what is recorded of people and what is about to be; None if the
        catalogue in force no longer admits it.

        Raises:
            TimeoutError: there is no time left to ask anybody.
        """
        catalogue = self._book.catalogue
        planned = self._planned(question)
        if planned is None:
            return None
        asked = await self._verify.ask(question, catalogue, deadline, planned=planned)
        heard = self._people.with_these(known, acts)
        after = await self._verify.with_people(question, planned, asked, deadline, heard)
        before = self._verify.weigh(planned, after.asked, self._people.with_these(known, ()))
        terms = self._verify.terms(question, catalogue)
        step = await self._verify.follow(question, after, terms)
        return Again(
            draft=self._verify.draft(question, after.asked, step, terms, at=at),
            open_before=open_facts(planned, before.asked),
        )

    async def catch_up(
        self, question: Question, case_key: bytes, known: Inquiries, own: bytes, deadline: float
    ) -> None:
        """Answer once more if acts of others came in between, so that the newest answer knows all of them."""
        seen = _others(known, own)
        try:
            for _ in range(_TRIES):
                known = await self._people.inquiries(question, case_key)
                others = _others(known, own)
                if others == seen:
                    return
                seen, at = others, self._now()
                again = await self(question, known, deadline, at=at)
                if again is not None:
                    await self._once.record(None, [again.draft], at=at)
        except (TimeoutError, LedgerError) as error:
            # The act itself is recorded; whoever asks again is answered with all that people said.
            _log.warning("a claim was not answered again", reason=type(error).__name__)

    def _planned(self, question: Question) -> Plan | None:
        catalogue = self._book.catalogue
        matter = catalogue.matters.get(question.context.matter)
        if question.item not in catalogue.items or matter is None or question.item not in matter.items:
            return None
        try:
            return self._verify.plan(question, catalogue)
        except (ParametersRefused, NotVerifiable):
            return None


def _others(known: Inquiries, own: bytes) -> frozenset[tuple[bytes, int]]:
    return frozenset(mark for mark in known.marks if mark[0] != own)
