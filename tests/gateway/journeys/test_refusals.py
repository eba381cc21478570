"""Bad input, each with a clear error, the right code, and nothing half-written."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from gateway.client import open_channel
from gateway.pki import Authority, der, write_pair
from gateway.v1 import (
    commitment_pb2,
    parties_pb2,
    supervision_pb2,
    supervision_pb2_grpc,
    verification_pb2,
    verification_pb2_grpc,
)
from ledger.v1 import ledger_pb2, ledger_pb2_grpc

from .conftest import MATTER, NAME, NUMBER, TIMEOUT, Town, operator, question, signature


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str, list[str]]:
    """Give the code, the reason and the fields named by a refusal."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    reason, fields = "", []
    for key, value in caught.value.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
                if detail.Unpack(info):
                    reason = info.reason
                elif detail.Unpack(bad):
                    fields = sorted(violation.field for violation in bad.field_violations)
    assert NUMBER not in (caught.value.details() or "")
    return caught.value.code(), reason, fields


async def size(town: Town) -> int:
    stub = ledger_pb2_grpc.LedgerServiceStub(town.channel("ledger-auditor"))
    answer = await stub.GetCheckpoint(ledger_pb2.GetCheckpointRequest(), timeout=TIMEOUT)
    return int(answer.checkpoint.splitlines()[1])


Change = Callable[[verification_pb2.VerifyRequest], None]


def unknown_item(request: verification_pb2.VerifyRequest) -> None:
    request.item = "nothing"


def unknown_matter(request: verification_pb2.VerifyRequest) -> None:
    request.context.matter = "999999-XX-999"


def malformed_number(request: verification_pb2.VerifyRequest) -> None:
    request.subject.id_number = "230199198001010071"


def wrong_type_of_claim(request: verification_pb2.VerifyRequest) -> None:
    request.parameters["address"].CopyFrom(parties_pb2.Value(integer=1))


def missing_purpose(request: verification_pb2.VerifyRequest) -> None:
    request.context.purpose = ""


def missing_operator(request: verification_pb2.VerifyRequest) -> None:
    request.context.ClearField("operator")


def malformed_request_id(request: verification_pb2.VerifyRequest) -> None:
    request.request_id = "1"


@pytest.mark.parametrize(
    ("change", "reason", "fields"),
    [
        (unknown_item, "UNKNOWN_ITEM", ["item"]),
        (unknown_matter, "UNKNOWN_MATTER", ["context.matter"]),
        (malformed_number, "INVALID_REQUEST", ["subject.id_number"]),
        (wrong_type_of_claim, "INVALID_REQUEST", ["parameters.address"]),
        (missing_purpose, "INVALID_REQUEST", ["context.purpose"]),
        (missing_operator, "INVALID_REQUEST", ["context.operator.person", "context.operator.unit"]),
        (malformed_request_id, "INVALID_REQUEST", ["request_id"]),
    ],
)
async def test_a_malformed_question_is_refused_by_field_and_leaves_no_entry(
    town: Town, change: Change, reason: str, fields: list[str]
) -> None:
    request = question()
    change(request)
    before = await size(town)

    refused = await refusal(town.verification().Verify(request, timeout=TIMEOUT))

    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, reason, fields)
    assert await size(town) == before


async def test_every_mistake_of_a_question_is_named_at_once(town: Town) -> None:
    request = question()
    for change in (unknown_item, unknown_matter, malformed_number, missing_operator, malformed_request_id):
        change(request)

    code, _reason, fields = await refusal(town.verification().Verify(request, timeout=TIMEOUT))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert fields == [
        "context.matter", "context.operator.person", "context.operator.unit", "item", "request_id", "subject.id_number",
    ]  # fmt: skip


async def test_a_call_without_a_deadline_is_refused(town: Town) -> None:
    refused = await refusal(town.verification().Verify(question()))

    assert refused[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "DEADLINE_REQUIRED")


