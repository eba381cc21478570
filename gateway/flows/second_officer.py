"""Separation of duties against the record itself: whoever acted in its life may not take a second officer's step."""

from __future__ import annotations

from collections.abc import Collection

from gateway.errors import SameOfficer
from gateway.flows.look_up import LookUp
from gateway.rules.admission import Operator
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
