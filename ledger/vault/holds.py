"""Legal holds: what a court, an inquiry or a dispute needs is not erased, neither by order nor at the end of retention.

The holds that are read here tell beforehand what will be refused. What refuses it is the append that erases: it sees
every hold that stands in the log before it (`ledger.appends.planning`). A hold in force is held itself.
What is held is kept with its kin (`ledger.records.kin`): a commitment with the verification it rests on, what people
found for it and what came of it, or what is left of it would prove nothing.

A hold is a record of its own: `LegalHoldPlaced` on a record, or on a person by blind index, until `LegalHoldReleased`.
Basis, document number and who placed it are the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.appends.values import Draft, Submission
from ledger.errors import ErasureRefused
from ledger.log.store import Store
from ledger.records.projections import RecordRow
from ledger.records.register import Register
from ledger.vault.documents import count_documents
from ledger.vault.officers import wrong_texts

FAMILY, HELD = "operation", "HELD"
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOrder:
    """Why something is held: the rule, the number of the order, and the staff number of who placed it."""

    basis: str
    document_number: str
    person: str

    def mistakes(self) -> list[str]:
        """Name what is wrong with the order."""
        texts = (("the basis", self.basis), ("the document number", self.document_number),
                 ("the staff number", self.person))  # fmt: skip
        return wrong_texts(texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """Everything that is held now: records with their kin, the holds themselves, and people by blind index."""

    records: frozenset[bytes]
    subjects: frozenset[bytes]

    def cover(self, row: RecordRow) -> bool:
        """Say whether a record is held: itself, with its kin or with its person."""
        return row.record in self.records or (row.subject is not None and row.subject in self.subjects)


def read_holds(register: Register) -> Holds:
    """Read the holds in force."""
    rows = held_rows(register)
    kept = register.kin({record for row in rows for record in _named(register, row)})
    return Holds(
        records=kept | {row.record for row in rows},
        subjects=frozenset(row.subject for row in rows if row.subject is not None),
    )


def held_rows(register: Register) -> list[RecordRow]:
    """Read the records of the holds in force, oldest first."""
    rows: list[RecordRow] = []
    while page := register.in_state(FAMILY, (HELD,), after_idx=rows[-1].first_idx if rows else -1, limit=_PAGE):
        rows += page
    return rows


def count_held(store: Store, hold: bytes) -> int:
    """Count the documents that a hold keeps: once it stands in the log, none of them is erased before its release."""
    register = Register(store)
    row = register.get(hold)
    if row is None or row.state != HELD:
        return 0
    kept = register.kin(_named(register, row)) - {hold}
    with store.reading() as connection:
        return sum(count_documents(connection, record) for record in kept)


def _named(register: Register, hold: RecordRow) -> set[bytes]:
    """Give the records that a hold is on, by itself or by the person they are about."""
    records = {hold.parent} if hold.parent is not None else set()
    return records | ({row.record for row in register.by_subject(hold.subject)} if hold.subject is not None else set())


def place_hold(
    order: HoldOrder, *, record: bytes, at: datetime, held: bytes | None = None, subject: bytes | None = None
) -> Submission:
    """Make what is appended to hold a record, or a person by blind index.

    Raises:
        ErasureRefused: naming every mistake.
    """
    mistakes = order.mistakes()
    if (held is None) == (subject is None):
        mistakes.append("a hold is on a record or on a person")
    if mistakes:
        raise ErasureRefused(mistakes)
    facts = {"parent": held.hex()} if held is not None else {"subject": (subject or b"").hex()}
    return Submission((Draft(kind="LegalHoldPlaced", record=record, fields={"order": _kept(order)}, facts=facts),), at)


def release_hold(order: HoldOrder, hold: bytes, at: datetime) -> Submission:
    """Make what is appended to end a hold; raises `ErasureRefused`."""
    if mistakes := order.mistakes():
        raise ErasureRefused(mistakes)
    return Submission((Draft(kind="LegalHoldReleased", record=hold, fields={"order": _kept(order)}),), at)


def _kept(order: HoldOrder) -> dict[str, str]:
    return {"basis": order.basis, "document-number": order.document_number, "person": order.person}
