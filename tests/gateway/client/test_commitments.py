"""The client's side of an export: a file that is not whole, or not the one that was recorded, is not used."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from gateway.client import Acting, CommitmentSelection, ExportIncomplete, LogKeys, ReceiptRefused
from gateway.client.commitments import Receiving, commitment, export_request, page_request
from gateway.v1 import commitment_pb2 as pb
from ledger import Draft, Submission
from ledger.v1 import ledger_pb2
from tests.ledger.house import ORIGIN, START, House, build

ACTING = Acting(person="officer-07", unit="11230000000000101E")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(f"sqlite:///{tmp_path}/ledger.db", tmp_path)


def keys(house: House) -> LogKeys:
    return LogKeys([house.signer.verifier], ORIGIN)


def receipt(house: House, kind: str = "CommitmentsExported") -> ledger_pb2.Receipt:
    record = os.urandom(16)
    with house.open() as ledger:
        done = ledger.append_blocking(Submission((Draft(kind=kind, record=record),), START))
    return ledger_pb2.Receipt(proof=done.receipts[0], index=0, size=done.size, record=record.hex())


def summary(digest: bytes, proof: ledger_pb2.Receipt) -> pb.ExportCommitmentsResponse:
    return pb.ExportCommitmentsResponse(summary=pb.ExportSummary(rows=2, digest=digest, receipt=proof))


def test_a_whole_export_is_written_and_proven(house: House) -> None:
    file, told = io.BytesIO(), list[tuple[int, int]]()
    receiving = Receiving(file, lambda *far: told.append(far))
    for part in (
        pb.ExportCommitmentsResponse(progress=pb.ExportProgress(done=1, total=2)),
        pb.ExportCommitmentsResponse(chunk=b"ab"),
        pb.ExportCommitmentsResponse(chunk=b"c"),
        pb.ExportCommitmentsResponse(),
        summary(hashlib.sha256(b"abc").digest(), receipt(house)),
    ):
        receiving.take(part)
    done = receiving.finish(keys(house))
    assert (done.rows, done.receipt.kind, file.getvalue(), told) == (2, "CommitmentsExported", b"abc", [(1, 2)])


def test_an_export_that_broke_off_is_incomplete(house: House) -> None:
    receiving = Receiving(io.BytesIO(), None)
    receiving.take(pb.ExportCommitmentsResponse(chunk=b"ab"))
    with pytest.raises(ExportIncomplete, match="before its end"):
        receiving.finish(keys(house))


def test_a_file_that_is_not_the_recorded_one_is_refused(house: House) -> None:
    receiving = Receiving(io.BytesIO(), None)
    receiving.take(pb.ExportCommitmentsResponse(chunk=b"ab"))
    receiving.take(summary(hashlib.sha256(b"abc").digest(), receipt(house)))
    with pytest.raises(ExportIncomplete, match="not the file"):
        receiving.finish(keys(house))


@pytest.mark.parametrize("kind", ["SubjectLookedUp", ""])
def test_an_export_that_is_not_proven_to_be_recorded_is_refused(house: House, kind: str) -> None:
    receiving = Receiving(io.BytesIO(), None)
    proof = receipt(house, kind) if kind else ledger_pb2.Receipt()
    receiving.take(summary(hashlib.sha256(b"").digest(), proof))
    with pytest.raises(ReceiptRefused):
        receiving.finish(keys(house))


def test_requests_name_the_state_and_the_form_or_are_not_made() -> None:
    request = export_request(CommitmentSelection(state="IN_FORCE", all_units=True), "xlsx", ACTING, "报表")
    assert request.selection.state == pb.COMMITMENT_STATE_IN_FORCE
    assert (request.format, request.operator.person, request.purpose) == (pb.EXPORT_FORMAT_XLSX, "officer-07", "报表")
    with pytest.raises(ValueError, match="csv"):
        export_request(CommitmentSelection(), "XLSX", ACTING, "报表")
    with pytest.raises(ValueError, match="GONE"):
        page_request(CommitmentSelection(state="GONE"), None, "", 0)


def test_a_state_of_a_later_version_is_unknown_and_absent_times_are_none() -> None:
    read = commitment(pb.Commitment(record="a", state=99))  # type: ignore[arg-type]
    assert (read.state, read.due_at, read.audit_due_at, read.history) == ("UNKNOWN", None, None, ())
