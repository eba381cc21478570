"""The one place where a signed document is verified: these bytes, in time, by whom the document names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from cryptography import x509

from gateway.errors import DocumentExpired, InvalidRequest, SignatureRefused, Violation
from gateway.rules.identifiers import IdentifierRefused, parse_identifier, parse_name
from gateway.rules.kept import moment, table, text
from gateway.signatures import CertificateEvidence, Signer, verify_signature
from ledger.canonical import Json, canonical


class Signing:
    """Verifies signed documents against the accepted authorities."""

    def __init__(self, *, anchors: Sequence[x509.Certificate]) -> None:
        self._anchors = tuple(anchors)

    async def verify(
        self, document: Mapping[str, Json], digest: bytes, evidence: CertificateEvidence, *, at: datetime
    ) -> Mapping[str, Json]:
        """Verify that a document was signed by its signatory; give the groups of the entry that keep the evidence.

        Raises:
            InvalidRequest: the digest is not the document's.
            DocumentExpired: it can no longer be signed.
            SignatureRefused: the signature, or who signed, is not as it must be.
        """
        content = canonical(document)
        if hashlib.sha256(content).digest() != digest:
            raise InvalidRequest(
                [
                    Violation(
                        field="document_digest",
                        description="is not the digest of the document that was prepared",
                        chinese="签署的文书与告知的文书不一致。",
                    )
                ]
            )
        expires_at = moment(document["expires_at"])
        if expires_at is None or at > expires_at:
            raise DocumentExpired
        signer = verify_signature(content, evidence, anchors=self._anchors, at=at)
        require_signatory(signer, signatory_of(document), today=at.date(), by_proxy="proxy" in document)
        return {"signature": _kept(evidence, digest, at)}


def signatory_of(document: Mapping[str, Json]) -> Mapping[str, Json]:
    """Give who must sign a document: the agent where one acts, else the applicant."""
    return table(document.get("proxy") or document["applicant"])


def require_signatory(signer: Signer, signatory: Mapping[str, Json], *, today: date, by_proxy: bool) -> None:
    """Check that who signed is who must sign, by number and name.

    Raises:
        SignatureRefused: it is somebody else.
    """
    try:
        number = parse_identifier(text(signatory["id_type"]), signer.id_number, today=today).number
        same = number == signatory["id_number"] and parse_name(signer.name) == signatory["name"]
    except IdentifierRefused:
        same = False
    if not same and by_proxy:
        raise SignatureRefused(
            "SIGNER_NOT_AGENT", "the certificate names another person", "签名证书的持有人不是文书载明的代理人。"
        )
    if not same:
        raise SignatureRefused(
            "SIGNER_NOT_APPLICANT", "the certificate names another person", "签名证书的持有人不是申请人本人。"
        )


def _kept(evidence: CertificateEvidence, digest: bytes, at: datetime) -> dict[str, Json]:
    return {
        "algorithm": evidence.algorithm,
        "signature": evidence.signature.hex(),
        "certificates": [certificate.hex() for certificate in evidence.certificates],
        "document_digest": digest.hex(),
        "verified_at": at.isoformat(),
    }
