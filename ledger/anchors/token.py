"""Verifying a time stamp of a checkpoint, online or decades later, with nothing but the authority's root certificates.

RFC 3161; the certificates are judged as of the time in the stamp, so that it still verifies after they expired.
Revocation is not looked up: keep the authority's revocation lists with the roots where that matters.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509

from ledger.anchors.order import sort_certificates
from ledger.errors import AnchorError, ExtraMissing, KeyFileError

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

_LONGEST = 1 << 20
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Whose time stamps are believed: root certificates, and the policy a stamp must name (None: any)."""

    certificates: tuple[x509.Certificate, ...]
    policy: x509.ObjectIdentifier | None = None


def load_roots(path: Path, policy: str = "") -> Roots:
    """Read root certificates from a PEM file; `policy` is a dotted object identifier, or empty for any.

    Raises:
        KeyFileError: the file cannot be read or holds no certificate, or the policy is no identifier.
    """
    mistakes = []
    certificates: Sequence[x509.Certificate] = ()
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as failure:
        mistakes.append(f"cannot be read ({failure.strerror})")
    except ValueError:
        mistakes.append("holds no PEM certificates")
    named = None
    try:
        named = x509.ObjectIdentifier(policy) if policy else None
    except ValueError:
        mistakes.append("the policy is not an object identifier such as 1.2.3.4")
    if mistakes:
        raise KeyFileError(str(path), mistakes)
    return Roots(certificates=tuple(certificates), policy=named)


def verify_anchor(token: bytes, note: bytes, roots: Roots, *, nonce: int | None = None) -> datetime:
    """Verify that a time stamp (a DER `TimeStampResp`) is of exactly this checkpoint, and return its time.

    `nonce` is that of the question, where the question is still known.

    Raises:
        AnchorError: it is malformed, was not granted, is of other bytes or another question, names another policy,
            or is not signed by a time-stamping certificate that leads to a root.
    """
    response = parse_token(token)
    at = _require_imprint(response, note)
    from rfc3161_client import VerifierBuilder

    verifier = VerifierBuilder(policy_id=roots.policy, roots=list(roots.certificates), nonce=nonce).build()
    try:
        verifier.verify(response, sha256(note).digest())
    except Exception as failure:  # the parsers behind it raise whatever they like on hostile bytes: all is refusal
        raise AnchorError(f"the time stamp does not hold: {failure}") from failure
    return at


def read_stamp(token: bytes, note: bytes) -> datetime:
    """Read the time of a time stamp of this checkpoint; who signed it is not looked at.

    Raises:
        AnchorError: it is malformed, was not granted, or is of other bytes.
    """
    return _require_imprint(parse_token(token), note)


def _require_imprint(response: TimeStampResponse, note: bytes) -> datetime:
    info = response.tst_info
    if info.message_imprint.hash_algorithm != _SHA256 or info.message_imprint.message != sha256(note).digest():
        raise AnchorError("the time stamp is of other bytes than this checkpoint")
    return info.gen_time.replace(tzinfo=UTC) if info.gen_time.tzinfo is None else info.gen_time


def parse_token(token: bytes) -> TimeStampResponse:
    """Read a time-stamp response, verifying nothing but that it carries a stamp.

    Raises:
        AnchorError: it is malformed, or the authority refused.
    """
    require_rfc3161()
    from rfc3161_client import PKIStatus, decode_timestamp_response

    if len(token) > _LONGEST:
        raise AnchorError("the time stamp is too long")
    try:
        response = decode_timestamp_response(sort_certificates(token))
    except ValueError:
        raise AnchorError("not a time-stamp response") from None
    if response.status != PKIStatus.GRANTED:
        raise AnchorError(f"the authority did not grant a time stamp (status {response.status})")
    try:
        _ = response.tst_info
    except ValueError:
        raise AnchorError("the response carries no readable time stamp") from None
    return response


def require_rfc3161() -> Any:
    """Require the library behind this package; raises `ExtraMissing` naming the extra to install."""
    try:
        return importlib.import_module("rfc3161_client")
    except ImportError as failure:
        raise ExtraMissing("time stamps need the extra `anchors`: pip install 'chengxin[anchors]'") from failure
