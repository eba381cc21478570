"""What a real-name platform asserts of who signed: a compact JWS (RFC 7515) with the claims of a JWT (RFC 7519).

The header may say `alg`, `kid` and `typ` and nothing else: no key, no address of a key, no `crit`. The key is the one
configured under that `kid` for that issuer, and its algorithm is the one configured with it, never the header's word.
The claims: `iss`, `aud`, `exp`, `iat`, `nonce` (base64url of the document's SHA-256), `name`, `id_number_digest`
(base64url of the SHA-256 of the number, UTF-8), and `nbf` where the platform gives it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from connectors.names import normal_name
from gateway.errors import SignatureRefused
from gateway.rules.identifiers import IdentifierRefused, parse_name
from gateway.signatures.algorithms import VerifyingKey, verify_bytes
from gateway.signatures.evidence import (
    ECDSA_P256_SHA256,
    ED25519,
    RSA_PSS_SHA256,
    PlatformEvidence,
    Signatory,
)

LONGEST = 8 << 10
"""Characters of an assertion."""
ALGORITHMS: Mapping[str, str] = {
    "EdDSA": ED25519, "Ed25519": ED25519, "ES256": ECDSA_P256_SHA256, "PS256": RSA_PSS_SHA256,
}  # fmt: skip
"""The algorithms that a configured key may have (RFC 7518, 8037, 9864)."""
_HEADER = frozenset({"alg", "kid", "typ"})
_TEXTS = ("iss", "nonce", "name", "id_number_digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformKey:
    """A key of a platform: its id, its JWS algorithm, the key, and it as SubjectPublicKeyInfo (DER)."""

    kid: str
    algorithm: str
    key: VerifyingKey = field(repr=False)
    public_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A real-name platform whose assertions count."""

    issuer: str
    audience: str
    keys: tuple[PlatformKey, ...]
    leeway: timedelta = timedelta(seconds=60)
    """How far its clock may differ from ours."""
    longest_life: timedelta = timedelta(minutes=15)
    """The most from `iat` to `exp`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A compact JWS taken apart, nothing of it verified."""

    header: Mapping[str, object]
    claims: Mapping[str, object] = field(repr=False)
    signed: bytes = field(repr=False)
    """The signing input: the two first parts and the dot between them."""
    signature: bytes = field(repr=False)


def verify_platform(
    document: bytes,
    evidence: PlatformEvidence,
    *,
    platforms: Sequence[Platform],
    signatory: Signatory,
    at: datetime,
) -> PlatformKey:
    """Verify that a configured platform asserts, at this time, that this person signed exactly this document.

    Raises:
        SignatureRefused: the code says which rule is broken.
    """
    assertion = parse_assertion(evidence.jws)
    key = verify_assertion(assertion, platforms, texts=_TEXTS, at=at)
    if not _same(str(assertion.claims["nonce"]), encode(hashlib.sha256(document).digest())):
        raise SignatureRefused(
            "ASSERTION_NONCE", "the nonce is not the digest of this document", "认证结果不是针对本文书。"
        )
    _require_signatory(assertion.claims, signatory)
    return key


def verify_assertion(
    assertion: Assertion, platforms: Sequence[Platform], *, texts: Sequence[str], at: datetime
) -> PlatformKey:
    """Verify that one of some issuers made an assertion for us, and that it counts at this time; `texts` are the claims
    that must be texts. What it says of whom is the caller's to judge.

    Raises:
        SignatureRefused: the code says which rule is broken.
    """
    platform = next((one for one in platforms if one.issuer == assertion.claims.get("iss")), None)
    if platform is None:
        raise SignatureRefused("ASSERTION_ISSUER_UNKNOWN", "no such platform is configured", "身份认证平台未登记。")
    key = next((one for one in platform.keys if one.kid == assertion.header["kid"]), None)
    if key is None:
        raise SignatureRefused("ASSERTION_KEY_UNKNOWN", "the platform has no such key here", "认证平台的密钥未登记。")
    if assertion.header["alg"] != key.algorithm:
        raise SignatureRefused(
            "ASSERTION_ALGORITHM", "the algorithm named is not that of the key", "认证结果的签名算法不符。"
        )
    verify_bytes(ALGORITHMS[key.algorithm], key.key, signature_der(assertion, key.algorithm), assertion.signed)
    _require_claims(assertion.claims, texts)
    _require_audience(assertion.claims["aud"], platform.audience)
    _require_time(assertion.claims, platform, at)
    return key


