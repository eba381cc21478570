"""Separation of duties against the records themselves: whoever acted in the life of one may not take a second officer's
step in it, and whoever handled a commitment may not audit it."""

from __future__ import annotations

from collections.abc import Collection

from gateway.errors import CommitmentHandled, DocumentErased, SameOfficer
from gateway.flows.look_up import LookUp
from gateway.flows.once import REQUEST
from gateway.rules.admission import Operator, question_from_body
from gateway.rules.kept import table
from gateway.rules.separation import SecondOfficerRequired, verify_second_officer
from ledger import RecordRow


async def require_second(
    look_up: LookUp, row: RecordRow, act: str, operator: Operator, *, besides: Collection[str] = ()
) -> None:
    """Refuse an officer who acted before in the life of a record; entries of the kinds `besides` do not count.

    Raises:
        SameOfficer: the officer took part before.
    """
    try:
        verify_second_officer(act, operator.person, await look_up.people(row, besides=besides))
    except SecondOfficerRequired as error:
        raise SameOfficer from error


async def require_uninvolved(look_up: LookUp, commitment: RecordRow, operator: Operator) -> None:
    """Refuse an auditor who acted in the life of a commitment, or asked the verification that it stands in for.

    Raises:
        CommitmentHandled: the auditor did.
        DocumentErased: a document of the commitment's life was erased; who acted cannot be told any more.
    """
    handled = [*await look_up.people(commitment), *await _asked_by(look_up, commitment)]
    try:
        verify_second_officer("auditing", operator.person, handled)
    except SecondOfficerRequired as error:
        raise CommitmentHandled from error


async def _asked_by(look_up: LookUp, commitment: RecordRow) -> list[str]:
    """Name who asked what a commitment stands in for; nobody where that is erased, for it goes before the commitment
    only by order, which must not keep a finding from being cleared."""
    verification = await look_up.any("verification", commitment.parent or b"")
    try:
        kept = await look_up.document(verification.record, verification.first_idx)
    except DocumentErased:
        return []
    return [question_from_body(table(kept[REQUEST])).context.operator.person]
