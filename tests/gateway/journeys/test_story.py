"""Whole journeys over loopback mutual TLS with real clients."""

from __future__ import annotations

import hashlib
import io
import uuid

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from grpc import aio

from gateway import logs
from gateway.v1 import audit_pb2, commitment_pb2, credit_pb2, parties_pb2, verification_pb2
from ledger import parse_vkey, verify_receipt
from ledger.records.codec import commit_value

from .conftest import ADDRESS, ITEM, MATTER, NAME, NUMBER, TIMEOUT, Town, drop, execute, operator, question


def new_id() -> str:
    return str(uuid.uuid4())


def check(town: Town, proof: bytes, kind: str) -> dict[str, str]:
    verifier = parse_vkey(town.house.vkey.read_text())
    verified = verify_receipt(proof, [verifier], verifier.name)
    assert verified.entry.kind == kind
    return dict(verified.entry.commits)


async def prepared(town: Town, case: str = "办2026-0001") -> commitment_pb2.PrepareCommitmentResponse:
    answer = await town.verification().Verify(question(case), timeout=TIMEOUT)
    assert answer.verification.next_step.kind == verification_pb2.NEXT_STEP_KIND_COMMITMENT
    return await town.commitment().PrepareCommitment(
        commitment_pb2.PrepareCommitmentRequest(
            request_id=new_id(), verification=answer.verification.record, operator=operator("clerk")
        ),
        timeout=TIMEOUT,
    )


async def recorded(town: Town, case: str = "办2026-0001") -> commitment_pb2.RecordCommitmentResponse:
    document = await prepared(town, case)
    return await town.commitment().RecordCommitment(
        commitment_pb2.RecordCommitmentRequest(
            request_id=new_id(),
            record=document.record,
            operator=operator("clerk"),
            document_digest=document.document_digest,
            certificate=town.sign(document.document, ec.generate_private_key(ec.SECP256R1())),
        ),
        timeout=TIMEOUT,
    )


async def in_force(town: Town, case: str = "办2026-0001") -> commitment_pb2.Commitment:
    made = await recorded(town, case)
    decided = await town.commitment().RecordDecision(
        commitment_pb2.RecordDecisionRequest(
            request_id=new_id(),
            record=made.commitment.record,
            operator=operator("clerk"),
            document_number="示决字〔2026〕1号",
        ),
        timeout=TIMEOUT,
    )
    return decided.commitment


async def test_a_record_that_agrees_establishes_the_claim(town: Town) -> None:
    drop(town.drops, "home-ownership", [(NUMBER, NAME, ADDRESS)], 2)

    answer = await town.verification().Verify(question(), timeout=TIMEOUT)

    assert answer.verification.verdict == verification_pb2.VERDICT_ESTABLISHED
    assert answer.verification.next_step.kind == verification_pb2.NEXT_STEP_KIND_NONE
    check(town, answer.receipt.proof, "VerificationAnswered")


async def test_a_contradicted_claim_is_never_offered_a_commitment(town: Town) -> None:
    drop(town.drops, "home-ownership", [(NUMBER, NAME, "别处9号")], 2)
    execute(town.leases, "INSERT INTO lease VALUES (?, ?, ?)", NUMBER, NAME, "别处9号")

    answer = await town.verification().Verify(question(), timeout=TIMEOUT)

    assert answer.verification.verdict == verification_pb2.VERDICT_CONTRADICTED
    assert answer.verification.next_step.kind == verification_pb2.NEXT_STEP_KIND_DISPUTE


async def test_an_outage_never_opens_the_commitment_path(town: Town) -> None:
    execute(town.leases, "DROP TABLE lease")

    answer = await town.verification().Verify(question(), timeout=TIMEOUT)

    assert answer.verification.verdict == verification_pb2.VERDICT_UNDETERMINED
    assert answer.verification.next_step.kind == verification_pb2.NEXT_STEP_KIND_RETRY_AFTER


