"""What is asked of a list of earlier answers, and a page of it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.client import messages
from gateway.client.proofs import LogKeys
from gateway.client.values import Person, Verification
from gateway.v1 import parties_pb2, verification_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which answers; what is not given does not restrict.

    A person is looked up by an `operator` of a `unit` for a `purpose`, and this is recorded.
    `of_unit` and `all_units` are for auditors; without them the caller's own unit's answers are listed.
    """

    case_id: str = ""
    item: str = ""
    matter: str = ""
    answered_from: datetime | None = None
    answered_before: datetime | None = None
    subject: Person | None = None
    operator: str = ""
    unit: str = ""
    purpose: str = ""
    of_unit: str = ""
    all_units: bool = False


def page_request(selection: Selection, token: str, size: int) -> verification_pb2.ListVerificationsRequest:
    """Ask for one page."""
    request = verification_pb2.ListVerificationsRequest(
        page_size=size,
        page_token=token,
        case_id=selection.case_id,
        item=selection.item,
        matter=selection.matter,
        purpose=selection.purpose,
        unit=selection.of_unit,
        all_units=selection.all_units,
    )
    if selection.subject is not None:
        request.subject.CopyFrom(messages.person_message(selection.subject))
    if selection.operator or selection.unit:
        request.operator.CopyFrom(parties_pb2.Operator(person=selection.operator, unit=selection.unit))
    if selection.answered_from is not None:
        request.answered_from.FromDatetime(selection.answered_from)
    if selection.answered_before is not None:
        request.answered_before.FromDatetime(selection.answered_before)
    return request


def page(response: verification_pb2.ListVerificationsResponse, keys: LogKeys) -> Sequence[Verification]:
    """Read one page; where a person was looked up, verify that this was recorded.

    Raises:
        ReceiptRefused: it was not.
    """
    if response.HasField("receipt"):
        keys.verify(response.receipt, kinds=messages.LOOKED_UP)
    return [messages.verification(one) for one in response.verifications]