def parse_assertion(jws: str) -> Assertion:
    """Take a compact JWS apart; raises `SignatureRefused`."""
    parts = jws.split(".")
    if len(jws) > LONGEST or len(parts) != 3:
        raise _malformed("not a compact JWS")
    try:
        header, claims, signature = (decode(part) for part in parts)
        head, body = _object(header), _object(claims)
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _malformed("a part is not base64url of what it should be") from error
    if head.keys() - _HEADER or not all(isinstance(head.get(one), str) for one in ("alg", "kid")):
        raise _malformed("the header must say alg and kid, may say typ, and nothing else")
    return Assertion(header=head, claims=body, signed=".".join(parts[:2]).encode(), signature=signature)


def signature_der(assertion: Assertion, algorithm: str) -> bytes:
    """Give the signature as verifiers of the algorithm take it: of ES256 as DER instead of r and s (RFC 7518 3.4)."""
    if algorithm != "ES256":
        return assertion.signature
    if len(assertion.signature) != 64:
        raise SignatureRefused("SIGNATURE_INVALID", "an ES256 signature has 64 bytes", "签名与文书内容不符。")
    r, s = (int.from_bytes(half, "big") for half in (assertion.signature[:32], assertion.signature[32:]))
    return encode_dss_signature(r, s)


def encode(value: bytes) -> str:
    """Write base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Read base64url without padding, in its one spelling; raises ValueError."""
    value = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encode(value) != text:
        raise ValueError("not in its one spelling")
    return value


def id_number_digest(number: str) -> str:
    """Give the digest by which an assertion names a number."""
    return encode(hashlib.sha256(number.encode()).digest())


def _object(content: bytes) -> dict[str, object]:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name is given twice")
        return found

    value = json.loads(content.decode("utf-8"), object_pairs_hook=once)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    json.dumps(value, ensure_ascii=False).encode()  # an escape in JSON can spell half a character, which is no text
    return value


def _require_claims(claims: Mapping[str, object], texts: Sequence[str]) -> None:
    wrong = [name for name in texts if not isinstance(claims.get(name), str)]
    wrong += [name for name in ("exp", "iat") if not _is_time(claims.get(name))]
    if "nbf" in claims and not _is_time(claims["nbf"]):
        wrong.append("nbf")
    if "aud" not in claims:
        wrong.append("aud")
    if wrong:
        raise SignatureRefused(
            "ASSERTION_INCOMPLETE", f"claims missing or of another type: {', '.join(wrong)}", "认证结果内容不完整。"
        )


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 36


def _require_audience(audience: object, ours: str) -> None:
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or ours not in named:
        raise SignatureRefused("ASSERTION_AUDIENCE", "it is made for somebody else", "认证结果不是出具给本系统的。")


def _require_time(claims: Mapping[str, object], platform: Platform, at: datetime) -> None:
    issued, expires = instant(claims["iat"]), instant(claims["exp"])
    begins = max(issued, instant(claims.get("nbf", claims["iat"])))
    if expires <= begins:
        raise SignatureRefused(
            "ASSERTION_NEVER_VALID", "it ends before it begins", "认证结果的失效时间不晚于生效时间。"
        )
    if at > expires + platform.leeway:
        raise SignatureRefused("ASSERTION_EXPIRED", "it has expired", "认证结果已过期。")
    if at < begins - platform.leeway:
        raise SignatureRefused("ASSERTION_NOT_YET_VALID", "it is not valid yet", "认证结果尚未生效。")
    if expires - issued > platform.longest_life:
        raise SignatureRefused("ASSERTION_TOO_LONG_LIVED", "it is valid for too long", "认证结果有效期过长。")


def instant(value: object) -> datetime:
    """Give the moment of a claim that is a time: seconds since 1970."""
    return datetime.fromtimestamp(value if isinstance(value, int) else 0, UTC)


def _require_signatory(claims: Mapping[str, object], signatory: Signatory) -> None:
    try:
        name = parse_name(str(claims["name"]))
    except IdentifierRefused:
        name = ""
    number = _same(str(claims["id_number_digest"]), id_number_digest(signatory.id_number))
    if not (number and name) or name != normal_name(signatory.name):
        raise signatory.refused("assertion")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _malformed(detail: str) -> SignatureRefused:
    return SignatureRefused("ASSERTION_MALFORMED", detail, "认证结果格式有误。")