async def test_the_same_request_repeated_gives_identical_bytes(town: Town) -> None:
    asked = question(request_id=new_id())

    first = await town.verification().Verify(asked, timeout=TIMEOUT)
    drop(town.drops, "home-ownership", [(NUMBER, NAME, ADDRESS)], 2)
    again = await town.verification().Verify(asked, timeout=TIMEOUT)

    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


async def test_a_missing_fact_becomes_a_signed_commitment_with_a_receipt(town: Town) -> None:
    document = await prepared(town)
    assert hashlib.sha256(document.document).digest() == document.document_digest
    assert ADDRESS in document.text

    for case, key in (("a", ed25519.Ed25519PrivateKey.generate()), ("b", ec.generate_private_key(ec.SECP256R1()))):
        made = await prepared(town, f"办-{case}")
        request = commitment_pb2.RecordCommitmentRequest(
            request_id=new_id(),
            record=made.record,
            operator=operator("clerk"),
            document_digest=made.document_digest,
            certificate=town.sign(made.document, key),
        )
        answer = await town.commitment().RecordCommitment(request, timeout=TIMEOUT)
        again = await town.commitment().RecordCommitment(request, timeout=TIMEOUT)

        assert answer.commitment.state == commitment_pb2.COMMITMENT_STATE_RECORDED
        assert answer.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
        read = await town.commitment().GetCommitment(
            commitment_pb2.GetCommitmentRequest(record=made.record), timeout=TIMEOUT
        )
        assert read.commitment == answer.commitment, "what was told at once is what is read later"
        check(town, answer.receipt.proof, "CommitmentRecorded")


async def test_a_commitment_can_be_withdrawn_before_the_decision(town: Town) -> None:
    made = await recorded(town)

    answer = await town.commitment().WithdrawCommitment(
        commitment_pb2.WithdrawCommitmentRequest(
            request_id=new_id(), record=made.commitment.record, operator=operator("clerk"), reason="改交证明材料"
        ),
        timeout=TIMEOUT,
    )

    assert answer.commitment.state == commitment_pb2.COMMITMENT_STATE_WITHDRAWN


async def test_late_data_that_agree_confirm_the_commitment(town: Town) -> None:
    made = await in_force(town)
    drop(town.drops, "home-ownership", [(NUMBER, NAME, ADDRESS)], 2)

    results = await requery(town)

    assert [(one.commitment, one.result) for one in results] == [(made.record, audit_pb2.REQUERY_RESULT_CONFIRMED)]


async def test_a_requery_against_an_outage_concludes_nothing(town: Town) -> None:
    made = await in_force(town)
    execute(town.leases, "DROP TABLE lease")

    results = await requery(town)
    now = await town.commitment().GetCommitment(
        commitment_pb2.GetCommitmentRequest(record=made.record), timeout=TIMEOUT
    )

    assert [one.result for one in results] == [audit_pb2.REQUERY_RESULT_NOT_REACHED]
    assert now.commitment.state == commitment_pb2.COMMITMENT_STATE_IN_FORCE


async def requery(town: Town) -> list[audit_pb2.RequeryCommitmentsResponse]:
    request = audit_pb2.RequeryCommitmentsRequest(operator=operator("auditor"), all_in_force=True)
    return [one async for one in town.audit().RequeryCommitments(request, timeout=TIMEOUT)]


