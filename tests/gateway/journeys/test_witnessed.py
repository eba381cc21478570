"""Signatures by hand before a clerk, over mutual TLS: the clerk's key from enrolment to revocation, and the pack."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf import timestamp_pb2

from gateway.evidence_pack.archive import MANIFEST, write_archive
from gateway.flows.administration.staff_keys import enrolment
from gateway.founding import SYSTEMS
from gateway.signatures.evidence import WitnessedEvidence
from gateway.v1 import commitment_pb2 as pb
from gateway.v1 import staff_pb2, staff_pb2_grpc
from tests.gateway.signatures.authorities import Key, Sm2Key, p256, public_key_info, sign
from tests.gateway.signatures.images import JPEG, png
from tests.gateway.signatures.test_witnessed import witnessed

from .conftest import TIMEOUT, Town, operator, run_town
from .test_evidence_pack import failed, follow_the_readme, prepare, unpacked
from .test_signatures import record, refused

UNIT = SYSTEMS["clerk"][0]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Town]:
    async for here in run_town(tmp_path, "sqlite:///ledger.sqlite3"):
        yield here


def keys_of(town: Town, system: str) -> staff_pb2_grpc.StaffKeyServiceAsyncStub:
    return staff_pb2_grpc.StaffKeyServiceStub(town.channel(system))


async def enrol(town: Town, key: Key, person: str = "clerk-01") -> str:
    """Have two people enrol a clerk's key; give its record."""
    identity, info, algorithm = uuid.uuid4(), public_key_info(key), algorithm_of(key)
    signed = enrolment(person=person, unit=UNIT, algorithm=algorithm, public_key=info, request_id=identity)
    proposed = await keys_of(town, "officer").ProposeStaffKey(
        staff_pb2.ProposeStaffKeyRequest(
            request_id=str(identity), operator=operator("officer"), person=person,
            algorithm=number_of(algorithm), public_key=info, possession=sign(key, signed)[1],
        ),
        timeout=TIMEOUT,
    )  # fmt: skip
    await keys_of(town, "reviewer").DecideStaffKey(
        staff_pb2.DecideStaffKeyRequest(
            request_id=str(uuid.uuid4()), operator=operator("reviewer"), record=proposed.key.record,
            decision=staff_pb2.STAFF_KEY_DECISION_ENROL,
        ),
        timeout=TIMEOUT,
    )  # fmt: skip
    return proposed.key.record


async def revoke(town: Town, key: str) -> None:
    await keys_of(town, "officer").RevokeStaffKey(
        staff_pb2.RevokeStaffKeyRequest(
            request_id=str(uuid.uuid4()), operator=operator("officer"), record=key, reason="遗失"
        ),
        timeout=TIMEOUT,
    )


def algorithm_of(key: Key) -> str:
    return sign(key, b"")[0]


def number_of(algorithm: str) -> pb.SignatureAlgorithm.ValueType:
    return pb.SignatureAlgorithm.Value(f"SIGNATURE_ALGORITHM_{algorithm}")


def message(evidence: WitnessedEvidence, key: str) -> pb.WitnessedSignature:
    at = timestamp_pb2.Timestamp()
    at.FromDatetime(evidence.witnessed_at)
    return pb.WitnessedSignature(
        handwriting=evidence.handwriting, seen=evidence.seen, staff_key=key,
        algorithm=number_of(evidence.algorithm), signature=evidence.signature, witnessed_at=at,
    )  # fmt: skip


def by_hand(
    document: pb.PrepareCommitmentResponse, key: Key, name: str, *, at: datetime | None = None, image: bytes = b""
) -> pb.WitnessedSignature:
    when = at or datetime.now(UTC)
    return message(witnessed(key=key, document=document.document, image=image or png(), at=when), name)


@pytest.mark.parametrize("make", [p256, Sm2Key], ids=["P-256", "SM2"])
async def test_a_witnessed_commitment_is_recorded_and_its_pack_verifies(
    office: Town, tmp_path: Path, make: Callable[[], Key]
) -> None:
    key = make()
    name = await enrol(office, key)
    document = await prepare(office, "办-1")

    recorded = await record(office, document, by_hand(document, key, name, image=JPEG))

    assert recorded.commitment.state == pb.COMMITMENT_STATE_RECORDED
    asked = pb.GetEvidencePackRequest(record=document.record)
    pack = (await office.commitment().GetEvidencePack(asked, timeout=TIMEOUT)).pack
    files = unpacked(pack)
    assert failed(office, pack) == {}
    assert files["handwriting.jpg"] == JPEG
    follow_the_readme(tmp_path / "pack", pack)

    await revoke(office, name)  # what it signed before stands
    later = (await office.commitment().GetEvidencePack(asked, timeout=TIMEOUT)).pack
    assert failed(office, later) == {}
    assert "staff-key-revoked.tlog-proof" in unpacked(later)
    follow_the_readme(tmp_path / "later", later)


async def test_a_revoked_key_signs_nothing_more_but_what_it_signed_before_stands(office: Town) -> None:
    key = p256()
    name = await enrol(office, key)
    first, second = await prepare(office, "办-1"), await prepare(office, "办-2")
    signed_before = by_hand(first, key, name)
    await revoke(office, name)

    assert await refused(office, second, by_hand(second, key, name)) == "STAFF_KEY_REVOKED"
    recorded = await record(office, first, signed_before)
    assert recorded.commitment.state == pb.COMMITMENT_STATE_RECORDED


