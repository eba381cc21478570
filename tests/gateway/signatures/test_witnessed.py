"""Signatures by hand before a clerk: which image, which key, whose, and when."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SignatureRefused
from gateway.signatures.chain import Chains
from gateway.signatures.evidence import Clerk, Signatory, StaffKey, WitnessedEvidence, witness_statement
from gateway.signatures.verification import Act, Trust, Verified, verify_act
from gateway.signatures.witnessed import WitnessRules, verify_witnessed_in_time
from ledger.canonical import Json, parse_canonical
from tests.gateway.signatures.authorities import NAME, NOW, NUMBER, Key, Sm2Key, p256, public_key_info, sign
from tests.gateway.signatures.images import JPEG, png

DOCUMENT = '{"statement":"以上属实"}'.encode()
CLERK = Clerk(person="clerk-01", unit="11230000000000101E")
SIGNATORY = Signatory(id_type="resident-id", id_number=NUMBER, name=NAME)
RECORD = bytes(range(16))
KEY = p256()
TRUST = Trust(chains=Chains([]), witness=WitnessRules(tolerance=timedelta(minutes=15), most_image_bytes=4096))


def staff_key(key: Key = KEY, **changes: Any) -> StaffKey:
    made = StaffKey(
        record=RECORD, person=CLERK.person, unit=CLERK.unit, algorithm=sign(key, b"")[0],
        public_key=public_key_info(key), enrolled_at=NOW - timedelta(days=30),
    )  # fmt: skip
    return replace(made, **changes)


def witnessed(
    *,
    key: Key = KEY,
    document: bytes = DOCUMENT,
    image: bytes = b"",
    at: datetime = NOW,
    seen: str = "核对证件,本人当面签名",
    clerk: Clerk = CLERK,
) -> WitnessedEvidence:
    handwriting = image or png()
    statement = witness_statement(
        document=document, handwriting=handwriting, seen=seen, clerk=clerk.person, unit=clerk.unit, witnessed_at=at
    )
    algorithm, signature = sign(key, statement)
    return WitnessedEvidence(
        handwriting=handwriting, seen=seen, staff_key=RECORD, algorithm=algorithm, signature=signature, witnessed_at=at
    )


def verified(
    evidence: WitnessedEvidence, key: StaffKey | None = None, *, clerk: Clerk = CLERK, at: datetime = NOW
) -> Verified:
    act = Act(document=DOCUMENT, evidence=evidence, signatory=SIGNATORY, clerk=clerk, staff_key=key or staff_key())
    return verify_act(act, TRUST, at=at)


def refused(evidence: WitnessedEvidence, key: StaffKey | None = None, **rest: Any) -> str:
    with pytest.raises(SignatureRefused) as caught:
        verified(evidence, key, **rest)
    assert caught.value.chinese
    return caught.value.code


@pytest.mark.parametrize("image", [png(), JPEG])
def test_a_witnessed_signature_is_accepted_and_keeps_what_was_signed(image: bytes) -> None:
    found = verified(witnessed(image=image))

    statement = parse_canonical(str(found.kept["statement"]).encode())
    assert isinstance(statement, dict)
    assert statement["document_digest"] == hashlib.sha256(DOCUMENT).hexdigest()
    assert statement["handwriting_digest"] == hashlib.sha256(image).hexdigest()
    assert statement["clerk"] == CLERK.person
    assert found.handwriting is not None
    assert found.handwriting["media_type"] == ("image/jpeg" if image == JPEG else "image/png")


def test_a_clerk_may_hold_an_sm2_key() -> None:
    key = Sm2Key()
    assert verified(witnessed(key=key), staff_key(key)).kept["algorithm"] == "SM2_SM3"


def test_a_statement_of_other_things_is_refused() -> None:
    whole = witnessed()
    changes: list[dict[str, Any]] = [
        {"handwriting": png(3, 3)}, {"seen": "没有看见"}, {"witnessed_at": NOW + timedelta(seconds=1)},
    ]  # fmt: skip
    for change in changes:
        assert refused(replace(whole, **change)) == "SIGNATURE_INVALID"
    assert refused(witnessed(document=DOCUMENT + b" ")) == "SIGNATURE_INVALID"
    assert refused(witnessed(key=p256())) == "SIGNATURE_INVALID"
    assert refused(witnessed(clerk=Clerk(person="clerk-02", unit=CLERK.unit))) == "SIGNATURE_INVALID"


def test_only_the_clerk_who_handles_the_case_witnesses_it() -> None:
    for other in (Clerk(person="clerk-02", unit=CLERK.unit), Clerk(person=CLERK.person, unit="112300000000002027")):
        assert refused(witnessed(clerk=other), clerk=other) == "STAFF_KEY_OF_ANOTHER"


def test_an_unknown_key_is_refused() -> None:
    act = Act(document=DOCUMENT, evidence=witnessed(), signatory=SIGNATORY, clerk=CLERK, staff_key=None)
    with pytest.raises(SignatureRefused) as caught:
        verify_act(act, TRUST, at=NOW)
    assert caught.value.code == "STAFF_KEY_UNKNOWN"


@given(st.integers(-800, 800), st.integers(-800, 800))
def test_a_key_signs_from_its_enrolment_until_its_revocation(witnessed_s: int, revoked_s: int) -> None:
    at, revoked_at = NOW + timedelta(seconds=witnessed_s), NOW + timedelta(seconds=revoked_s)
    evidence, key = witnessed(at=at), staff_key(revoked_at=revoked_at)
    if revoked_at <= at:
        assert refused(evidence, key) == "STAFF_KEY_REVOKED"
    else:
        verified(evidence, key)


def test_a_key_that_was_enrolled_after_the_signing_is_refused() -> None:
    assert refused(witnessed(), staff_key(enrolled_at=NOW + timedelta(seconds=1))) == "STAFF_KEY_NOT_ENROLLED"


@pytest.mark.parametrize("minutes", [-16, 16, 60 * 24 * 365])
def test_a_time_of_signing_far_from_now_is_refused(minutes: int) -> None:
    assert refused(witnessed(at=NOW + timedelta(minutes=minutes))) == "WITNESS_TIME_OFF"


HOUR = timedelta(hours=1)
TIMES: dict[str, Json] = {"prepared_at": (NOW - HOUR).isoformat(), "expires_at": (NOW + HOUR).isoformat()}


def untimely(witnessed_at: datetime, at: datetime) -> str:
    with pytest.raises(SignatureRefused) as caught:
        verify_witnessed_in_time(TIMES, witnessed_at, at=at)
    assert caught.value.chinese
    return caught.value.code


@given(st.integers(0, 3600), st.integers(0, 3600))
def test_between_the_document_and_now_any_time_of_signing_will_do(signed_s: int, later_s: int) -> None:
    witnessed_at = NOW - HOUR + timedelta(seconds=signed_s)
    verify_witnessed_in_time(TIMES, witnessed_at, at=witnessed_at + timedelta(seconds=later_s))


def test_the_first_and_the_last_moment_count() -> None:
    verify_witnessed_in_time(TIMES, NOW - HOUR, at=NOW)
    verify_witnessed_in_time(TIMES, NOW + timedelta(minutes=1), at=NOW)
    verify_witnessed_in_time(TIMES, NOW + HOUR, at=NOW + HOUR)


def test_nobody_signs_before_the_document_is_there() -> None:
    before = NOW - HOUR - timedelta(microseconds=1)
    assert untimely(before, before) == "WITNESSED_BEFORE_PREPARED"
    assert untimely(before, NOW) == "WITNESSED_BEFORE_PREPARED"


def test_nobody_signs_in_the_future() -> None:
    assert untimely(NOW + timedelta(minutes=1, microseconds=1), NOW) == "WITNESSED_IN_FUTURE"
    assert untimely(NOW + 2 * HOUR, NOW) == "WITNESSED_IN_FUTURE"


def test_nobody_signs_a_document_that_is_closed_to_signatures_though_a_clock_is_ahead() -> None:
    assert untimely(NOW + HOUR + timedelta(microseconds=1), NOW + HOUR) == "WITNESSED_AFTER_EXPIRY"
    assert untimely(NOW + HOUR + timedelta(days=1), NOW + timedelta(days=2)) == "WITNESSED_AFTER_EXPIRY"


@pytest.mark.parametrize("missing", ["prepared_at", "expires_at"])
def test_a_document_that_names_no_time_has_no_time_of_signing(missing: str) -> None:
    with pytest.raises(SignatureRefused):
        verify_witnessed_in_time({**TIMES, missing: None}, NOW, at=NOW)


def test_another_algorithm_than_the_enrolled_one_is_refused() -> None:
    assert refused(replace(witnessed(), algorithm="ED25519")) == "ALGORITHM_MISMATCH"


def test_an_image_that_is_too_large_is_refused_before_anything_else_is_looked_at() -> None:
    large = JPEG[:-2] + bytes(4096) + JPEG[-2:]
    assert refused(witnessed(image=large), staff_key(revoked_at=NOW - timedelta(days=1))) == "HANDWRITING_TOO_LARGE"


def test_what_is_no_whole_image_is_refused() -> None:
    assert refused(witnessed(image=b"\xff\xd8\xff\xd9")) == "HANDWRITING_MALFORMED"


def test_what_a_clerk_saw_is_not_shown_in_tracebacks() -> None:
    seen = f"{NAME}当面签字"
    assert NAME not in repr(replace(witnessed(), seen=seen))
