"""The same over mutual TLS with real clients: states, reasons, metadata, roles, and what a gateway does by itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from gateway.cli import cli
from gateway.demo.people import Person
from gateway.founding import SYSTEMS, House
from gateway.pki import Authority, der
from gateway.signatures import witness_statement
from gateway.signatures.algorithms import read_public_key, verify_bytes
from gateway.v1 import commitment_pb2 as pb
from gateway.v1 import commitment_pb2_grpc, parties_pb2, staff_pb2, staff_pb2_grpc, verification_pb2
from ledger import parse_vkey, verify_receipt
from tests.gateway.verification.village import TIMEOUT, Village, serving, settle

from .office import CAST, PEOPLE

WHO = PEOPLE[12]
TUNE = {
    'document_valid = "30m" ': 'document_valid = "20s" ',
    'sweep_every = "1m" ': 'sweep_every = "50ms" ',
}


@asynccontextmanager
async def town(folder: Path, tune: dict[str, str] | None = None) -> AsyncIterator[Village]:
    async with serving(settle(folder / "town", people=PEOPLE, tune=tune)) as here:
        yield here


def commitments(here: Village, system: str = "clerk") -> commitment_pb2_grpc.CommitmentServiceAsyncStub:
    return commitment_pb2_grpc.CommitmentServiceStub(here.channel(system))


def by(system: str, person: str = "") -> parties_pb2.Operator:
    return parties_pb2.Operator(person=person or f"{system}-01", unit=SYSTEMS[system][0])


def subject(who: Person) -> parties_pb2.Subject:
    return parties_pb2.Subject(id_type=parties_pb2.ID_TYPE_RESIDENT_ID, id_number=who.id_number, name=who.name)


async def verified(here: Village, who: Person, case: str) -> str:
    request = verification_pb2.VerifyRequest(
        request_id=str(uuid.uuid4()),
        context=parties_pb2.CaseContext(
            matter="230000-MSA-001", case_id=case, purpose="办理行政许可", operator=by("clerk")
        ),
        item="business-premises",
        subject=subject(who),
        parameters={"address": parties_pb2.Value(text=who.address)},
    )
    answer = await here.stub().Verify(request, timeout=TIMEOUT)
    assert answer.verification.next_step.kind == verification_pb2.NEXT_STEP_KIND_COMMITMENT
    return str(answer.verification.record)


async def prepared(here: Village, who: Person = WHO, case: str = "办-1") -> pb.PrepareCommitmentResponse:
    request = pb.PrepareCommitmentRequest(
        request_id=str(uuid.uuid4()), verification=await verified(here, who, case), operator=by("clerk")
    )
    return await commitments(here).PrepareCommitment(request, timeout=TIMEOUT)


async def recorded(house: House, here: Village, document: pb.PrepareCommitmentResponse) -> pb.RecordCommitmentResponse:
    key = ec.generate_private_key(ec.SECP256R1())
    made = Authority.load(*house.signers()).person(
        WHO.name, WHO.id_number, key, now=datetime.now(UTC), valid=timedelta(days=1)
    )
    request = pb.RecordCommitmentRequest(
        request_id=str(uuid.uuid4()),
        record=document.record,
        operator=by("clerk"),
        document_digest=document.document_digest,
        certificate=pb.CertificateSignature(
            algorithm=pb.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256,
            signature=key.sign(document.document, ec.ECDSA(hashes.SHA256())),
            certificates=[der(made)],
        ),
    )
    return await commitments(here).RecordCommitment(request, timeout=TIMEOUT)


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str, dict[str, str], list[str]]:
    """Give code, reason, metadata and fields of a refusal; each is explained in Chinese."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    info, fields, chinese = error_details_pb2.ErrorInfo(), [], ""
    for key, value in caught.value.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(bytes(value)).details:
                bad, message = error_details_pb2.BadRequest(), error_details_pb2.LocalizedMessage()
                detail.Unpack(info)
                if detail.Unpack(bad):
                    fields = sorted(one.field for one in bad.field_violations)
                if detail.Unpack(message):
                    chinese = message.message
    assert chinese
    assert WHO.id_number not in (caught.value.details() or "")
    return caught.value.code(), info.reason, dict(info.metadata), fields


