"""What comes with a document to show that a person signed it, and what is kept of it once it held.

Three kinds: an X.509 certificate vouches for the signature; a clerk witnessed a signature by hand and signs that; a
real-name platform asserts who signed. Whatever the kind, it covers exactly the document's bytes, names its algorithm,
and identity never derives from signature bytes: an ECDSA twin (r, n-s) is the same act. So what a repeated request is
compared by (`body`) holds everything but the value of the signature: which document, how it was signed, and by whom.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.errors import SignatureRefused
from ledger.canonical import Json, canonical, format_time

ED25519 = "ED25519"
ECDSA_P256_SHA256 = "ECDSA_P256_SHA256"
ECDSA_P384_SHA384 = "ECDSA_P384_SHA384"
RSA_PSS_SHA256 = "RSA_PSS_SHA256"
SM2_SM3 = "SM2_SM3"
ALGORITHMS = (ED25519, ECDSA_P256_SHA256, ECDSA_P384_SHA384, RSA_PSS_SHA256, SM2_SM3)

SIGNATURE = "signature"
"""The group of CommitmentRecorded that keeps the evidence."""
HANDWRITING = "handwriting"
"""The group of CommitmentRecorded that keeps the image of a signature by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateEvidence:
    """A signature, its algorithm by name, and the certificates (DER, the signer's first) that vouch for it."""

    algorithm: str
    signature: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)

    def body(self) -> dict[str, Json]:
        """Give what tells this evidence from other evidence in the body of a request."""
        return {
            "algorithm": self.algorithm,
            "certificates": [certificate.hex() for certificate in self.certificates],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedEvidence:
    """A signature by hand, and a clerk's signature over what the clerk saw (`witness_statement`)."""

    handwriting: bytes = field(repr=False)
    """The image, PNG or JPEG."""
    seen: str = field(repr=False)
    staff_key: bytes
    """The record of the clerk's key, 16 bytes."""
    algorithm: str
    signature: bytes = field(repr=False)
    witnessed_at: datetime

    def body(self) -> dict[str, Json]:
        """Give what tells this evidence from other evidence in the body of a request; the image by its digest."""
        return {
            "handwriting_digest": hashlib.sha256(self.handwriting).hexdigest(),
            "seen": self.seen,
            "staff_key": self.staff_key.hex(),
            "algorithm": self.algorithm,
            "witnessed_at": format_time(self.witnessed_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformEvidence:
    """A real-name platform's assertion of who signed: a compact JWS (RFC 7515)."""

    jws: str = field(repr=False)

    def body(self) -> dict[str, Json]:
        """Give what tells this evidence from other evidence in the body of a request: header and claims, digested."""
        signed = self.jws.rpartition(".")[0]
        return {"assertion_digest": hashlib.sha256(signed.encode()).hexdigest()}


Evidence = CertificateEvidence | WitnessedEvidence | PlatformEvidence
"""How a document was signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffKey:
    """A clerk's key that was enrolled, and may have been revoked since."""

    record: bytes
    person: str
    """The clerk's staff number."""
    unit: str
    """A unified social credit code."""
    algorithm: str
    public_key: bytes = field(repr=False)
    """SubjectPublicKeyInfo, DER."""
    enrolled_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatory:
    """Who must have signed: the applicant, or the agent where one acts; numbers and names normalised."""

    id_type: str
    id_number: str = field(repr=False)
    name: str = field(repr=False)
    by_proxy: bool = False
    """Whether this is an agent, who acts for the applicant."""

    def refused(self, what: str) -> SignatureRefused:
        """Say that `what` (a certificate, an assertion) is somebody else's."""
        if self.by_proxy:
            return SignatureRefused(
                "SIGNER_NOT_AGENT", f"the {what} names another person", "签名人不是文书载明的代理人。"
            )
        return SignatureRefused("SIGNER_NOT_APPLICANT", f"the {what} names another person", "签名人不是申请人本人。")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk:
    """Who handles the case: a staff number and the unit."""

    person: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Evidence that held: what must be kept of it in the vault, by group of the entry."""

    groups: Mapping[str, Json] = field(repr=False)


def witness_statement(
    *, document: bytes, handwriting: bytes, seen: str, clerk: str, unit: str, witnessed_at: datetime
) -> bytes:
    """Write the statement that a witnessing clerk signs: canonical JSON (RFC 8785), digests in hexadecimal."""
    return canonical(
        {
            "type": "chengxin/witness-statement",
            "version": 1,
            "document_digest": hashlib.sha256(document).hexdigest(),
            "handwriting_digest": hashlib.sha256(handwriting).hexdigest(),
            "seen": seen,
            "clerk": clerk,
            "unit": unit,
            "witnessed_at": format_time(witnessed_at),
        }
    )
