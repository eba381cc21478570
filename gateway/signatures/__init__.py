"""Signatures that stand up in court: by certificate, witnessed by a clerk, or asserted by a real-name platform.

`Signatures.accept` is the one way in: it verifies evidence over the exact bytes of a document, looks at revocation, has
the signature time-stamped, and returns what must be kept. `gateway.signatures.pack` writes it all out as one file that
verifies offline.
"""

from __future__ import annotations

from gateway.signatures.algorithms import read_public_key, verify_bytes
from gateway.signatures.evidence import (
    ALGORITHMS,
    HANDWRITING,
    SIGNATURE,
    Accepted,
    CertificateEvidence,
    Clerk,
    Evidence,
    PlatformEvidence,
    Signatory,
    StaffKey,
    WitnessedEvidence,
    witness_statement,
)
from gateway.signatures.signatures import FindStaffKey, RevocationSettings, Signatures
from gateway.signatures.timestamps import StampRules, stamped
from gateway.signatures.verification import Trust

__all__ = [
    "ALGORITHMS",
    "HANDWRITING",
    "SIGNATURE",
    "Accepted",
    "CertificateEvidence",
    "Clerk",
    "Evidence",
    "FindStaffKey",
    "PlatformEvidence",
    "RevocationSettings",
    "Signatory",
    "Signatures",
    "StaffKey",
    "StampRules",
    "Trust",
    "WitnessedEvidence",
    "read_public_key",
    "stamped",
    "verify_bytes",
    "witness_statement",
]
