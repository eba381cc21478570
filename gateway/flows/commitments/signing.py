"""The one place where a signed document is verified: these bytes, in time, by whom the document names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

from gateway.errors import DocumentExpired, InvalidRequest, Violation
from gateway.rules.admission import Operator
from gateway.rules.kept import moment, table, text
from gateway.signatures import Clerk, Evidence, Signatures
from gateway.signatures.evidence import WitnessedEvidence
from gateway.signatures.signatory import signatory_of
from gateway.signatures.witnessed import verify_witnessed_in_time
from ledger.canonical import Json, canonical, parse_canonical


class Signing:
    """Verifies signed documents."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures

    async def verify(
        self, document: Mapping[str, Json], digest: bytes, evidence: Evidence, *, operator: Operator, at: datetime
    ) -> Mapping[str, Json]:
        """Verify that a document was signed by its signatory; give the groups of the entry that keep the evidence.

        Raises:
            InvalidRequest: the digest is not the document's.
            DocumentExpired: it can no longer be signed.
            SignatureRefused: the signature, or who signed, is not as it must be.
            TimestampUnavailable: the signature cannot be time-stamped now, and must be.
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
        if isinstance(evidence, WitnessedEvidence):
            verify_witnessed_in_time(document, evidence.witnessed_at, at=at)
        clerk = Clerk(person=operator.person, unit=operator.unit)
        accepted = await self._signatures.accept(
            content, evidence, signatory=signatory_of(document), clerk=clerk, at=at
        )
        return accepted.groups


def signed_at(kept: Mapping[str, Json], recorded_at: datetime) -> datetime:
    """Give when a document was signed, by what is kept of its signature: by hand, when the witness states; in any other
    way, when it was recorded."""
    if "statement" not in kept:
        return recorded_at
    statement = table(parse_canonical(text(kept["statement"]).encode()))
    return moment(statement["witnessed_at"]) or recorded_at
