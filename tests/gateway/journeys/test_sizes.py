"""Messages that are too large: refused with a reason that a window can show, and photographs by the rule for images."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
from grpc import aio

from gateway.client.refusals import refusal_of
from gateway.v1 import audit_pb2, audit_pb2_grpc, verification_pb2
from gateway.v1 import commitment_pb2 as pb
from tests.gateway.signatures.authorities import p256
from tests.gateway.signatures.images import JPEG

from .conftest import TIMEOUT, Town, operator, question, run_town
from .test_evidence_pack import prepare
from .test_refusals import size
from .test_signatures import history, refused, request
from .test_witnessed import by_hand, enrol

MOST, MOST_IMAGE = 1 << 20, 8 << 20
LONG = "长" * (MOST // 3 + 1)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Town]:
    async for here in run_town(tmp_path, "sqlite:///ledger.sqlite3"):
        yield here


async def reason_of(call: Awaitable[object]) -> str:
    """Give the reason of a refusal that says it in Chinese too, and never when to come again."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    told = refusal_of(caught.value)
    assert told.chinese
    assert told.retry_after is None
    assert (told.reason == "MESSAGE_TOO_LARGE") == (told.code == "RESOURCE_EXHAUSTED")
    assert (told.reason == "MESSAGE_UNREADABLE") <= (told.code == "INVALID_ARGUMENT")
    return told.reason


async def drained(stream: aio.UnaryStreamCall[object, object]) -> None:
    async for _ in stream:
        pass


def photograph(bytes_: int) -> bytes:
    return JPEG[:-2] + bytes(bytes_ - len(JPEG)) + JPEG[-2:]


@pytest.mark.parametrize("bytes_", [900_000, 1_200_000, 5_000_000, MOST_IMAGE])
async def test_a_photograph_is_refused_by_the_rule_for_images_and_recorded(office: Town, bytes_: int) -> None:
    key = p256()
    name = await enrol(office, key)
    document = await prepare(office, "办-1")
    before = await size(office)

    assert (
        await refused(office, document, by_hand(document, key, name, image=photograph(bytes_)))
        == "HANDWRITING_TOO_LARGE"
    )

    assert await size(office) == before + 1
    assert await history(office, document) == ["CommitmentPrepared", "CommitmentRefused"]


async def test_only_the_image_may_be_large(office: Town) -> None:
    document = await prepare(office, "办-1")
    before = await size(office)
    record = office.commitment().RecordCommitment
    wordy = request(document, pb.WitnessedSignature(handwriting=photograph(2_000_000), seen=LONG))
    many = request(document, pb.CertificateSignature(signature=b"x", certificates=[bytes(400_000)] * 3))
    padded = request(document, pb.WitnessedSignature(handwriting=b"x"))
    for _ in range(2):
        padded.MergeFromString(b"\xfa\x7f\xc0\x84\x3d" + bytes(1_000_000))  # a field of a number that nobody knows

    for asked in (wordy, many, padded):
        assert await reason_of(record(asked, timeout=TIMEOUT)) == "MESSAGE_TOO_LARGE"
    assert await size(office) == before


async def test_every_other_method_takes_no_more_than_before(office: Town) -> None:
    before = await size(office)
    asked = question()
    asked.context.purpose = LONG
    withdrawn = pb.WithdrawCommitmentRequest(
        request_id=str(uuid.uuid4()), record="0" * 32, operator=operator("clerk"), reason=LONG
    )
    exported = pb.ExportCommitmentsRequest(
        format=pb.EXPORT_FORMAT_CSV, operator=operator("officer"), purpose="统计" + LONG
    )
    requeried = audit_pb2.RequeryCommitmentsRequest(operator=operator("auditor"), matter=LONG)
    audit = audit_pb2_grpc.AuditServiceStub(office.channel("auditor"))

    reasons = [
        await reason_of(office.verification().Verify(asked, timeout=TIMEOUT)),
        await reason_of(office.commitment().WithdrawCommitment(withdrawn, timeout=TIMEOUT)),
        await reason_of(drained(office.commitment("officer").ExportCommitments(exported, timeout=TIMEOUT))),
        await reason_of(drained(audit.RequeryCommitments(requeried, timeout=TIMEOUT))),
    ]

    assert set(reasons) == {"MESSAGE_TOO_LARGE"}
    assert await size(office) == before


async def test_a_stream_ends_at_the_message_that_is_too_large(office: Town) -> None:
    small, large = verification_pb2.BatchVerifyRequest(), verification_pb2.BatchVerifyRequest()
    small.requests.append(question())
    large.requests.append(question())
    large.requests[0].context.purpose = LONG
    stream = office.verification().BatchVerify(timeout=TIMEOUT)

    await stream.write(small)
    first = await stream.read()
    await stream.write(large)

    assert isinstance(first, verification_pb2.BatchVerifyResponse)
    assert first.results[0].HasField("response")
    assert await reason_of(stream.read()) == "MESSAGE_TOO_LARGE"


async def test_a_message_of_just_the_most_is_looked_at(office: Town) -> None:
    asked = question()
    asked.context.purpose = "x" * (MOST - 1000)
    asked.context.purpose += "x" * (MOST - asked.ByteSize())
    assert asked.ByteSize() == MOST
    assert await reason_of(office.verification().Verify(asked, timeout=TIMEOUT)) != "MESSAGE_TOO_LARGE"
    asked.context.purpose += "x"
    assert await reason_of(office.verification().Verify(asked, timeout=TIMEOUT)) == "MESSAGE_TOO_LARGE"


async def test_what_is_larger_than_anything_may_be_is_not_taken_in(office: Town) -> None:
    document = await prepare(office, "办-1")
    huge = request(document, pb.WitnessedSignature(handwriting=photograph(MOST + MOST_IMAGE + 1)))
    with pytest.raises(aio.AioRpcError) as caught:
        await office.commitment().RecordCommitment(huge, timeout=TIMEOUT)
    told = refusal_of(caught.value)
    assert (told.code, told.reason) == ("RESOURCE_EXHAUSTED", "")
    assert "消息过大" in told.chinese


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xc4\xe3", b"<html>", bytes([0x0B]) * 200],
    ids=["cut tag", "cut text", "GBK", "HTML", "nested groups"],
)
async def test_what_is_no_message_is_refused_in_words_and_leaves_nothing(office: Town, content: bytes) -> None:
    before = await size(office)
    channel = office.channel("clerk")
    paths = "gateway.v1.VerificationService", "gateway.v1.CommitmentService"
    verify, withdraw = (
        channel.unary_unary(f"/{path}/{method}")
        for path, method in zip(paths, ("Verify", "WithdrawCommitment"), strict=True)
    )
    watch = channel.unary_stream("/gateway.v1.VerificationService/WatchVerification")
    batch = channel.stream_stream("/gateway.v1.VerificationService/BatchVerify")(timeout=TIMEOUT)
    await batch.write(content)

    reasons = [
        await reason_of(verify(content, timeout=TIMEOUT)),
        await reason_of(withdraw(content, timeout=TIMEOUT)),
        await reason_of(drained(watch(content, timeout=TIMEOUT))),
        await reason_of(batch.read()),
    ]

    assert set(reasons) == {"MESSAGE_UNREADABLE"}
    assert await size(office) == before
