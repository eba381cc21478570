"""Whether evidence shows that a person signed a document, decided from arguments alone: no clock, file or network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connectors.names import normal_name
from gateway.errors import SignatureRefused
from gateway.rules.clocks import legal_day
from gateway.rules.identifiers import IdentifierRefused, parse_identifier, parse_name
from gateway.signatures.algorithms import MOST_SIGNATURE_BYTES, verify_bytes
from gateway.signatures.certificates import named_in, require_for_signing
from gateway.signatures.chain import Chain, Chains
from gateway.signatures.evidence import (
    CertificateEvidence,
    Clerk,
    Evidence,
    PlatformEvidence,
    Signatory,
    StaffKey,
    WitnessedEvidence,
)
from gateway.signatures.platform import ALGORITHMS, Platform, verify_platform
from gateway.signatures.witnessed import WitnessRules, statement_of, verify_witnessed
from ledger.canonical import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose word counts: the anchors of certificates, real-name platforms, and the rules for witnessing clerks."""

    chains: Chains
    platforms: tuple[Platform, ...] = ()
    witness: WitnessRules = field(default_factory=WitnessRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Evidence that held, as far as it can be told from itself."""

    kept: dict[str, Json] = field(repr=False)
    """What must be kept of it."""
    signature: bytes = field(repr=False)
    """What a time stamp is of, after the document: the bytes of the signature, or the JWS."""
    chain: Chain | None = None
    """The certificates whose revocation is still to be looked at."""
    handwriting: dict[str, Json] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A signing to be verified: of which document, by what evidence, whose, before which clerk and with which key."""

    document: bytes = field(repr=False)
    evidence: Evidence
    signatory: Signatory
    clerk: Clerk
    staff_key: StaffKey | None = None


def verify_act(act: Act, trust: Trust, *, at: datetime) -> Verified:
    """Verify that exactly this document was signed by this person; revocation of certificates is not looked at here.

    Raises:
        SignatureRefused: the code says which rule is broken.
    """
    match act.evidence:
        case CertificateEvidence():
            return _by_certificate(act.document, act.evidence, trust.chains, act.signatory, at)
        case WitnessedEvidence():
            return _by_witness(act, act.evidence, trust.witness, at)
        case PlatformEvidence():
            return _by_platform(act.document, act.evidence, trust.platforms, act.signatory, at)


def _by_certificate(
    document: bytes, evidence: CertificateEvidence, chains: Chains, signatory: Signatory, at: datetime
) -> Verified:
    # 1. the chain holds at the time of signing; 2. the key may sign documents; 3. the signature covers exactly the
    # document; 4. the certificate names who must have signed.
    chain = chains.find(evidence.certificates, at)
    require_for_signing(chain.leaf)
    _verify_signature(evidence.algorithm, chain, evidence.signature, document)
    name, number = named_in(chain.leaf)
    if not _is(signatory, name, number, at):
        raise signatory.refused("certificate")
    kept: dict[str, Json] = {
        "type": "certificate",
        "algorithm": evidence.algorithm,
        "signature": evidence.signature.hex(),
        "certificates": [one.der.hex() for one in chain.certificates],
    }
    return Verified(kept=kept, signature=evidence.signature, chain=chain)


def _verify_signature(algorithm: str, chain: Chain, signature: bytes, document: bytes) -> None:
    if len(signature) > MOST_SIGNATURE_BYTES:
        raise SignatureRefused("SIGNATURE_INVALID", "no signature is that long", "签名与文书内容不符。")
    verify_bytes(algorithm, chain.leaf.key, signature, document)


def _by_witness(act: Act, evidence: WitnessedEvidence, rules: WitnessRules, at: datetime) -> Verified:
    key = act.staff_key
    media_type = verify_witnessed(act.document, evidence, key, act.clerk, rules=rules, at=at)
    kept: dict[str, Json] = {
        "type": "witnessed",
        "algorithm": evidence.algorithm,
        "signature": evidence.signature.hex(),
        "statement": statement_of(act.document, evidence, act.clerk).decode(),
        "staff_key": evidence.staff_key.hex(),
        "public_key": key.public_key.hex() if key else "",
        "handwriting_digest": hashlib.sha256(evidence.handwriting).hexdigest(),
    }
    image = base64.b64encode(evidence.handwriting).decode()
    return Verified(kept=kept, signature=evidence.signature, handwriting={"media_type": media_type, "image": image})


def _by_platform(
    document: bytes, evidence: PlatformEvidence, platforms: Sequence[Platform], signatory: Signatory, at: datetime
) -> Verified:
    key = verify_platform(document, evidence, platforms=platforms, signatory=signatory, at=at)
    kept: dict[str, Json] = {
        "type": "platform",
        "algorithm": ALGORITHMS[key.algorithm],
        "jws": evidence.jws,
        "kid": key.kid,
        "public_key": key.public_key.hex(),
    }
    return Verified(kept=kept, signature=evidence.jws.encode())


def _is(signatory: Signatory, name: str, number: str, at: datetime) -> bool:
    try:
        found = parse_identifier(signatory.id_type, number, today=legal_day(at)).number
        return found == signatory.id_number and parse_name(name) == normal_name(signatory.name)
    except IdentifierRefused:
        return False
