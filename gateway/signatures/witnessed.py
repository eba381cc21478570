"""A signature by hand that a clerk witnessed: the image, and the clerk's own signature over what the clerk saw.

The clerk's key was enrolled by two people (`StaffKeyService`) and names person and unit. A key revoked before the time
that the statement gives is refused; one revoked later stands. That time is the clerk's word, so it must lie close to
our clock: the tolerance bounds how far a key that was lost can be dated back. And nobody signs a document that is not
there yet, or no longer open to signatures: `verify_witnessed_in_time`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.errors import SignatureRefused
from gateway.rules.kept import moment
from gateway.signatures.algorithms import read_public_key, verify_bytes
from gateway.signatures.evidence import Clerk, StaffKey, WitnessedEvidence, witness_statement
from gateway.signatures.image import media_type
from ledger.canonical import Json

_AHEAD = timedelta(minutes=1)
"""How far the clock of a clerk's machine may be ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessRules:
    """What is asked of witnessed signatures."""

    tolerance: timedelta = timedelta(minutes=15)
    """How far the time of signing may lie from our clock, either way."""
    most_image_bytes: int = 256 << 10


def verify_witnessed(
    document: bytes,
    evidence: WitnessedEvidence,
    key: StaffKey | None,
    clerk: Clerk,
    *,
    rules: WitnessRules,
    at: datetime,
) -> str:
    """Verify that the clerk who handles the case witnessed a signature of exactly this document.

    Returns:
        The media type of the image.

    Raises:
        SignatureRefused: the code says which rule is broken.
    """
    kind = media_type(evidence.handwriting, rules.most_image_bytes)
    if abs(at - evidence.witnessed_at) > rules.tolerance:
        raise SignatureRefused(
            "WITNESS_TIME_OFF", "the time of signing is too far from now", "见证签署的时间与系统时间相差过大。"
        )
    if key is None:
        raise SignatureRefused("STAFF_KEY_UNKNOWN", "no such enrolled key", "见证人的签名密钥未登记。")
    _require_in_force(key, evidence.witnessed_at)
    if (key.person, key.unit) != (clerk.person, clerk.unit):
        raise SignatureRefused(
            "STAFF_KEY_OF_ANOTHER", "the key is not that of the clerk who handles the case", "签名密钥不属于经办人。"
        )
    if evidence.algorithm != key.algorithm:
        raise SignatureRefused("ALGORITHM_MISMATCH", "the key is not of the algorithm named", "签名算法与密钥不符。")
    verify_bytes(
        evidence.algorithm, read_public_key(key.public_key), evidence.signature, statement_of(document, evidence, clerk)
    )
    return kind


def verify_witnessed_in_time(document: Mapping[str, Json], witnessed_at: datetime, *, at: datetime) -> None:
    """Verify that the time of signing which a clerk states could be, for a document that came signed `at` this time.

    It lies between the document's `prepared_at` and its `expires_at`, and at most a minute ahead of `at`.

    Raises:
        SignatureRefused: it does not.
        TypeError, ValueError: the document gives times that are no times.
    """
    prepared_at, expires_at = moment(document["prepared_at"]), moment(document["expires_at"])
    if prepared_at is None or witnessed_at < prepared_at:
        raise SignatureRefused(
            "WITNESSED_BEFORE_PREPARED",
            "the document was prepared after this signing",
            "见证签署的时间早于文书出具时间。",
        )
    if witnessed_at > at + _AHEAD:
        raise SignatureRefused(
            "WITNESSED_IN_FUTURE", "the time of signing is yet to come", "见证签署的时间晚于当前时间。"
        )
    if expires_at is None or witnessed_at > expires_at:
        raise SignatureRefused(
            "WITNESSED_AFTER_EXPIRY", "the document could no longer be signed then", "见证签署的时间晚于文书签署期限。"
        )


def statement_of(document: bytes, evidence: WitnessedEvidence, clerk: Clerk) -> bytes:
    """Write the statement that the clerk must have signed for this evidence."""
    return witness_statement(
        document=document,
        handwriting=evidence.handwriting,
        seen=evidence.seen,
        clerk=clerk.person,
        unit=clerk.unit,
        witnessed_at=evidence.witnessed_at,
    )


def _require_in_force(key: StaffKey, at: datetime) -> None:
    if at < key.enrolled_at:
        raise SignatureRefused(
            "STAFF_KEY_NOT_ENROLLED", "the key was not enrolled at the time of signing", "签署时该密钥尚未登记。"
        )
    if key.revoked_at is not None and key.revoked_at <= at:
        raise SignatureRefused("STAFF_KEY_REVOKED", "the key had been revoked", "见证人的签名密钥已吊销。")