async def test_a_false_commitment_reaches_the_credit_system_and_bars_until_repair(town: Town) -> None:
    await in_force(town)
    drop(town.drops, "home-ownership", [(NUMBER, NAME, "别处9号")], 2)
    execute(town.leases, "INSERT INTO lease VALUES (?, ?, ?)", NUMBER, NAME, "别处9号")
    (result,) = await requery(town)
    assert result.result == audit_pb2.REQUERY_RESULT_DISCREPANCY
    finding = result.finding

    final = await concluded(town, finding)
    assert final.finding.state == audit_pb2.FINDING_STATE_FINAL

    (item,) = await pulled(town)
    commits = check(town, item.receipt.proof, "ReportIssued")
    assert commit_value("report", item.salt, item.canonical) == commits["report"]
    assert item.report.code.startswith("230100")
    assert item.report.fulfilment == "全部未履行"
    await town.credit().AcknowledgeReport(
        credit_pb2.AcknowledgeReportRequest(request_id=new_id(), record=item.record, platform_reference="P-1"),
        timeout=TIMEOUT,
    )
    assert await pulled(town) == []
    assert (await eligible(town)).reason == "BROKEN_UNREPAIRED"

    await town.credit().RecordRepair(
        credit_pb2.RecordRepairRequest(
            request_id=new_id(), finding=finding, operator=operator("credit"), document_number="示修字〔2026〕1号"
        ),
        timeout=TIMEOUT,
    )

    assert (await eligible(town)).eligible
    assert [one.act for one in await pulled(town)] == [credit_pb2.REPORT_ACT_END]


async def concluded(town: Town, finding: str) -> audit_pb2.FinaliseFindingResponse:
    auditor = {"record": finding, "operator": operator("auditor")}
    reviewer = {"record": finding, "operator": operator("reviewer")}
    audit, review = town.audit(), town.audit("reviewer")
    await audit.RequestEvidence(audit_pb2.RequestEvidenceRequest(request_id=new_id(), **auditor), timeout=TIMEOUT)
    await audit.ProposeFalse(
        audit_pb2.ProposeFalseRequest(request_id=new_id(), grounds="登记地址不符", **auditor), timeout=TIMEOUT
    )
    notified = await audit.NotifyFinding(
        audit_pb2.NotifyFindingRequest(request_id=new_id(), manner="直接送达", **auditor), timeout=TIMEOUT
    )
    assert notified.finding.HasField("due_at")
    await audit.HearDefence(
        audit_pb2.HearDefenceRequest(request_id=new_id(), statement="无异议", waives_rest=True, **auditor),
        timeout=TIMEOUT,
    )
    await review.DecideFinding(
        audit_pb2.DecideFindingRequest(
            request_id=new_id(),
            broken=True,
            document_number="示认字〔2026〕1号",
            grade=audit_pb2.GRADE_MINOR,
            reasons="事实清楚",
            **reviewer,
        ),
        timeout=TIMEOUT,
    )
    return await review.FinaliseFinding(
        audit_pb2.FinaliseFindingRequest(request_id=new_id(), **reviewer), timeout=TIMEOUT
    )


async def pulled(town: Town) -> list[credit_pb2.PullReportsResponse]:
    return [one async for one in town.credit().PullReports(credit_pb2.PullReportsRequest(), timeout=TIMEOUT)]


async def eligible(town: Town) -> credit_pb2.GetEligibilityResponse:
    return await town.credit("clerk").GetEligibility(
        credit_pb2.GetEligibilityRequest(
            subject=parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=NUMBER, name=NAME),
            matter=MATTER,
            item=ITEM,
            operator=operator("clerk"),
            case_id="办2026-0002",
            purpose="办理行政许可",
        ),
        timeout=TIMEOUT,
    )


async def test_the_whole_life_is_the_same_on_postgresql(postgres_town: Town) -> None:
    asked = question(case="办-pg", request_id=new_id())
    first = await postgres_town.verification().Verify(asked, timeout=TIMEOUT)
    again = await postgres_town.verification().Verify(asked, timeout=TIMEOUT)
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)

    await test_a_false_commitment_reaches_the_credit_system_and_bars_until_repair(postgres_town)


async def test_nothing_the_gateway_logs_is_about_a_person(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logs.configure(stream)
    try:
        await test_a_false_commitment_reaches_the_credit_system_and_bars_until_repair(town)
        with pytest.raises(aio.AioRpcError):
            await town.verification().Verify(question(name=NAME + "\u0007"), timeout=TIMEOUT)
    finally:
        structlog.reset_defaults()

    logged = stream.getvalue() + "".join(capsys.readouterr())
    assert "CommitmentService/RecordCommitment" in logged
    for secret in (NAME, NUMBER, ADDRESS, "无异议"):
        assert secret not in logged
