"""Signatures through RecordCommitment over mutual TLS: a bad one is refused, recorded so, and changes nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import textwrap
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from google.protobuf import timestamp_pb2
from grpc import aio

from gateway.founding import House
from gateway.signatures.platform import encode, id_number_digest
from gateway.v1 import commitment_pb2 as pb
from tests.gateway.signatures.authorities import (
    Issuer,
    Key,
    Sm2Key,
    p256,
    public_key_info,
    root,
    sign,
    usage,
)
from tests.gateway.signatures.images import JPEG, png
from tests.gateway.signatures.test_platform import jws_signature

from .conftest import NAME, NUMBER, TIMEOUT, Town, operator, run_town
from .test_refusals import prepared, refusal, size

DAY = timedelta(days=1)
REVOKED_SERIAL = 666
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256."""
PLATFORM, PLATFORM_KEY = "https://identity.example", p256()


class Signing:
    """Authorities of a town, which sign for its applicants."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.root = root(starts=self.now - DAY, ends=self.now + 100 * DAY)
        self.sm2 = root(Sm2Key(), name="sm2", starts=self.now - DAY, ends=self.now + 100 * DAY)

    def configure(self, house: House) -> None:
        """Make the gateway of a house know these authorities, their revocations and a platform."""
        signers = house.home / "signers"
        pems = [pem("CERTIFICATE", one.certificate) for one in (self.root, self.sm2)]
        (signers / "roots.pem").write_bytes(b"".join(pems))
        (signers / "platform.pem").write_bytes(pem("PUBLIC KEY", public_key_info(PLATFORM_KEY)))
        (signers / "revocation").mkdir()
        until = self.now + DAY
        for name, above in (("root", self.root), ("sm2", self.sm2)):
            content = above.list_revoked({REVOKED_SERIAL: self.now - timedelta(hours=1)}, at=self.now, until=until)
            (signers / "revocation" / f"{name}.crl").write_bytes(content)
        text = house.config.read_text("utf-8")
        text = text.replace('anchors_files = ["signers/ca.crt"]', 'anchors_files = ["signers/roots.pem"]')
        text = text.replace('revocation = "off"', 'revocation = "require"')
        text = text.replace("# [[signatures.platforms]]", PLATFORM_SETTINGS)
        house.config.write_text(text, "utf-8")

    def certificate(self, key: Key, above: Issuer | None = None, **options: object) -> bytes:
        times = {"starts": self.now - DAY, "ends": self.now + DAY}
        return (above or self.root).issue(key, **{**times, **options})  # type: ignore[arg-type]


PLATFORM_SETTINGS = f"""
[[signatures.platforms]]
issuer = "{PLATFORM}"
audience = "chengxin"
[[signatures.platforms.keys]]
kid = "1"
algorithm = "ES256"
public_key_file = "signers/platform.pem"
#"""


