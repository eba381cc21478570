"""The document that an applicant signs, as the ledger keeps it, and what the entries of a commitment have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime

from gateway.catalogue.model import Withdrawal
from gateway.catalogue.words import Publication, WithdrawalEffect, WithdrawalUntil
from gateway.errors import TransitionNotAllowed
from gateway.flows.look_up import LookUp
from gateway.letters.document import DOCUMENT
from gateway.rules.clocks import is_over
from gateway.rules.kept import table, text
from gateway.rules.withdrawal import Window
from ledger import RecordRow
from ledger.canonical import Json

ELIGIBILITY = "eligibility"
"""The group that says how it was determined whether the person may commit: what lists said, what a reviewer lifted."""
PREPARED = "CommitmentPrepared"
RECORDED = "CommitmentRecorded"
WITHDRAWAL = "withdrawal"
"""The group that says until when a commitment can be withdrawn and what that does to later ones, as the applicant was
told before signing; and then, of the withdrawal itself, what it does."""
DECIDED = "DecisionRecorded"
CLEARED, REINSTATED, REOPENED = "CommitmentCleared", "CommitmentReinstated", "CommitmentReopened"
"""Nothing is held against a commitment any more: nothing was found false; or that finding is revoked, and the case was
decided before; or it was not."""
_CLEARED = frozenset({CLEARED, REINSTATED, REOPENED})
UNDECIDED = ("RECORDED", "BINDING")
"""States in which a commitment waits for the decision of its case."""
WATCHED = (*UNDECIDED, "IN_FORCE")
"""States in which the sources are asked again about a commitment."""
TAKEN = frozenset(
    {
        *WATCHED, "QUESTIONED", "CONFIRMED", "DISPUTED", "BROKEN", "WITHDRAWN", "LAPSED", "INCONCLUSIVE", "REPAIRED",
    }
)  # fmt: skip
"""States of a commitment that was signed: its case has one for the item, and gets no other."""
_SERVICE = "gateway.v1.CommitmentService"


def body(method: str, **fields: Json) -> dict[str, Json]:
    """Give the body of a commitment request as a canonical value."""
    return {"method": f"{_SERVICE}/{method}", **fields}


def require_in_time(row: RecordRow, kind: str, *, at: datetime) -> None:
    """Require that the time for the decision is not over: then a commitment has lapsed, swept or not.

    Raises:
        TransitionNotAllowed: it is over.
    """
    if row.state in UNDECIDED and row.due_at is not None and is_over(row.due_at, at):
        raise TransitionNotAllowed(kind, "LAPSED")


async def prepared_groups(look_up: LookUp, row: RecordRow) -> Mapping[str, Json]:
    """Return what is kept of handing out the document of a commitment.

    A refusal that was lifted comes before the document in the life of its record.

    Raises:
        RecordNotFound: no document was handed out.
        DocumentErased: it was erased.
    """
    kept = await look_up.document(row.record, row.first_idx)
    return kept if DOCUMENT in kept else await look_up.document_of(row, PREPARED)


async def cleared_at(look_up: LookUp, row: RecordRow) -> int:
    """Give the entry by which people last cleared up a contradiction of a commitment: what contradicted it before, they
    know; -1 where there is none."""
    return max((line.idx for line in await look_up.history(row) if line.kind in _CLEARED), default=-1)


def scope_of(document: Mapping[str, Json]) -> Publication:
    """Say how far a letter may be made public, as its document told the applicant."""
    return Publication(text(table(document["publication"])["scope"]))


def after_effect_of(kept: Mapping[str, Json]) -> WithdrawalEffect | None:
    """Say what a withdrawal does to later commitments, by the document of an entry; None where it does not tell."""
    return WithdrawalEffect(text(table(kept[WITHDRAWAL])["after_effect"])) if WITHDRAWAL in kept else None


def withdrawal_body(window: Window) -> dict[str, Json]:
    """Give what an applicant is told of withdrawal, as it is kept with the document."""
    return {
        "until": window.rules.until.value,
        "after_effect": window.rules.after_effect.value,
        "closing_date": window.closing_date.isoformat() if window.closing_date else None,
    }


def window_told(kept: Mapping[str, Json], in_force: Window) -> Window:
    """Give until when a commitment can be withdrawn and what that does, by the document of its notice.

    What that does not tell stands as the catalogue in force has it: notices of older ledgers tell no more than the
    effect, or nothing.
    """
    if WITHDRAWAL not in kept:
        return in_force
    told = table(kept[WITHDRAWAL])
    effect = WithdrawalEffect(text(told["after_effect"]))
    if "until" not in told:
        return replace(in_force, rules=replace(in_force.rules, after_effect=effect))
    closing = told["closing_date"]
    return Window(
        rules=Withdrawal(until=WithdrawalUntil(text(told["until"])), after_effect=effect),
        closing_date=date.fromisoformat(text(closing)) if closing else None,
    )


def case_facts(row: RecordRow, *, parent: bytes) -> dict[str, Json]:
    """Give the facts that a record takes from the verification it stands in for, or is for."""
    return {
        "subject": row.subject.hex() if row.subject else None,
        "case_key": row.case_key.hex() if row.case_key else None,
        "unit": row.unit,
        "matter": row.matter,
        "item": row.item,
        "parent": parent.hex(),
    }


def claim_of(row: RecordRow) -> bytes:
    """Give the key that only one record can claim: one commitment for each case and item."""
    return hashlib.sha256(b"commitment\x00" + (row.case_key or b"") + (row.item or "").encode()).digest()


def claims_of(rows: Iterable[RecordRow]) -> tuple[bytes, ...]:
    """Give what records hold by `claim_of`, to be given up with their documents: the case may have another then.

    A document that is not signed holds nothing: another of its case may.
    """
    return tuple(claim_of(row) for row in rows if row.family == "commitment" and row.state in TAKEN and row.case_key)