async def test_every_witness_that_does_not_count_is_refused(office: Town) -> None:
    key, other = p256(), p256()
    before = datetime.now(UTC)
    name = await enrol(office, key)
    of_other_clerk = await enrol(office, other, person="clerk-02")
    document = await prepare(office, "办-1")
    good = by_hand(document, key, name)
    swapped = pb.WitnessedSignature()
    swapped.CopyFrom(good)
    swapped.handwriting = png(3, 3)
    large = JPEG[:-2] + bytes(300_000) + JPEG[-2:]
    cases = {
        "another image": (swapped, "SIGNATURE_INVALID"),
        "another key's signature": (by_hand(document, other, name), "SIGNATURE_INVALID"),
        "another clerk's key": (by_hand(document, other, of_other_clerk), "STAFF_KEY_OF_ANOTHER"),
        "no such key": (by_hand(document, key, "0" * 32), "STAFF_KEY_UNKNOWN"),
        "a record that is no key": (by_hand(document, key, document.record), "STAFF_KEY_UNKNOWN"),
        "before the document": (by_hand(document, key, name, at=before), "WITNESSED_BEFORE_PREPARED"),
        "two minutes hence": (by_hand(document, key, name, at=before + timedelta(minutes=2)), "WITNESSED_IN_FUTURE"),
        "four bytes of a JPEG": (by_hand(document, key, name, image=b"\xff\xd8\xff\xd9"), "HANDWRITING_MALFORMED"),
        "too large an image": (by_hand(document, key, name, image=large), "HANDWRITING_TOO_LARGE"),
    }

    found = {what: await refused(office, document, evidence) for what, (evidence, _) in cases.items()}

    assert found == {what: code for what, (_, code) in cases.items()}
    assert (await record(office, document, good)).commitment.state == pb.COMMITMENT_STATE_RECORDED


async def test_a_key_that_was_enrolled_after_the_signing_is_refused(office: Town) -> None:
    document = await prepare(office, "办-1")
    at = datetime.now(UTC)
    key = p256()
    name = await enrol(office, key)

    assert await refused(office, document, by_hand(document, key, name, at=at)) == "STAFF_KEY_NOT_ENROLLED"


async def test_a_pack_whose_witness_was_altered_is_refused_by_name(office: Town) -> None:
    keys = p256(), p256()
    names = [await enrol(office, keys[0]), await enrol(office, keys[1])]
    packs = []
    for case, (key, name) in enumerate(zip(keys, names, strict=True)):
        document = await prepare(office, f"办-{case}")
        await record(office, document, by_hand(document, key, name, image=png(2 + case, 2)))
        asked = pb.GetEvidencePackRequest(record=document.record)
        packs.append(unpacked((await office.commitment().GetEvidencePack(asked, timeout=TIMEOUT)).pack))
    ours, theirs = packs
    for name, allowed in {
        "handwriting.png": {"signature"},
        "witness.json": {"files", "signature", "clerk's key"},
        "signature.bin": {"files", "signature"},
        "signer-key.pem": {"files"},
        "staff-key.disclosure.json": {"clerk's key"},
        "staff-key-enrolled.tlog-proof": {"clerk's key"},
    }.items():
        changed = {**ours, name: theirs[name]}
        pack = write_archive({one: content for one, content in changed.items() if one != MANIFEST})
        found = failed(office, pack)
        assert found, name
        assert set(found) <= allowed, (name, found)


async def test_a_pack_shows_no_other_image_than_the_one_that_was_witnessed(office: Town, tmp_path: Path) -> None:
    key = p256()
    name = await enrol(office, key)
    packs = {}
    for case, image in (("办-1", png()), ("办-2", JPEG)):
        document = await prepare(office, case)
        await record(office, document, by_hand(document, key, name, image=image))
        asked = pb.GetEvidencePackRequest(record=document.record)
        packs[case] = unpacked((await office.commitment().GetEvidencePack(asked, timeout=TIMEOUT)).pack)

    def number_of_failures(number: int, files: dict[str, bytes]) -> int:
        pack = write_archive({one: content for one, content in files.items() if one != MANIFEST})
        with pytest.raises(AssertionError, match=r"check\.py"):
            follow_the_readme(tmp_path / str(number), pack)
        return len(failed(office, pack))

    drawn, photographed = packs["办-1"], packs["办-2"]
    for number, (files, changes) in enumerate(
        (
            (drawn, {"handwriting.jpg": drawn["handwriting.png"], "handwriting.png": png(3, 3)}),
            (drawn, {"handwriting.zzz": drawn["handwriting.png"], "handwriting.png": png(3, 3)}),
            (drawn, {"handwriting.gif": drawn["handwriting.png"], "handwriting.png": png(3, 3)}),
            (drawn, {"handwriting.jpg": JPEG}),
            (drawn, {"document-signed.json": b"{}"}),
            (photographed, {"handwriting.png": png()}),
            (photographed, {"handwriting.png": JPEG}),
        )
    ):
        assert number_of_failures(number, {**files, **changes}), changes.keys()
    misnamed = {("handwriting.jpg" if one == "handwriting.png" else one): content for one, content in drawn.items()}
    assert number_of_failures(7, misnamed)


def test_what_tells_one_witnessed_signature_from_another_holds_no_image() -> None:
    evidence = witnessed()
    body = evidence.body()
    assert body["handwriting_digest"] == hashlib.sha256(evidence.handwriting).hexdigest()
    assert len(str(body)) < 1000
    assert replace(evidence, handwriting=png(3, 3)).body() != body


def test_a_statement_that_was_signed_again_is_the_same_act() -> None:
    evidence = witnessed()
    assert replace(evidence, signature=b"another").body() == evidence.body()
    assert replace(evidence, seen="没有看见").body() != evidence.body()
    assert replace(evidence, algorithm="ED25519").body() != evidence.body()
    assert replace(evidence, witnessed_at=evidence.witnessed_at + timedelta(seconds=1)).body() != evidence.body()
