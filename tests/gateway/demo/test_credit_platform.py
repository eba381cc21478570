"""The credit platform keeps what it can verify and refuses the rest; a real signed log, a real gRPC server."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import grpc
import pytest

from gateway.demo.credit_platform import Holdings, Platform, ReportUnproven, verify_item
from gateway.v1 import credit_pb2 as pb
from gateway.v1.credit_pb2_grpc import CreditServiceServicer, CreditServiceStub, add_CreditServiceServicer_to_server
from ledger import Ed25519Signer, write_signing_key
from ledger.canonical import canonical
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.merkle import hash_leaf
from ledger.receipt import format_receipt
from ledger.records.codec import Entry, commit_value, encode_entry

ORIGIN = "example.gov.cn/ledger"
CODE = "23010020261124000001"
SALT, RECORD = bytes(range(32)), bytes(range(16))


@pytest.fixture
def signer(tmp_path: Path) -> Ed25519Signer:
    """The log's signing key."""
    return write_signing_key(tmp_path / "log.pem", ORIGIN)


def proven(signer: Ed25519Signer) -> pb.PullReportsResponse:
    """A report whose entry is at index 1 of a log of two entries."""
    report = pb.CreditReport(code=CODE, subject_name="虚甲乙")
    content = canonical({field.name: getattr(report, field.name) for field in report.DESCRIPTOR.fields})
    leaf = encode_entry(
        Entry(
            kind="ReportIssued", record=RECORD, seq=0, prev=None, at=datetime(2026, 11, 24, tzinfo=UTC), policy="",
            commits={"report": commit_value("report", SALT, content)},
        )
    )  # fmt: skip
    first = hash_leaf(b"opening")
    root = sha256(b"\x01" + first + hash_leaf(leaf)).digest()
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=2, root=root), [signer])
    item = pb.PullReportsResponse(
        cursor=1, record=RECORD.hex(), act=pb.REPORT_ACT_ENTER, report=report, salt=SALT, canonical=content
    )
    item.receipt.proof = format_receipt(leaf, 1, [first], note)
    return item


class Gateway(CreditServiceServicer):
    """Serves some items and notes what the platform answers."""

    def __init__(self) -> None:
        self.items: list[pb.PullReportsResponse] = []
        self.acknowledged: list[pb.AcknowledgeReportRequest] = []
        self.rejected: list[pb.RejectReportRequest] = []

    def PullReports(
        self, request: pb.PullReportsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.PullReportsResponse]:
        yield from (item for item in self.items if item.cursor > request.after)

    def AcknowledgeReport(
        self, request: pb.AcknowledgeReportRequest, context: grpc.ServicerContext
    ) -> pb.AcknowledgeReportResponse:
        self.acknowledged.append(request)
        return pb.AcknowledgeReportResponse()

    def RejectReport(self, request: pb.RejectReportRequest, context: grpc.ServicerContext) -> pb.RejectReportResponse:
        self.rejected.append(request)
        return pb.RejectReportResponse()

    def RecordRepair(self, request: pb.RecordRepairRequest, context: grpc.ServicerContext) -> pb.RecordRepairResponse:
        raise AssertionError("the platform never asks for this")

    def GetEligibility(
        self, request: pb.GetEligibilityRequest, context: grpc.ServicerContext
    ) -> pb.GetEligibilityResponse:
        raise AssertionError("the platform never asks for this")

    def RecallReport(self, request: pb.RecallReportRequest, context: grpc.ServicerContext) -> pb.RecallReportResponse:
        raise AssertionError("the platform never asks for this")

    def FileObjection(
        self, request: pb.FileObjectionRequest, context: grpc.ServicerContext
    ) -> pb.FileObjectionResponse:
        raise AssertionError("the platform never asks for this")


def pull(gateway: Gateway, signer: Ed25519Signer, state: Path) -> tuple[int, int]:
    """Let the platform pull once; give how many failed and the cursor after it."""
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        add_CreditServiceServicer_to_server(gateway, server)  # type: ignore[no-untyped-call,unused-ignore]
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        holdings = Holdings(state)
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = CreditServiceStub(channel)
                platform = Platform(stub=stub, holdings=holdings, verifiers=[signer.verifier], origin=ORIGIN)
                return platform.pull(), holdings.cursor()
        finally:
            holdings.close()
            server.stop(None).wait()


def test_a_proven_report_is_acknowledged_once(
    signer: Ed25519Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = Gateway()
    gateway.items = [proven(signer)]
    assert pull(gateway, signer, tmp_path / "state.db") == (0, 1)
    assert pull(gateway, signer, tmp_path / "state.db") == (0, 1)
    assert [request.record for request in gateway.acknowledged] == [RECORD.hex()]
    assert gateway.rejected == []
    assert "虚甲乙" not in capsys.readouterr().out


def test_an_unproven_report_is_rejected_and_not_kept(signer: Ed25519Signer, tmp_path: Path) -> None:
    gateway = Gateway()
    gateway.items = [proven(signer)]
    gateway.items[0].salt = os.urandom(32)
    assert pull(gateway, signer, tmp_path / "state.db") == (1, 1)
    assert gateway.acknowledged == []
    assert [request.record for request in gateway.rejected] == [RECORD.hex()]


def test_an_unproven_recall_is_neither_believed_nor_skipped(signer: Ed25519Signer, tmp_path: Path) -> None:
    gateway = Gateway()
    gateway.items = [proven(signer)]
    gateway.items[0].act = pb.REPORT_ACT_RECALL
    assert pull(gateway, signer, tmp_path / "state.db") == (1, 0)
    assert gateway.acknowledged == []
    assert gateway.rejected == []


@pytest.mark.parametrize("lie", ["record", "cursor", "salt", "canonical", "field", "code", "receipt", "act"])
def test_every_lie_is_found(signer: Ed25519Signer, lie: str) -> None:
    item = proven(signer)
    match lie:
        case "record":
            item.record = "00" * 16
        case "cursor":
            item.cursor = 2
        case "salt":
            item.salt = b""
        case "canonical":
            item.canonical += b" "
        case "field":
            item.report.subject_name = "示甲乙"
        case "code":
            item.report.code = "x"
        case "receipt":
            item.receipt.proof = item.receipt.proof.replace(b"index 1", b"index 0")
        case "act":
            item.act = pb.REPORT_ACT_END
    with pytest.raises(ReportUnproven):
        verify_item(item, [signer.verifier], ORIGIN)


def test_a_receipt_of_another_log_is_refused(signer: Ed25519Signer, tmp_path: Path) -> None:
    other = write_signing_key(tmp_path / "other.pem", ORIGIN)
    with pytest.raises(ReportUnproven):
        verify_item(proven(signer), [other.verifier], ORIGIN)