async def test_a_commitment_says_where_it_stands_and_until_when(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        document = await prepared(here)
        get = pb.GetCommitmentRequest(record=document.record)
        first = (await commitments(here).GetCommitment(get, timeout=TIMEOUT)).commitment
        made = (await recorded(here.house, here, document)).commitment

        assert first.state == pb.COMMITMENT_STATE_PREPARED
        assert first.due_at.ToDatetime() == document.expires_at.ToDatetime()
        assert (made.publication, made.by_proxy) == (pb.PUBLICATION_SCOPE_NOT_PUBLIC, False)
        assert made.due_at.ToDatetime(tzinfo=UTC) > datetime.now(UTC) + timedelta(days=80)

        irrelevant = pb.RecordMilestoneRequest(
            request_id=str(uuid.uuid4()), record=made.record, operator=by("clerk"), milestone=pb.MILESTONE_FEE_PAID
        )
        said = await refused(commitments(here).RecordMilestone(irrelevant, timeout=TIMEOUT))
        assert said[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "MILESTONE_IRRELEVANT")
        again = await refused(recorded(here.house, here, document))
        assert again[:2] == (grpc.StatusCode.ALREADY_EXISTS, "COMMITMENT_EXISTS")
        assert again[2]["commitment"] == made.record


async def test_a_refusal_is_contested_and_reviewed_by_a_second_person(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        code, reason, metadata, _ = await refused(prepared(here, CAST.minor, "办-1"))
        assert (code, reason, metadata["code"]) == (
            grpc.StatusCode.FAILED_PRECONDITION, "COMMITMENT_BARRED", "CAPACITY",
        )  # fmt: skip
        record = metadata["record"]
        contest = pb.ContestRefusalRequest(
            request_id=str(uuid.uuid4()), record=record, operator=by("clerk"), statement="已满十八周岁"
        )
        contested = await commitments(here).ContestRefusal(contest, timeout=TIMEOUT)
        assert contested.commitment.state == pb.COMMITMENT_STATE_CONTESTED
        assert contested == await commitments(here).ContestRefusal(contest, timeout=TIMEOUT)

        review = pb.ReviewRefusalRequest(
            request_id=str(uuid.uuid4()), record=record, operator=by("reviewer"), outcome=pb.REVIEW_OUTCOME_LIFTED,
            reason="查验",
        )  # fmt: skip
        stands = await refused(commitments(here, "reviewer").ReviewRefusal(review, timeout=TIMEOUT))
        assert stands[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "REFUSAL_STANDS")
        role = await refused(commitments(here).ReviewRefusal(review, timeout=TIMEOUT))
        assert role[:2] == (grpc.StatusCode.PERMISSION_DENIED, "NOT_ENTITLED")
        review.outcome = pb.REVIEW_OUTCOME_UPHELD
        upheld = await commitments(here, "reviewer").ReviewRefusal(review, timeout=TIMEOUT)

        assert upheld.commitment.state == pb.COMMITMENT_STATE_REFUSAL_UPHELD
        verifier = parse_vkey(here.house.vkey.read_text())
        assert verify_receipt(upheld.receipt.proof, [verifier], verifier.name).entry.kind == "RefusalUpheld"
        shown = await commitments(here, "reviewer").GetCommitment(
            pb.GetCommitmentRequest(record=record), timeout=TIMEOUT
        )
        assert [line.kind for line in shown.commitment.history] == [
            "CommitmentRefused", "RefusalContested", "RefusalUpheld",
        ]  # fmt: skip
        assert shown.commitment.document_digest == b""


async def test_every_mistake_of_a_request_is_named_at_once(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        wrong = pb.PrepareCommitmentRequest(
            request_id="1", verification="x", lifted_refusal="y",
            proxy=pb.Proxy(agent=parties_pb2.Subject(id_number="1"), authorisation_digest=b"short"),
        )  # fmt: skip
        _, _, _, fields = await refused(commitments(here).PrepareCommitment(wrong, timeout=TIMEOUT))
        assert fields == [
            "lifted_refusal", "operator.person", "operator.unit", "proxy.agent.id_type", "proxy.agent.name",
            "proxy.authorisation_digest", "request_id", "verification",
        ]  # fmt: skip

        nothing = (
            (commitments(here).RecordMilestone, pb.RecordMilestoneRequest(), {"milestone", "record", "request_id"}),
            (commitments(here).ContestRefusal, pb.ContestRefusalRequest(), {"statement", "record", "request_id"}),
            (
                commitments(here, "reviewer").ReviewRefusal,
                pb.ReviewRefusalRequest(),
                {"outcome", "reason", "record", "request_id"},
            ),
        )
        for call, request, expected in nothing:
            _, _, _, fields = await refused(call(request, timeout=TIMEOUT))
            assert set(fields) == expected | {"operator.person", "operator.unit"}


async def test_where_nobody_may_act_an_agent_is_refused(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        request = pb.PrepareCommitmentRequest(
            request_id=str(uuid.uuid4()), verification=await verified(here, WHO, "办-1"), operator=by("clerk"),
            proxy=pb.Proxy(agent=subject(PEOPLE[14]), authorisation_digest=hashlib.sha256(b"x").digest()),
        )  # fmt: skip

        said = await refused(commitments(here).PrepareCommitment(request, timeout=TIMEOUT))

        assert said[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "PROXY_REFUSED")
        assert said[2]["code"] == "NOT_ALLOWED"


async def test_a_running_gateway_ends_what_ran_out_of_time_by_itself(tmp_path: Path) -> None:
    tune = TUNE | {'document_valid = "30m" ': 'document_valid = "100ms" '}
    async with town(tmp_path, tune) as here:
        document = await prepared(here)
        get = pb.GetCommitmentRequest(record=document.record)
        async with asyncio.timeout(TIMEOUT):
            while (await commitments(here).GetCommitment(get, timeout=TIMEOUT)).commitment.state != (
                pb.COMMITMENT_STATE_EXPIRED
            ):
                await asyncio.sleep(0.05)


def chengxin(*arguments: str) -> tuple[int, str]:
    """Run the command; what the gateway of this process logs meanwhile is left out."""
    done = CliRunner().invoke(cli, ["staff-keys", *arguments])
    return done.exit_code, "\n".join(line for line in done.output.splitlines() if not line.startswith("20"))


async def run(*arguments: str) -> tuple[int, str]:
    return await asyncio.to_thread(chengxin, *arguments)


@pytest.mark.parametrize("algorithm", ["ECDSA_P256_SHA256", "SM2_SM3"])
async def test_the_command_takes_a_clerks_key_from_making_it_to_its_end(tmp_path: Path, algorithm: str) -> None:
    key, password = tmp_path / "clerk.pem", tmp_path / "password"
    password.write_text("a long password")
    held = ("--key", str(key), "--password-file", str(password))
    made = await run("create", str(key), "--algorithm", algorithm, "--password-file", str(password))
    assert made[0] == 0, made[1]
    assert key.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in key.read_bytes()
    again = await run("create", str(key), "--password-file", str(password))
    assert again[0] == 1
    assert "nothing is overwritten" in again[1]
    other = tmp_path / "other.pem"
    (tmp_path / "other.pem.pub").write_text("somebody's public key")
    half = await run("create", str(other), "--password-file", str(password))
    assert (half[0], "other.pem.pub exists; nothing is overwritten" in half[1]) == (1, True)
    assert not other.exists()
    for arguments in (("create", str(other)), ("propose", "--key", str(key), "--person", "clerk-01", "--by", "o")):
        missing = await run(*arguments, "--password-file", str(tmp_path / "nowhere"))
        assert (missing[0], "is no password file (FileNotFoundError)" in missing[1]) == (1, True)
    nowhere = await run("create", str(tmp_path / "nowhere" / "key.pem"), "--password-file", str(password))
    assert (nowhere[0], "cannot be written" in nowhere[1]) == (1, True)
    async with town(tmp_path) as here:
        there = ("--config", str(here.house.config), "--server", f"127.0.0.1:{here.port}")
        status, told = await run("propose", *there, *held, "--person", "clerk-01", "--by", "clerk-01")
        assert (status, "HOLDER_PROPOSES" in told or "STAFF_KEY_REFUSED" in told) == (1, True)
        status, told = await run("propose", *there, *held, "--person", "clerk-01", "--by", "officer-01")
        assert status == 0, told
        record = json.loads(told)["record"]
        status, told = await run("decide", *there, record, "--enrol", "--by", "officer-01")
        assert (status, "SAME_OFFICER" in told) == (1, True)
        status, told = await run("decide", *there, record, "--enrol", "--by", "reviewer-01")
        assert status == 0, told
        assert json.loads(told)["state"] == "STAFF_KEY_STATE_ENROLLED"

        stub = staff_pb2_grpc.StaffKeyServiceStub(here.channel("clerk"))
        shown = (await stub.GetStaffKey(staff_pb2.GetStaffKeyRequest(record=record), timeout=TIMEOUT)).key
        public = read_public_key(shown.public_key)
        (tmp_path / "document").write_bytes(b"the document")
        (tmp_path / "image.png").write_bytes(b"the image")
        status, told = await run(
            "witness", str(tmp_path / "document"), str(tmp_path / "image.png"), *held, "--seen", "本人当面签名",
            "--clerk", "clerk-01", "--unit", shown.unit, "--staff-key", record,
        )  # fmt: skip
        assert status == 0, told
        witnessed = json.loads(told)
        assert witnessed["staffKey"] == record
        statement = witness_statement(
            document=b"the document", handwriting=b"the image", seen="本人当面签名", clerk="clerk-01", unit=shown.unit,
            witnessed_at=datetime.fromisoformat(witnessed["witnessedAt"]),
        )  # fmt: skip
        verify_bytes(algorithm, public, base64.b64decode(witnessed["signature"]), statement)

        status, told = await run("revoke", *there, record, "--reason", "遗失", "--by", "officer-01")
        assert json.loads(told)["state"] == "STAFF_KEY_STATE_REVOKED"
        status, told = await run("list", *there)
        assert [json.loads(line)["state"] for line in told.splitlines()] == ["STAFF_KEY_STATE_REVOKED"]


async def test_roles_decide_who_enrols_and_every_mistake_is_named(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        clerk = staff_pb2_grpc.StaffKeyServiceStub(here.channel("clerk"))
        officer = staff_pb2_grpc.StaffKeyServiceStub(here.channel("officer"))
        reviewer = staff_pb2_grpc.StaffKeyServiceStub(here.channel("reviewer"))
        for call in (
            clerk.ProposeStaffKey(staff_pb2.ProposeStaffKeyRequest(), timeout=TIMEOUT),
            officer.DecideStaffKey(staff_pb2.DecideStaffKeyRequest(), timeout=TIMEOUT),
            clerk.RevokeStaffKey(staff_pb2.RevokeStaffKeyRequest(), timeout=TIMEOUT),
        ):
            assert (await refused(call))[0] is grpc.StatusCode.PERMISSION_DENIED

        who = {"operator.person", "operator.unit", "request_id"}
        proposing = await refused(officer.ProposeStaffKey(staff_pb2.ProposeStaffKeyRequest(), timeout=TIMEOUT))
        assert set(proposing[3]) == who | {"person", "algorithm", "public_key", "possession"}
        deciding = await refused(reviewer.DecideStaffKey(staff_pb2.DecideStaffKeyRequest(), timeout=TIMEOUT))
        assert set(deciding[3]) == who | {"record", "decision"}
        revoking = await refused(officer.RevokeStaffKey(staff_pb2.RevokeStaffKeyRequest(), timeout=TIMEOUT))
        assert set(revoking[3]) == who | {"record", "reason"}
        page = await refused(officer.ListStaffKeys(staff_pb2.ListStaffKeysRequest(page_token="x"), timeout=TIMEOUT))
        assert page[3] == ["page_token"]
        huge = await refused(officer.ListStaffKeys(staff_pb2.ListStaffKeysRequest(page_size=1001), timeout=TIMEOUT))
        assert huge[3] == ["page_size"]
