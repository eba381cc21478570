"""Tell standing: say whether a person may commit in a case, to who handles it; each look is recorded before."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.connector import Subject
from gateway.catalogue.book import Book
from gateway.flows.commitments.stand import Stand
from gateway.flows.once import Recorded
from gateway.flows.record_look import RecordLook
from gateway.flows.verification.verify import require_entitled
from gateway.rules.admission import CaseContext
from gateway.rules.eligibility import Barred
from gateway.rules.roles import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """Whose standing is asked for, for which item, and for which case and purpose."""

    subject: Subject = field(repr=False)
    item: str
    context: CaseContext


class TellStanding:
    """Answers by our own ledger, to those only who could ask the question itself."""

    def __init__(self, *, book: Book, stand: Stand, record_look: RecordLook) -> None:
        self._book = book
        self._stand = stand
        self._record_look = record_look

    async def __call__(self, asked: Inquiry, caller: Caller) -> tuple[Barred | None, Recorded]:
        """Say what bars the person, or nothing, with the proof that it was looked at.

        Raises:
            NotEntitled, ItemBanned: the caller's department may not ask this of anybody; nothing is told or recorded.
        """
        context, catalogue = asked.context, self._book.catalogue
        require_entitled(caller, catalogue.item(asked.item), catalogue.matter(context.matter))
        recorded = await self._record_look(
            asked.subject,
            context.operator,
            context.purpose,
            case={"matter": context.matter, "item": asked.item, "case_id": context.case_id},
        )
        found = await self._stand.eligibility(asked.subject, context.matter, asked.item)
        return (found if isinstance(found, Barred) else None), recorded