def pem(what: str, der: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {what}-----\n{body}\n-----END {what}-----\n".encode()


def by_certificate(key: Key, signed: bytes, *certificates: bytes, algorithm: str = "") -> pb.CertificateSignature:
    name, signature = sign(key, signed)
    number = pb.SignatureAlgorithm.Value(f"SIGNATURE_ALGORITHM_{algorithm or name}")
    return pb.CertificateSignature(algorithm=number, signature=signature, certificates=certificates)


def by_hand(image: bytes = b"", key: str = "0" * 32) -> pb.WitnessedSignature:
    now = timestamp_pb2.Timestamp()
    now.FromDatetime(datetime.now(UTC))
    return pb.WitnessedSignature(
        handwriting=image or png(), seen="核对证件原件,本人当面签名", staff_key=key,
        algorithm=pb.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256, signature=b"\x30\x00", witnessed_at=now,
    )  # fmt: skip


def asserted(document: bytes, **changes: object) -> pb.PlatformAssertion:
    now = int(datetime.now(UTC).timestamp())
    claims = {
        "iss": PLATFORM, "aud": "chengxin", "iat": now, "exp": now + 300, "name": NAME,
        "nonce": encode(hashlib.sha256(document).digest()), "id_number_digest": id_number_digest(NUMBER), **changes,
    }  # fmt: skip
    head = encode(json.dumps({"alg": "ES256", "kid": "1"}).encode())
    signed = f"{head}.{encode(json.dumps(claims).encode())}"
    return pb.PlatformAssertion(jws=f"{signed}.{encode(jws_signature(PLATFORM_KEY, signed.encode()))}")


Evidence = pb.CertificateSignature | pb.WitnessedSignature | pb.PlatformAssertion


def request(document: pb.PrepareCommitmentResponse, evidence: Evidence) -> pb.RecordCommitmentRequest:
    made = pb.RecordCommitmentRequest(
        request_id=str(uuid.uuid4()), record=document.record, operator=operator("clerk"),
        document_digest=document.document_digest,
    )  # fmt: skip
    match evidence:
        case pb.CertificateSignature():
            made.certificate.CopyFrom(evidence)
        case pb.WitnessedSignature():
            made.witnessed.CopyFrom(evidence)
        case pb.PlatformAssertion():
            made.platform.CopyFrom(evidence)
    return made


async def record(town: Town, document: pb.PrepareCommitmentResponse, evidence: Evidence) -> pb.RecordCommitmentResponse:
    return await town.commitment().RecordCommitment(request(document, evidence), timeout=TIMEOUT)


async def refused(town: Town, document: pb.PrepareCommitmentResponse, evidence: Evidence) -> str:
    with pytest.raises(aio.AioRpcError) as caught:
        await record(town, document, evidence)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert NUMBER not in (caught.value.details() or "")
    return (caught.value.details() or "").partition(":")[0]


async def history(town: Town, document: pb.PrepareCommitmentResponse) -> list[str]:
    answer = await town.commitment().GetCommitment(pb.GetCommitmentRequest(record=document.record), timeout=TIMEOUT)
    return [line.kind for line in answer.commitment.history]


@pytest.fixture
def signing() -> Signing:
    return Signing()


@pytest.fixture
async def signing_town(tmp_path: Path, signing: Signing) -> AsyncIterator[Town]:
    async for here in run_town(tmp_path, "sqlite:///ledger.sqlite3", signing.configure):
        yield here


async def test_every_bad_signature_is_refused_recorded_and_changes_nothing(
    signing_town: Town, signing: Signing
) -> None:
    document = await prepared(signing_town)
    content, key, issue = document.document, p256(), signing.certificate
    good = issue(key)
    between = signing.root.authority(p256(), starts=signing.now - DAY, ends=signing.now + DAY)
    sm2, weak = Sm2Key(), rsa.generate_private_key(65537, 2048)
    stranger = root(starts=signing.now - DAY)
    wrong_id = by_certificate(sm2, content, issue(sm2, signing.sm2))
    wrong_id.signature = sm2.sign(content, b"ALICE123@YAHOO.COM")
    middle = len(content) // 2
    altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    cases: dict[str, tuple[Evidence, str]] = {
        "by another key": (by_certificate(p256(), content, good), "SIGNATURE_INVALID"),
        "over another template version": (
            by_certificate(key, content.replace(b'"version":1', b'"version":2'), good),
            "SIGNATURE_INVALID",
        ),
        "over the rendered text": (by_certificate(key, document.text.encode(), good), "SIGNATURE_INVALID"),
        "over the digest": (by_certificate(key, document.document_digest, good), "SIGNATURE_INVALID"),
        "altered by one byte": (by_certificate(key, altered, good), "SIGNATURE_INVALID"),
        "expired at signing": (
            by_certificate(key, content, issue(key, ends=signing.now - timedelta(minutes=1))),
            "CERTIFICATE_EXPIRED",
        ),
        "revoked before": (by_certificate(key, content, issue(key, serial=REVOKED_SERIAL)), "CERTIFICATE_REVOKED"),
        "SM2, revoked before": (
            by_certificate(sm2, content, issue(sm2, signing.sm2, serial=REVOKED_SERIAL)),
            "CERTIFICATE_REVOKED",
        ),
        "revocation unknown": (
            by_certificate(key, content, issue(key, between), between.certificate),
            "REVOCATION_UNKNOWN",
        ),
        "unknown anchor": (by_certificate(key, content, issue(key, stranger)), "CERTIFICATE_NOT_TRUSTED"),
        "wrong key usage": (by_certificate(key, content, issue(key, key_usage=usage())), "KEY_USAGE_WRONG"),
        "SM2 with wrong user id": (wrong_id, "SIGNATURE_INVALID"),
        "weak RSA": (by_certificate(weak, content, issue(weak)), "KEY_TOO_WEAK"),
        "another algorithm named": (by_certificate(key, content, good, algorithm="ED25519"), "ALGORITHM_MISMATCH"),
        "image too large": (by_hand(JPEG[:-2] + bytes(300_000) + JPEG[-2:]), "HANDWRITING_TOO_LARGE"),
        "no image": (by_hand(b"%PDF"), "HANDWRITING_MALFORMED"),
        "unknown key of a clerk": (by_hand(), "STAFF_KEY_UNKNOWN"),
        "assertion for another document": (asserted(b"another"), "ASSERTION_NONCE"),
        "assertion for somebody else": (asserted(content, aud="x"), "ASSERTION_AUDIENCE"),
        "assertion expired": (asserted(content, iat=0, exp=300), "ASSERTION_EXPIRED"),
        "assertion with half a character": (asserted(content, nonce="\ud800"), "ASSERTION_MALFORMED"),
        "assertion of another person": (asserted(content, name="示例乙"), "SIGNER_NOT_APPLICANT"),
    }  # fmt: skip
    assert b'"version":1' in content
    before = await size(signing_town)

    found = {what: await refused(signing_town, document, evidence) for what, (evidence, _) in cases.items()}

    assert found == {what: code for what, (_, code) in cases.items()}
    assert await size(signing_town) == before + len(cases)
    assert await history(signing_town, document) == ["CommitmentPrepared"] + ["CommitmentRefused"] * len(cases)
    recorded = await record(signing_town, document, by_certificate(key, content, good))
    assert recorded.commitment.state == pb.COMMITMENT_STATE_RECORDED


async def test_sm2_and_platform_signatures_are_recorded(signing_town: Town, signing: Signing) -> None:
    sm2 = Sm2Key()
    document = await prepared(signing_town)
    certificate = signing.certificate(sm2, signing.sm2)
    recorded = await record(signing_town, document, by_certificate(sm2, document.document, certificate))
    assert recorded.commitment.state == pb.COMMITMENT_STATE_RECORDED


async def test_a_platform_signs_for_a_person(signing_town: Town) -> None:
    document = await prepared(signing_town)
    recorded = await record(signing_town, document, asserted(document.document))
    assert recorded.commitment.state == pb.COMMITMENT_STATE_RECORDED


async def test_an_ecdsa_twin_is_the_same_act_and_recorded_once(signing_town: Town, signing: Signing) -> None:
    document, key = await prepared(signing_town), p256()
    first = by_certificate(key, document.document, signing.certificate(key))
    twin = turned(first)
    key.public_key().verify(twin.signature, document.document, ec.ECDSA(hashes.SHA256()))
    await record(signing_town, document, twin)

    answer = await refusal(signing_town.commitment().RecordCommitment(request(document, first), timeout=TIMEOUT))

    assert answer[:2] == (grpc.StatusCode.ALREADY_EXISTS, "COMMITMENT_EXISTS")
    assert await history(signing_town, document) == ["CommitmentPrepared", "CommitmentRecorded"]


def turned(signature: pb.CertificateSignature) -> pb.CertificateSignature:
    """Turn s of an ECDSA P-256 signature to n - s, which holds as well."""
    r, s = decode_dss_signature(signature.signature)
    twin = pb.CertificateSignature()
    twin.CopyFrom(signature)
    twin.signature = encode_dss_signature(r, ORDER - s)
    return twin


async def repeated(
    town: Town, document: pb.PrepareCommitmentResponse, evidence: Evidence, request_id: str
) -> pb.RecordCommitmentResponse:
    """Send evidence under the request_id of a request that was answered."""
    again = request(document, evidence)
    again.request_id = request_id
    return await town.commitment().RecordCommitment(again, timeout=TIMEOUT)


async def test_another_signature_of_the_same_act_under_its_request_id_gets_the_first_outcome(
    signing_town: Town, signing: Signing
) -> None:
    document, key = await prepared(signing_town), p256()
    content, certificate = document.document, signing.certificate(key)
    asked = request(document, by_certificate(key, content, certificate))
    first = await signing_town.commitment().RecordCommitment(asked, timeout=TIMEOUT)
    entries = await size(signing_town)

    twin = await repeated(signing_town, document, turned(asked.certificate), asked.request_id)
    signed_anew = by_certificate(key, content, certificate)
    anew = await repeated(signing_town, document, signed_anew, asked.request_id)

    assert signed_anew.signature != asked.certificate.signature
    assert twin.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    assert anew.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    assert await size(signing_town) == entries


async def test_the_same_assertion_signed_again_under_its_request_id_gets_the_first_outcome(signing_town: Town) -> None:
    document = await prepared(signing_town)
    asked = request(document, asserted(document.document))
    first = await signing_town.commitment().RecordCommitment(asked, timeout=TIMEOUT)
    signed, _, _ = asked.platform.jws.rpartition(".")
    anew = pb.PlatformAssertion(jws=f"{signed}.{encode(jws_signature(PLATFORM_KEY, signed.encode()))}")

    again = await repeated(signing_town, document, anew, asked.request_id)

    assert anew.jws != asked.platform.jws
    assert again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)


