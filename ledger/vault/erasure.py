"""Erasure by order: one officer proposes, another carries it out, and both sign; what is erased stays provable.

1. `ErasureProposed`: the order (rule, document number, the records as they are now) signed by the first officer. It
   stands in the log, for everybody who watches it to see, before anything is destroyed.
2. `DocumentErased` on the same record: the second officer signs for exactly that entry, and the documents are destroyed
   in the transaction that appends it; or `ErasureRejected`, and nothing is.

Nobody can do both: the two officers are registered with keys of their own, and each signature is verified before the
entry is made and can be verified by whoever may open its document. Order and signatures are in no entry in clear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from ledger.appends.values import Draft, Submission
from ledger.canonical import Json
from ledger.errors import ErasureRefused
from ledger.log import schema
from ledger.log.store import Store
from ledger.records.commitments import VaultGroup
from ledger.records.register import Register
from ledger.records.unfinished import must_end
from ledger.vault.documents import count_documents
from ledger.vault.holds import read_holds
from ledger.vault.officers import Officer, Officers, OfficerSigner, Signed, wrong_texts
from ledger.vault.opening import Erased

_MOST_RECORDS = 1000
_CLAIM = b"erased\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureOrder:
    """What is to be erased, and on what ground."""

    records: tuple[bytes, ...]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposed erasure as it was recorded: the order, the newest entry of each record then, and who signed."""

    record: bytes
    order: ErasureOrder
    newest: Mapping[bytes, int]
    signed: Signed
    leaf_hash: bytes
    """The leaf hash of the entry `ErasureProposed`, which the second officer signs for."""


def examine_order(store: Store, order: ErasureOrder) -> tuple[Doomed, ...]:
    """Check an order against the ledger, changing nothing, and tell what it would erase.

    Raises:
        ErasureRefused: naming every mistake: no basis, records that are unknown, held, or have no document left, or on
            which something rests that has still to end.
    """
    mistakes = _wrong_order(order)
    register = Register(store)
    holds = read_holds(register)
    waiting = register.unfinished(set(order.records))
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
        if holds.cover(row):
            mistakes.append(f"record {record.hex()} is under a legal hold")
        mistakes += [must_end(record, one) for one in waiting.get(record, ())]
        doomed.append(
            Doomed(record=record, family=row.family, state=row.state, documents=documents, last_idx=row.last_idx)
        )
    if mistakes:
        raise ErasureRefused(mistakes)
    return tuple(doomed)


def propose_erasure(
    order: ErasureOrder, doomed: Sequence[Doomed], *, by: OfficerSigner, origin: str, record: bytes, at: datetime
) -> Submission:
    """Make what is appended to propose an erasure, on a new record; nothing is destroyed."""
    newest = {one.record: one.last_idx for one in doomed}
    signed = by.sign(_proposal_statement(origin, record, order, newest, by.officer))
    draft = Draft(
        kind="ErasureProposed",
        record=record,
        groups={"records": [[one.hex(), newest[one]] for one in sorted(newest)]},
        fields={
            "order": {"basis": order.basis, "document-number": order.document_number},
            "officer": _kept(signed),
        },
    )
    return Submission(drafts=(draft,), at=at)


def read_proposal(record: bytes, leaf_hash: bytes, document: Mapping[str, VaultGroup] | Erased) -> Proposal:
    """Read a proposal from the document behind its entry.

    Raises:
        ErasureRefused: the document is erased, or not of this shape.
    """
    if isinstance(document, Erased):
        raise ErasureRefused(["the proposal itself is erased"])
    try:
        order, pairs = document["order"].value, document["records"].value
        newest = {bytes.fromhex(one): int(at) for one, at in pairs}  # type: ignore[union-attr, misc, arg-type, str-unpack]
        return Proposal(
            record=record,
            order=ErasureOrder(
                records=tuple(newest),
                basis=str(order["basis"]),  # type: ignore[index, call-overload]
                document_number=str(order["document-number"]),  # type: ignore[index, call-overload]
            ),
            newest=newest,
            signed=_signed(document["officer"].value),
            leaf_hash=leaf_hash,
        )
    except (KeyError, TypeError, ValueError) as failure:
        raise ErasureRefused([f"this is no proposal to erase ({type(failure).__name__})"]) from None


def erased_records(document: Mapping[str, VaultGroup] | Erased) -> list[str]:
    """Read from the document of an entry `DocumentErased` which records it erased; none where it is erased itself."""
    listed = [] if isinstance(document, Erased) else document["erased"].value
    return [str(one) for one in listed] if isinstance(listed, list) else []