async def test_an_oversized_message_is_refused(town: Town) -> None:
    request = question(parameters={"address": parties_pb2.Value(text="路" * 1_000_000)})

    refused = await refusal(town.verification().Verify(request, timeout=TIMEOUT))

    assert refused[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")


async def test_a_repeated_request_id_with_another_body_names_the_differing_fields(town: Town) -> None:
    identity = str(uuid.uuid4())
    await town.verification().Verify(question(request_id=identity), timeout=TIMEOUT)
    before = await size(town)
    other = question(case="办2026-0002", request_id=identity)

    with pytest.raises(aio.AioRpcError) as caught:
        await town.verification().Verify(other, timeout=TIMEOUT)

    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert "context.case_id" in (caught.value.details() or "")
    assert await size(town) == before


async def test_without_a_client_certificate_nobody_gets_in(town: Town) -> None:
    credentials = grpc.ssl_channel_credentials(town.house.authority.read_bytes())
    async with aio.secure_channel(f"127.0.0.1:{town.port}", credentials) as channel:
        stub = verification_pb2_grpc.VerificationServiceStub(channel)

        refused = await refusal(stub.Verify(question(), timeout=TIMEOUT))

    assert refused[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_does_not_get_in(town: Town) -> None:
    folder = town.house.home
    stranger = Authority.create("another", now=datetime.now(UTC), valid=timedelta(days=1))
    uri = "spiffe://chengxin.example/org/11230000000000101E/clerk"
    pair = (folder / "stranger.crt", folder / "stranger.key")
    write_pair(*stranger.system(uri, now=datetime.now(UTC), valid=timedelta(days=1)), *pair)
    channel = open_channel(f"127.0.0.1:{town.port}", authority=town.house.authority, certificate=pair[0], key=pair[1])
    town.channels.append(channel)

    refused = await refusal(verification_pb2_grpc.VerificationServiceStub(channel).Verify(question(), timeout=TIMEOUT))

    assert refused[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_system_that_is_not_configured_is_refused(town: Town) -> None:
    folder = town.house.home
    authority = Authority.load(*town.house.pair("ca"))
    pair = (folder / "unknown.crt", folder / "unknown.key")
    uri = "spiffe://chengxin.example/org/11230000000000101E/unknown"
    write_pair(*authority.system(uri, now=datetime.now(UTC), valid=timedelta(days=1)), *pair)
    channel = open_channel(f"127.0.0.1:{town.port}", authority=town.house.authority, certificate=pair[0], key=pair[1])
    town.channels.append(channel)

    refused = await refusal(verification_pb2_grpc.VerificationServiceStub(channel).Verify(question(), timeout=TIMEOUT))

    assert refused[:2] == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_UNKNOWN")


async def test_a_role_that_may_not_ask_is_refused(town: Town) -> None:
    refused = await refusal(town.verification("credit").Verify(question(), timeout=TIMEOUT))

    assert refused[:2] == (grpc.StatusCode.PERMISSION_DENIED, "NOT_ENTITLED")


async def test_a_department_that_does_not_handle_the_matter_is_refused_and_the_refusal_recorded(town: Town) -> None:
    before = await size(town)

    refused = await refusal(town.verification("civil-clerk").Verify(question(system="civil-clerk"), timeout=TIMEOUT))

    assert refused[:2] == (grpc.StatusCode.PERMISSION_DENIED, "NOT_ENTITLED")
    assert await size(town) == before + 1


async def test_the_operator_must_be_of_the_unit_in_the_certificate(town: Town) -> None:
    refused = await refusal(town.verification().Verify(question(system="civil-clerk"), timeout=TIMEOUT))

    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", ["context.operator.unit"])


async def prepared(town: Town) -> commitment_pb2.PrepareCommitmentResponse:
    answer = await town.verification().Verify(question(), timeout=TIMEOUT)
    return await town.commitment().PrepareCommitment(
        commitment_pb2.PrepareCommitmentRequest(
            request_id=str(uuid.uuid4()), verification=answer.verification.record, operator=operator("clerk")
        ),
        timeout=TIMEOUT,
    )


def record_request(
    document: commitment_pb2.PrepareCommitmentResponse, signed: commitment_pb2.CertificateSignature
) -> commitment_pb2.RecordCommitmentRequest:
    return commitment_pb2.RecordCommitmentRequest(
        request_id=str(uuid.uuid4()),
        record=document.record,
        operator=operator("clerk"),
        document_digest=document.document_digest,
        certificate=signed,
    )


async def refused_signature(town: Town, signed: commitment_pb2.CertificateSignature) -> str:
    document = await prepared(town)
    with pytest.raises(aio.AioRpcError) as caught:
        await town.commitment().RecordCommitment(record_request(document, signed), timeout=TIMEOUT)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    now = await town.commitment().GetCommitment(
        commitment_pb2.GetCommitmentRequest(record=document.record), timeout=TIMEOUT
    )
    assert now.commitment.state == commitment_pb2.COMMITMENT_STATE_PREPARED
    assert [line.kind for line in now.commitment.history] == ["CommitmentPrepared", "CommitmentRefused"]
    return (caught.value.details() or "").split(":")[0]


async def test_a_signature_over_other_bytes_is_refused_and_recorded_as_refused(town: Town) -> None:
    signed = town.sign(b"another document", ec.generate_private_key(ec.SECP256R1()))

    assert await refused_signature(town, signed) == "SIGNATURE_INVALID"


async def test_an_expired_certificate_is_refused(town: Town) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    then = datetime.now(UTC) - timedelta(days=40)
    certificate = Authority.load(*town.house.signers()).person(NAME, NUMBER, key, now=then, valid=timedelta(days=30))

    assert await refused_signature(town, signature(b"any", key, der(certificate))) == "CERTIFICATE_EXPIRED"


async def test_a_certificate_of_an_unknown_authority_is_refused(town: Town) -> None:
    stranger = Authority.create("another", now=datetime.now(UTC), valid=timedelta(days=1))
    signed = town.sign(b"any", ec.generate_private_key(ec.SECP256R1()), authority=stranger)

    assert await refused_signature(town, signed) == "CERTIFICATE_NOT_TRUSTED"


async def test_a_signature_by_another_person_is_refused(town: Town) -> None:
    document = await prepared(town)
    signed = town.sign(document.document, ec.generate_private_key(ec.SECP256R1()), name="示例乙")

    with pytest.raises(aio.AioRpcError) as caught:
        await town.commitment().RecordCommitment(record_request(document, signed), timeout=TIMEOUT)

    assert (caught.value.details() or "").startswith("SIGNER_NOT_APPLICANT")


async def test_a_digest_of_another_document_is_refused(town: Town) -> None:
    document = await prepared(town)
    request = record_request(document, town.sign(document.document, ec.generate_private_key(ec.SECP256R1())))
    request.document_digest = bytes(32)

    refused = await refusal(town.commitment().RecordCommitment(request, timeout=TIMEOUT))

    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", ["document_digest"])


async def test_of_two_commitments_for_one_case_and_item_one_is_recorded(town: Town) -> None:
    first, second = await prepared(town), await prepared(town)
    key = ec.generate_private_key(ec.SECP256R1())
    stub = town.commitment()

    outcomes = await asyncio.gather(
        *(
            stub.RecordCommitment(record_request(one, town.sign(one.document, key)), timeout=TIMEOUT)
            for one in (first, second)
        ),
        return_exceptions=True,
    )

    refused = [one for one in outcomes if isinstance(one, aio.AioRpcError)]
    assert [one.code() for one in refused] == [grpc.StatusCode.ALREADY_EXISTS]


async def test_a_withdrawn_commitment_cannot_be_decided(town: Town) -> None:
    document = await prepared(town)
    signed = town.sign(document.document, ec.generate_private_key(ec.SECP256R1()))
    await town.commitment().RecordCommitment(record_request(document, signed), timeout=TIMEOUT)
    await town.commitment().WithdrawCommitment(
        commitment_pb2.WithdrawCommitmentRequest(
            request_id=str(uuid.uuid4()), record=document.record, operator=operator("clerk"), reason="改交材料"
        ),
        timeout=TIMEOUT,
    )

    refused = await refusal(
        town.commitment().RecordDecision(
            commitment_pb2.RecordDecisionRequest(
                request_id=str(uuid.uuid4()),
                record=document.record,
                operator=operator("clerk"),
                document_number="示决字〔2026〕2号",
            ),
            timeout=TIMEOUT,
        )
    )

    assert refused[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "TRANSITION_REFUSED")


async def test_what_is_not_served_yet_says_so(town: Town) -> None:
    stub = supervision_pb2_grpc.SupervisionServiceStub(town.channel("clerk"))

    refused = await refusal(stub.ListComplaints(supervision_pb2.ListComplaintsRequest(), timeout=TIMEOUT))

    assert refused[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_another_departments_verification_is_not_found(town: Town) -> None:
    answer = await town.verification().Verify(question(), timeout=TIMEOUT)
    request = verification_pb2.GetVerificationRequest(record=answer.verification.record)

    refused = await refusal(town.verification("civil-clerk").GetVerification(request, timeout=TIMEOUT))

    assert refused[:2] == (grpc.StatusCode.NOT_FOUND, "RECORD_NOT_FOUND")
    assert MATTER not in refused[1]
