"""Ask the lists that bar a person from commitments: the credit platform, and the register of declared incapacity.

They are sources like any other: the same connectors, the same resilience, the same outcomes. Where a list is configured
and gives no usable answer, the person is not eligible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connectors.connector import QueryContext, Subject
from connectors.outcome import NOT_COVERED, Evidence
from gateway.catalogue.book import Book
from gateway.flows.verification.ask import NO_SOURCE, Ask
from gateway.flows.verification.verify import fact_body
from gateway.rules.admission import Operator, Question
from gateway.rules.kept import table, text
from gateway.rules.listing import Listed, Listing, listing_plan, weigh_listing
from ledger.canonical import Json

_REASON = "告知承诺资格核查"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """What the configured lists say of a person, and the evidence of it."""

    credit: Listing = Listing.NOT_ASKED
    incapacity: Listing = Listing.NOT_ASKED
    evidence: tuple[Evidence, ...] = field(default=(), repr=False)
    reasons: tuple[str, ...] = ()

    def body(self) -> dict[str, Json]:
        """Give it as it is kept."""
        return {
            "credit": self.credit.value,
            "incapacity": self.incapacity.value,
            "reasons": list(self.reasons),
            "facts": [fact_body(one) for one in self.evidence],
        }


def lists_from_body(kept: Mapping[str, Json]) -> Lists:
    """Read back what lists said when a document was handed out; for as long as it can be signed, that counts."""
    return Lists(credit=Listing(text(kept["credit"])), incapacity=Listing(text(kept["incapacity"])))


NOTHING_ASKED = Lists()


class Listings:
    """Asks the configured lists; `credit_fact` and `capacity_fact` are fact types of the catalogue, empty for none."""

    def __init__(
        self,
        *,
        book: Book,
        ask: Ask,
        credit_fact: str,
        capacity_fact: str,
        reserve: float,
        now: Callable[[], datetime],
    ) -> None:
        self._book = book
        self._ask = ask
        self._credit_fact = credit_fact
        self._capacity_fact = capacity_fact
        self._reserve = reserve
        self._now = now

    async def __call__(self, question: Question, operator: Operator, deadline: float) -> Lists:
        """Ask about the subject of a question, both lists at once, by a loop time; always answers."""
        return await self._about(
            question.subject, (self._credit_fact, self._capacity_fact), question, operator, deadline
        )

    async def capacity(self, person: Subject, question: Question, operator: Operator, deadline: float) -> Lists:
        """Ask the register of incapacity alone, about somebody whom a question concerns; always answers.

        Of who acts for the applicant nothing else is asked: the commitment, and the credit it is made upon, are the
        applicant's. Nor is anything else of somebody whose commitment was broken.
        """
        return await self._about(person, ("", self._capacity_fact), question, operator, deadline)

    async def _about(
        self, subject: Subject, facts: tuple[str, str], question: Question, operator: Operator, deadline: float
    ) -> Lists:
        """Ask the credit platform and the register, of which either may be empty for none, about a person."""
        if not any(facts):
            return NOTHING_ASKED
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        context = QueryContext(
            matter=question.context.matter,
            case=question.context.case_id,
            item=question.item,
            operator=operator.person,
            unit=operator.unit,
            reason=_REASON,
            deadline=deadline - min(self._reserve, left / 2),
        )
        (credit, first), (incapacity, second) = await asyncio.gather(
            *(self._one(fact, subject, context) for fact in facts)
        )
        return Lists(
            credit=credit.listing,
            incapacity=incapacity.listing,
            evidence=(*first, *second),
            reasons=tuple(sorted({str(reason) for one in (credit, incapacity) for reason in one.reasons})),
        )

    async def _one(self, fact: str, subject: Subject, context: QueryContext) -> tuple[Listed, Sequence[Evidence]]:
        if not fact:
            return Listed(listing=Listing.NOT_ASKED), ()
        declared = self._book.catalogue.fact_types.get(fact)
        if declared is None:  # a catalogue that came into force meanwhile does not have it
            now = self._now()
            evidence = Evidence(
                source=NO_SOURCE, fact_type=fact, outcome=NOT_COVERED, asked_at=now, answered_at=now, attempts=0
            )
            return Listed(listing=Listing.UNKNOWN), (evidence,)
        plan = listing_plan(declared, subject)
        asked = await self._ask(plan, context)
        sources = len(self._ask.sources_for(fact))
        return weigh_listing(plan, asked.evidence, sources=sources), asked.evidence


def kept_lists(kept: Mapping[str, Json]) -> Lists:
    """Read the lists from the groups of a handed-out document."""
    return lists_from_body(table(table(kept["eligibility"])["lists"]))