async def test_another_act_under_the_same_request_id_is_refused_and_says_what_differs(
    signing_town: Town, signing: Signing
) -> None:
    document, other = await prepared(signing_town), await prepared(signing_town)
    key = p256()
    certificate = signing.certificate(key)
    asked = request(document, by_certificate(key, document.document, certificate))
    await signing_town.commitment().RecordCommitment(asked, timeout=TIMEOUT)
    entries = await size(signing_town)
    content, another = document.document, signing.certificate(key)
    cases: dict[str, tuple[pb.PrepareCommitmentResponse, Evidence, set[str]]] = {
        "another document": (
            other, by_certificate(key, other.document, certificate), {"document_digest", "record"},
        ),
        "another certificate": (document, by_certificate(key, content, another), {"certificates"}),
        "another algorithm": (
            document, by_certificate(key, content, certificate, algorithm="SM2_SM3"), {"algorithm"},
        ),
        "another method": (document, asserted(content), {"algorithm", "assertion_digest", "certificates"}),
    }  # fmt: skip
    for what, (of, evidence, fields) in cases.items():
        with pytest.raises(aio.AioRpcError) as caught:
            await repeated(signing_town, of, evidence, asked.request_id)
        assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS, what
        told = (caught.value.details() or "").partition("differing fields: ")[2]
        assert set(told.split(", ")) == fields, what
    assert await size(signing_town) == entries


