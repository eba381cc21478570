"""People: what departments answered and what was checked about a claim in a case, from the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from connectors.outcome import Kind
from gateway.catalogue.book import Book
from gateway.catalogue.model import Catalogue, Item
from gateway.catalogue.words import Rung
from gateway.errors import DocumentErased
from gateway.flows.look_up import LookUp
from gateway.rules.admission import (
    Question,
    argument_words,
    question_body,
    question_from_body,
    subject_body,
)
from gateway.rules.clocks import legal_day
from gateway.rules.kept import table, text
from gateway.rules.people import Heard, Inquiry, Stands, decisive, heard, meaning, stands_untrue
from gateway.rules.plan import NotVerifiable, ParametersRefused, plan
from gateway.rules.same_claim import asserted, asserts_alike, asserts_more, claim_of
from ledger import BlindIndex, Ledger, RecordRow
from ledger.canonical import Json, canonical

ASSISTANCE = "assistance"
CHECK = "check"
FAMILIES = (ASSISTANCE, CHECK)
ASKED = "asked"
"""The group of AssistanceSent and CheckRecorded that says for which claim and type of fact, and who is to find out."""
SHOWN = "shown"
"""The group of AssistanceReceived that holds what was shown, in words: it names the person."""
FOUND = "found"
"""The group of AssistanceAnswered and CheckRecorded that says what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiries:
    """The requests and checks about a claim in a case; `marks` tell whether any came or changed since. `elsewhere` are
    those about the same in other cases, and in this one about what comes to the same (`asserts_alike`); and those that
    found untrue, and still do, what the claim says and more (`asserts_more`).
    """

    found: tuple[Inquiry, ...]
    marks: frozenset[tuple[bytes, int]]
    elsewhere: tuple[Inquiry, ...] = ()

    @property
    def stands_untrue(self) -> bool:
        """Tell whether people found the claim untrue, in whatever case and words, and did not take it back."""
        return stands_untrue((*self.found, *self.elsewhere))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """A request or check as it stands, and the question that was kept with it."""

    question: Mapping[str, Json]
    inquiry: Inquiry


