"""Erasure by order: two officers, a legal basis and a document number; what it erased stays provable, not legible.

The order itself is the document of a `DocumentErased` entry: group `order` by fields (`basis`, `document-number`,
`first-number`, `first-name`, `second-number`, `second-name`) and group `erased`, the sorted ids of the records.
Neither is in the log in clear. The ledger cannot know that two officers really agreed: whoever may run the command is
trusted to have the signed order before them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from ledger.appends.values import Draft, Submission
from ledger.errors import ErasureRefused
from ledger.log import schema
from ledger.log.store import Store
from ledger.records.register import Register
from ledger.vault.documents import count_documents

_MOST_RECORDS = 1000
_LONGEST_TEXT = 1000
_CLAIM = b"erased\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """One of the two who ordered it: staff number and name."""

    number: str = field(repr=False)
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureOrder:
    """What is to be erased, by whose order, and on what ground."""

    records: tuple[bytes, ...]
    officers: tuple[Officer, ...] = field(repr=False)
    basis: str = field(repr=False)
    """The rule that orders or allows it."""
    document_number: str = field(repr=False)
    """The number of the signed order (文号)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A record an order concerns: its family and state, how many documents it loses, and its newest entry."""

    record: bytes
    family: str
    state: str
    documents: int
    last_idx: int


def examine_order(store: Store, order: ErasureOrder) -> tuple[Doomed, ...]:
    """Check an order against the ledger, changing nothing, and tell what it would erase.

    Raises:
        ErasureRefused: naming every mistake: fewer than two people, no basis, records that are unknown or have no
            document left.
    """
    mistakes = _wrong_order(order)
    register = Register(store)
    doomed: list[Doomed] = []
    for record in sorted(set(order.records)):
        row = register.get(record) if len(record) == 16 else None
        if row is None:
            mistakes.append(f"record {record.hex()} is unknown")
            continue
        with store.reading() as connection:
            documents = count_documents(connection, record)
        if documents == 0:
            mistakes.append(f"record {record.hex()} has no document left to erase")
        doomed.append(
            Doomed(record=record, family=row.family, state=row.state, documents=documents, last_idx=row.last_idx)
        )
    if mistakes:
        raise ErasureRefused(mistakes)
    return tuple(doomed)


def erasure_submission(order: ErasureOrder, doomed: Sequence[Doomed], *, record: bytes, at: datetime) -> Submission:
    """Make what is appended: one entry of a new record `record`, and the destruction in the same transaction.

    Each record is claimed as it is now, so that of two orders for the same documents one is refused (`AlreadyClaimed`).
    """
    first, second = order.officers
    draft = Draft(
        kind="DocumentErased",
        record=record,
        groups={"erased": [one.record.hex() for one in doomed]},
        fields={
            "order": {
                "basis": order.basis,
                "document-number": order.document_number,
                "first-number": first.number,
                "first-name": first.name,
                "second-number": second.number,
                "second-name": second.name,
            }
        },
    )
    claims = tuple((_CLAIM + one.record + one.last_idx.to_bytes(8, "big"), record) for one in doomed)
    return Submission(drafts=(draft,), at=at, claim_keys=claims, erase=tuple(one.record for one in doomed))


def _wrong_order(order: ErasureOrder) -> list[str]:
    mistakes = []
    if not 0 < len(order.records) <= _MOST_RECORDS:
        mistakes.append(f"an order erases 1 to {_MOST_RECORDS} records")
    elif len(set(order.records)) < len(order.records):
        mistakes.append("a record is given twice")
    texts = [("the basis", order.basis), ("the document number", order.document_number)]
    for officer in order.officers:
        texts += [("a staff number", officer.number), ("a name", officer.name)]
    mistakes += dict.fromkeys(
        f"{what} is empty or longer than {_LONGEST_TEXT}"
        for what, text in texts
        if not 0 < len(text.strip()) <= _LONGEST_TEXT
    )
    if len(order.officers) != 2:
        mistakes.append("an order needs two people")
    elif any(_plain(getattr(order.officers[0], what)) == _plain(getattr(order.officers[1], what))
             for what in ("number", "name")):  # fmt: skip
        mistakes.append("the two people have the same staff number or name: one person cannot order it alone")
    return mistakes


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def related_records(store: Store, subject: bytes) -> tuple[bytes, ...]:
    """Find every record of a person by blind index, and the records that name those as their parent, however deep."""
    register, table = Register(store), schema.record
    found = [row.record for row in register.by_subject(subject)]
    known = set(found)
    for record in found:  # grows while it is walked
        question = select(table.c.record).where(table.c.parent == record).order_by(table.c.first_idx)
        with store.reading() as connection:
            children = [bytes(row.record) for row in connection.execute(question)]
        found += [child for child in children if child not in known]
        known.update(children)
    return tuple(found)