def approve_erasure(
    proposal: Proposal,
    doomed: Sequence[Doomed],
    *,
    by: OfficerSigner,
    officers: Officers,
    origin: str,
    at: datetime,
    releases: Sequence[bytes] = (),
) -> Submission:
    """Make what is appended to carry a proposal out: the entry, and the destruction in the same transaction.

    `releases` are claims that the erased records held, and give up.
    Each record is erased and claimed as it was proposed: appending it is refused if one went on or is held by then, or
    something that rests on it has still to end (`ErasureRefused`), and of two orders for the same documents one is
    (`AlreadyClaimed`).

    Raises:
        ErasureRefused: a signature does not hold, the two officers are one person, or a record went on since.
    """
    first, second = proposal.signed.officer, by.officer
    officers.verify(
        proposal.signed, _proposal_statement(origin, proposal.record, proposal.order, proposal.newest, first)
    )
    statement = _approval_statement(origin, proposal, second)
    signed = by.sign(statement)
    officers.verify(signed, statement)
    mistakes = [
        f"record {one.record.hex()} went on since it was proposed: propose again"
        for one in doomed
        if proposal.newest.get(one.record) != one.last_idx
    ]
    if {one.record for one in doomed} != proposal.newest.keys():
        mistakes.append("these are other records than were proposed")
    if first.is_same(second) or signed.public_key == proposal.signed.public_key:
        mistakes.append("who proposed may not carry it out: one person cannot erase alone")
    if mistakes:
        raise ErasureRefused(mistakes)
    draft = Draft(
        kind="DocumentErased",
        record=proposal.record,
        groups={"erased": [one.record.hex() for one in doomed]},
        fields={
            "order": {
                "basis": proposal.order.basis,
                "document-number": proposal.order.document_number,
                "first-number": first.number,
                "first-name": first.name,
                "second-number": second.number,
                "second-name": second.name,
            },
            "officer": _kept(signed),
        },
    )
    claims = tuple((claim_of(*one), proposal.record) for one in proposal.newest.items())
    erase = tuple(proposal.newest.items())
    return Submission(drafts=(draft,), at=at, claim_keys=claims, release_keys=tuple(releases), erase=erase)


def reject_erasure(
    proposal: Proposal, *, by: OfficerSigner, officers: Officers, origin: str, at: datetime
) -> Submission:
    """Make what is appended to reject a proposal; any registered officer may, the proposer too.

    Raises:
        ErasureRefused: the signature does not hold.
    """
    statement = _approval_statement(origin, proposal, by.officer)
    statement["type"] = "chengxin/erasure-rejection@v1"
    signed = by.sign(statement)
    officers.verify(signed, statement)
    return Submission((Draft(kind="ErasureRejected", record=proposal.record, fields={"officer": _kept(signed)}),), at)


def claim_of(record: bytes, last_idx: int) -> bytes:
    """Give the claim that one erasure only can make on a record as it is now."""
    return _CLAIM + record + last_idx.to_bytes(8, "big")


def _proposal_statement(
    origin: str, record: bytes, order: ErasureOrder, newest: Mapping[bytes, int], officer: Officer
) -> dict[str, Json]:
    return {
        "type": "chengxin/erasure-proposal@v1",
        "origin": origin,
        "record": record.hex(),
        "records": [[one.hex(), newest[one]] for one in sorted(newest)],
        "basis": order.basis,
        "document-number": order.document_number,
        "officer-number": officer.number,
        "officer-name": officer.name,
    }


def _approval_statement(origin: str, proposal: Proposal, officer: Officer) -> dict[str, Json]:
    return {
        "type": "chengxin/erasure-approval@v1",
        "origin": origin,
        "record": proposal.record.hex(),
        "proposal": proposal.leaf_hash.hex(),
        "officer-number": officer.number,
        "officer-name": officer.name,
    }


def _kept(signed: Signed) -> dict[str, Json]:
    return {
        "number": signed.officer.number,
        "name": signed.officer.name,
        "public-key": signed.public_key.hex(),
        "signature": signed.signature.hex(),
    }


def _signed(kept: Json) -> Signed:
    if not isinstance(kept, dict):
        raise TypeError("a table is kept here")
    return Signed(
        officer=Officer(number=str(kept["number"]), name=str(kept["name"])),
        public_key=bytes.fromhex(str(kept["public-key"])),
        signature=bytes.fromhex(str(kept["signature"])),
    )


def _wrong_order(order: ErasureOrder) -> list[str]:
    mistakes = []
    if not 0 < len(order.records) <= _MOST_RECORDS:
        mistakes.append(f"an order erases 1 to {_MOST_RECORDS} records")
    elif len(set(order.records)) < len(order.records):
        mistakes.append("a record is given twice")
    return mistakes + wrong_texts((("the basis", order.basis), ("the document number", order.document_number)))


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