class People:
    """Reads what people were asked and found."""

    def __init__(
        self, *, ledger: Ledger, book: Book, look_up: LookUp, index: BlindIndex, now: Callable[[], datetime]
    ) -> None:  # fmt: skip
        self._book = book
        self._look_up = look_up
        self._index = index
        self._now = now
        self._register = ledger.register()
        self._concerned = ledger.lookups(partial(self._register.concerned, families=FAMILIES))
        self._by_subject = ledger.lookups(partial(self._register.by_subjects, families=FAMILIES))

    def claim(self, question: Question) -> str:
        """Give what tells the claim of a question from others, to whoever has the key only (hexadecimal)."""
        return self._index.digest(canonical(claim_of(question_body(question)))).hex()

    def one_at_a_time(self, question: Question, case_key: bytes, fact_type: str, unit: str) -> bytes:
        """Give the key that one open request to a unit about a type of fact claims."""
        parts = (self.claim(question), case_key.hex(), fact_type, unit)
        return hashlib.sha256(b"assistance\x00" + "\x00".join(parts).encode()).digest()

    async def heard(self, question: Question, case_key: bytes, *, subject: bytes) -> Heard:
        """Give what people said of a claim in a case; `subject` is the person's key."""
        return self.with_these(await self.inquiries(question, case_key, subject=subject), ())

    def with_these(self, recorded: Inquiries, besides: Sequence[Inquiry]) -> Heard:
        """Give what people said by what is recorded, and by what is about to be."""
        all_of_them = {one.record: one for one in (*recorded.found, *besides)}
        return heard(all_of_them.values(), now=self._now(), elsewhere=recorded.elsewhere)

    async def inquiries(self, question: Question, case_key: bytes, *, subject: bytes | None = None) -> Inquiries:
        """Read the requests and checks about a claim, in a case and elsewhere; erased ones are left out.

        `subject` is the person's key, where it is known.
        """
        if subject is None:
            subject = self._index.of(question.subject.id_type, question.subject.id_number)
        if subject not in await self._concerned.find((subject,)):
            return Inquiries(found=(), marks=frozenset())
        about = await self._by_subject.one(subject) or ()
        claim = claim_of(question_body(question))
        found, others, marks = list[Inquiry](), list[_Told](), set[tuple[bytes, int]]()
        for row in about:
            if row.item != question.item:
                continue
            is_here = row.case_key == case_key
            if is_here:
                marks.add((row.record, row.last_idx))
            if (told := await self._told(row)) is None:
                continue
            # Compared by the question that was kept: its digest is of the form in which texts were compared then.
            if is_here and claim_of(told.question) == claim:
                found.append(told.inquiry)
            else:
                others.append(told)
        return Inquiries(found=tuple(found), marks=frozenset(marks), elsewhere=self._elsewhere(question, others))

    def _elsewhere(self, question: Question, others: Sequence[_Told]) -> tuple[Inquiry, ...]:
        """Pick of what was asked and found about the same item and person elsewhere what says anything of a claim."""
        catalogue, today = self._book.catalogue, legal_day(self._now())
        one = asserted(question, catalogue, today=today)
        alike, of_less = list[Inquiry](), dict[object, list[Inquiry]]()
        for told in others:
            other = asserted(question_from_body(told.question), catalogue, today=today)
            if asserts_alike(one, other):
                alike.append(told.inquiry)
            elif asserts_more(one, other, told.inquiry.fact_type):
                of_less.setdefault(other.key, []).append(told.inquiry)
        untrue = (said for each in of_less.values() for said in decisive(each) if said.outcome is Kind.MISMATCH)
        return (*alike, *untrue)

    async def inquiry(self, row: RecordRow) -> Inquiry | None:
        """Read how one request or check stands; None if it is erased."""
        told = await self._told(row)
        return None if told is None else told.inquiry

    async def _told(self, row: RecordRow) -> _Told | None:
        """Read the question of one request or check, and how it stands; None if it is erased."""
        try:
            kept = await self._look_up.document(row.record, row.first_idx)
            asked = table(kept[ASKED])
            if row.family == ASSISTANCE and row.state == "ANSWERED":
                kept = await self._look_up.document_of(row, "AssistanceAnswered")
        except DocumentErased:
            return None
        inquiry = Inquiry(
            record=row.record,
            rung=Rung.ASSISTANCE if row.family == ASSISTANCE else Rung.OWN_OR_COMMISSIONED_CHECK,
            fact_type=text(asked["fact_type"]),
            who=text(asked["who"]),
            unit=row.unit or "",
            state=row.state,
            began_at=row.opened_at,
            changed_at=row.changed_at,
            due_at=row.due_at,
            first=row.first_idx,
            index=row.last_idx,
            outcome=Kind(text(table(kept[FOUND])["outcome"])) if FOUND in kept else None,
        )
        return _Told(question=table(asked["question"]), inquiry=inquiry)


def shown(asked: Mapping[str, Json], catalogue: Catalogue, today: date) -> dict[str, Json]:
    """Put what people are asked in words; codes stand where the catalogue in force does not know them any more."""
    question = question_from_body(table(asked["question"]))
    fact_type = text(asked["fact_type"])
    item, fact = catalogue.items.get(question.item), catalogue.fact_types.get(fact_type)
    said: list[Json] = []
    for name, value in question.parameters.items():
        declared = None if item is None else item.parameters.get(name)
        label = name if declared is None else declared.label
        said.append([label, str(value) if declared is None else argument_words(value, declared)])
    return {
        "subject": subject_body(question.subject),
        "fact_title": fact_type if fact is None else fact.title,
        "item_title": question.item if item is None else item.title,
        "said": said,
        "purpose": question.context.purpose,
        "note": asked["note"],
        "meaning": meaning(
            fact_type if fact is None else fact.title, _stands(question, item, catalogue, fact_type, today)
        ),
    }


def _stands(question: Question, item: Item | None, catalogue: Catalogue, fact_type: str, today: date) -> list[Stands]:
    """Say how a type of fact stands in what the applicant says; in no way, where the catalogue in force cannot say."""
    if item is None:
        return []
    try:
        planned = plan(item, question.parameters, question.subject, catalogue.fact_types, today=today)
    except (ParametersRefused, NotVerifiable):
        return []
    signs = planned.signs()
    return [
        Stands(negated=signs.get(check.id), subject=check.claim.subject)
        for check in planned.checks.values()
        if check.fact_type == fact_type
    ]
