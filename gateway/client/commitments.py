"""What is asked of lists and exports of commitments, and what comes back; pure but for the file that is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO

from google.protobuf import timestamp_pb2

from gateway.client import messages
from gateway.client.proofs import LogKeys, ProvenEntry
from gateway.client.values import Person
from gateway.v1 import commitment_pb2, parties_pb2

_EXPORTED = ("CommitmentsExported",)
_FORMS = {
    "csv": commitment_pb2.EXPORT_FORMAT_CSV,
    "xlsx": commitment_pb2.EXPORT_FORMAT_XLSX,
    "jsonl": commitment_pb2.EXPORT_FORMAT_JSONL,
}
FORMS = tuple(_FORMS)
"""The forms of an export."""

Progress = Callable[[int, int], None]
"""Told how many commitments were looked at, of how many."""


class ExportIncomplete(Exception):
    """What arrived of an export is not the whole file, or not the file that was recorded; use nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentSelection:
    """Which commitments; what is not given does not restrict.

    `state` is a word such as `IN_FORCE`. A case needs its matter; a person is looked up for a `purpose`, which is
    recorded. `unit` and `all_units` are for auditors; without them the caller's own unit's are listed.
    """

    state: str = ""
    case_id: str = ""
    matter: str = ""
    item: str = ""
    subject: Person | None = None
    purpose: str = ""
    due_before: datetime | None = None
    unit: str = ""
    all_units: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Who acts: the staff number, and the unit (a unified social credit code)."""

    person: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeStep:
    """One entry in the life of a commitment."""

    index: int
    kind: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """A commitment as it stands; of an erased one, record, state and history are left."""

    record: str
    verification: str
    item: str
    matter: str
    state: str
    document_digest: bytes
    document_erased: bool
    changed_at: datetime
    due_at: datetime | None
    audit_due_at: datetime | None
    history: tuple[LifeStep, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A complete export: rows, SHA-256 of the file, and the proof that it was recorded."""

    rows: int
    digest: bytes
    receipt: ProvenEntry


def page_request(
    selection: CommitmentSelection, acting: Acting | None, token: str, size: int
) -> commitment_pb2.ListCommitmentsRequest:
    """Ask for one page."""
    return commitment_pb2.ListCommitmentsRequest(
        page_size=size, page_token=token, selection=_selection(selection), operator=_operator(acting)
    )


def page(response: commitment_pb2.ListCommitmentsResponse, keys: LogKeys) -> Sequence[Commitment]:
    """Read one page; where a person was looked up, verify that this was recorded.

    Raises:
        ReceiptRefused: it was not.
    """
    if response.HasField("receipt"):
        keys.verify(response.receipt, kinds=messages.LOOKED_UP)
    return [commitment(one) for one in response.commitments]


def export_request(
    selection: CommitmentSelection, form: str, acting: Acting, purpose: str
) -> commitment_pb2.ExportCommitmentsRequest:
    """Ask for a file in one of the `FORMS`; raises `ValueError` for another."""
    if form not in _FORMS:
        raise ValueError(f"an export is one of {', '.join(FORMS)}")
    return commitment_pb2.ExportCommitmentsRequest(
        selection=_selection(selection), format=_FORMS[form], operator=_operator(acting), purpose=purpose
    )


class Receiving:
    """Takes the parts of an export into a file, in bounded memory."""

    def __init__(self, target: IO[bytes], progress: Progress | None) -> None:
        self._target = target
        self._progress = progress
        self._sha256 = hashlib.sha256()
        self._summary: commitment_pb2.ExportSummary | None = None

    def take(self, part: commitment_pb2.ExportCommitmentsResponse) -> None:
        """Take the next part."""
        match part.WhichOneof("part"):
            case "chunk":
                self._sha256.update(part.chunk)
                self._target.write(part.chunk)
            case "progress" if self._progress is not None:
                self._progress(part.progress.done, part.progress.total)
            case "summary":
                self._summary = part.summary

    def finish(self, keys: LogKeys) -> Exported:
        """Require that the file is whole, and recorded.

        Raises:
            ExportIncomplete: it is not the file that was recorded.
            ReceiptRefused: the proof that it was recorded does not verify.
        """
        summary = self._summary
        if summary is None:
            raise ExportIncomplete("the export ended before its end")
        if summary.digest != self._sha256.digest():
            raise ExportIncomplete("what arrived is not the file that was recorded")
        receipt = keys.verify(summary.receipt, kinds=_EXPORTED)
        return Exported(rows=summary.rows, digest=summary.digest, receipt=receipt)


def commitment(message: commitment_pb2.Commitment) -> Commitment:
    """Read a commitment; verifies nothing."""
    return Commitment(
        record=message.record,
        verification=message.verification,
        item=message.item,
        matter=message.matter,
        state=_state(message.state),
        document_digest=message.document_digest,
        document_erased=message.document_erased,
        changed_at=message.changed_at.ToDatetime(tzinfo=UTC),
        due_at=_moment(message, "due_at", message.due_at),
        audit_due_at=_moment(message, "audit_due_at", message.audit_due_at),
        history=tuple(
            LifeStep(index=line.index, kind=line.kind, at=line.at.ToDatetime(tzinfo=UTC)) for line in message.history
        ),
    )


def _selection(selection: CommitmentSelection) -> commitment_pb2.CommitmentSelection:
    state = f"COMMITMENT_STATE_{selection.state}" if selection.state else "COMMITMENT_STATE_UNSPECIFIED"
    message = commitment_pb2.CommitmentSelection(
        state=commitment_pb2.CommitmentState.Value(state),
        case_id=selection.case_id,
        matter=selection.matter,
        item=selection.item,
        purpose=selection.purpose,
        unit=selection.unit,
        all_units=selection.all_units,
    )
    if selection.subject is not None:
        message.subject.CopyFrom(messages.person_message(selection.subject))
    if selection.due_before is not None:
        message.due_before.FromDatetime(selection.due_before)
    return message


def _operator(acting: Acting | None) -> parties_pb2.Operator | None:
    return None if acting is None else parties_pb2.Operator(person=acting.person, unit=acting.unit)


def _state(number: int) -> str:
    word = commitment_pb2.CommitmentState.DESCRIPTOR.values_by_number.get(number)
    return word.name.removeprefix("COMMITMENT_STATE_") if word else "UNKNOWN"


def _moment(message: commitment_pb2.Commitment, name: str, value: timestamp_pb2.Timestamp) -> datetime | None:
    return value.ToDatetime(tzinfo=UTC) if message.HasField(name) else None  # type: ignore[arg-type]
