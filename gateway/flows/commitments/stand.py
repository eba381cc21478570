"""How a person stands: may they make a commitment at present, and has this case one already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from functools import partial

from connectors.connector import Subject
from gateway.catalogue.book import Book
from gateway.catalogue.words import SilentCredit, WithdrawalEffect
from gateway.errors import DocumentErased
from gateway.flows.commitments.documents import TAKEN, after_effect_of, claim_of
from gateway.flows.commitments.listings import NOTHING_ASKED, Lists
from gateway.flows.look_up import LookUp, answers_like
from gateway.rules.ages import age_on
from gateway.rules.clocks import legal_day
from gateway.rules.eligibility import (
    BarCode,
    Barred,
    EarlierCommitment,
    EligibilityInput,
    Eligible,
    History,
    eligibility,
)
from ledger import BlindIndex, Ledger, RecordRow

_ADULT = 18
_COMMITMENTS = {
    "RECORDED": History.IN_FORCE,
    "BINDING": History.IN_FORCE,
    "IN_FORCE": History.IN_FORCE,
    "QUESTIONED": History.AUDIT_PENDING,
    "WITHDRAWN": History.WITHDRAWN,
    "LAPSED": History.LAPSED,
    "CONFIRMED": History.HONOURED,
    "DISPUTED": History.AUDIT_PENDING,
    "INCONCLUSIVE": History.INCONCLUSIVE,
}
"""A broken commitment counts through its finding, which alone says whether it is final, repaired or expired."""
_FINDINGS = {
    "DECIDED": History.BROKEN_NOT_FINAL,
    "FINAL": History.BROKEN,
    "REPAIRED": History.BROKEN_REPAIRED,
    "EFFECT_ENDED": History.BROKEN_EXPIRED,
}


_FAMILIES = {"commitment": _COMMITMENTS, "finding": _FINDINGS}


class Stand:
    """Answers from our own ledger."""

    def __init__(
        self, *, ledger: Ledger, book: Book, look_up: LookUp, index: BlindIndex, now: Callable[[], datetime]
    ) -> None:
        self._by_subject = ledger.lookups(partial(ledger.register().by_subjects, families=_FAMILIES), few=False)
        self._by_case = ledger.lookups(ledger.register().by_cases)
        self._by_claim = ledger.lookups(ledger.register().holders)
        self._book = book
        self._look_up = look_up
        self._index = index
        self._now = now

    async def eligibility(
        self,
        subject: Subject,
        matter: str,
        item: str,
        *,
        lists: Lists = NOTHING_ASKED,
        waived: frozenset[BarCode] = frozenset(),
        refused: int | None = None,
    ) -> Eligible | Barred:
        """Say whether the person may make a commitment for an item of a matter, and if not, why.

        `lists` is what outsiders' lists said of the person, `waived` what a reviewer lifted for this commitment,
        which was refused by the entry `refused`: what came since is not waived.
        """
        key = self._index.of(subject.id_type, subject.id_number)
        rows = await self._by_subject.one(key) or []
        now = self._now()
        today = legal_day(now)
        catalogue = self._book.catalogue
        known = catalogue.matters.get(matter)
        asked = known.items.get(item) if known else None
        earlier = [await self._weighed(one, row, matter) for row in rows if (one := _earlier(row, now, refused))]
        return eligibility(
            EligibilityInput(
                matter=matter,
                today=today,
                earlier=earlier,
                excluded_by_matter=asked is None or asked.excluded_from_commitment,
                full_capacity=has_full_capacity(subject, today),
                credit=lists.credit,
                credit_silent=known.credit_silent if known else SilentCredit.REFUSE_TEMPORARILY,
                incapacity=lists.incapacity,
                waived=waived,
            )
        )

    async def _weighed(self, earlier: EarlierCommitment, row: RecordRow, matter: str) -> EarlierCommitment:
        """Add to a commitment that was withdrawn in a matter what it was recorded to do to later ones.

        Whoever's documents are erased is nobody's row any more, so an erased withdrawal bars nobody: one that is erased
        between the two readings is no other.
        """
        if earlier.history is not History.WITHDRAWN or row.matter != matter:
            return earlier
        try:
            kept = await self._look_up.document(row.record, row.last_idx)
        except DocumentErased:
            return earlier
        return replace(earlier, after_effect=after_effect_of(kept) or WithdrawalEffect.NONE)

    async def taken(self, case: RecordRow) -> bytes | None:
        """Return the commitment that the case of a record already has for its item, or None."""
        if case.case_key is None:
            return None
        rows = await self._by_case.one(case.case_key) or []
        signed = (row for row in rows if row.family == "commitment" and row.item == case.item)
        taken = next((row.record for row in signed if row.state in TAKEN), None)
        if taken is not None:
            return taken
        # What is claimed refuses the signature, so it refuses the document to sign as well.
        claimed = await self._by_claim.one(claim_of(case))
        return None if claimed is None else claimed.record

    async def verifications(self, case: RecordRow) -> list[RecordRow]:
        """Return the answers that were given about the item and person of a record in its case, oldest first."""
        rows = await self._by_case.one(case.case_key) if case.case_key is not None else None
        return answers_like(rows or (), case)


def has_full_capacity(subject: Subject, today: date) -> bool:
    """Say whether a person has full civil capacity by age, as far as the number tells (Civil Code, articles 17 and 18).

    Only a number with a birth date can tell; an organisation acts through its representative.
    """
    age = age_of(subject, today)
    return age is None or age >= _ADULT


def age_of(subject: Subject, today: date) -> int | None:
    """Give a person's age in whole years, as the number tells it; None of an organisation."""
    if subject.id_type == "uscc":
        return None
    number = subject.id_number
    return age_on(today, born=date(int(number[6:10]), int(number[10:12]), int(number[12:14])))


def _earlier(row: RecordRow, now: datetime, refused: int | None) -> EarlierCommitment | None:
    history = _FAMILIES[row.family].get(row.state)
    if history is None:
        return None
    if history is History.BROKEN and row.due_at is not None and row.due_at < now:
        # A final finding carries the end of its effect as its due date; past it, even we may no longer use it.
        history = History.BROKEN_EXPIRED
    since = refused is None or row.last_idx > refused
    return EarlierCommitment(matter=row.matter or "", history=history, on=legal_day(row.changed_at), since=since)