async def test_every_mistake_of_form_is_named_at_once_and_nothing_recorded(signing_town: Town) -> None:
    document = await prepared(signing_town)
    before = await size(signing_town)
    stub = signing_town.commitment()
    empty = request(document, pb.WitnessedSignature(handwriting=b"", signature=bytes(2000)))
    empty.request_id, empty.document_digest = "1", b"short"

    by_hand_ = await refusal(stub.RecordCommitment(empty, timeout=TIMEOUT))
    without = await refusal(
        stub.RecordCommitment(pb.RecordCommitmentRequest(document_digest=bytes(32)), timeout=TIMEOUT)
    )
    other = request(document, pb.CertificateSignature())
    other.certificate.algorithm = 99  # type: ignore[assignment]
    unknown = await refusal(stub.RecordCommitment(other, timeout=TIMEOUT))
    blank = await refusal(stub.RecordCommitment(request(document, pb.PlatformAssertion()), timeout=TIMEOUT))

    assert by_hand_[2] == [
        "document_digest", "request_id", "witnessed.algorithm", "witnessed.handwriting", "witnessed.seen",
        "witnessed.signature", "witnessed.staff_key", "witnessed.witnessed_at",
    ]  # fmt: skip
    assert without[2] == ["evidence", "operator.person", "operator.unit", "record", "request_id"]
    assert unknown[2] == ["certificate.algorithm", "certificate.signature"]
    assert blank[2] == ["platform.jws"]
    assert await size(signing_town) == before


def test_configured_platform_keys_are_files_people_can_make() -> None:
    made = pem("PUBLIC KEY", public_key_info(PLATFORM_KEY))
    assert serialization.load_pem_public_key(made) == PLATFORM_KEY.public_key()
