"""Whether a document was signed by whom its certificate names, at a time when that certificate held.

Pure: the time, the anchors and the bytes are arguments. What is signed is exactly the document's bytes; the
algorithm is named in the evidence and never guessed from the key. Identity never derives from signature bytes:
an ECDSA (r, n-s) twin is the same act (RFC 6979 leaves s free).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import verification
from cryptography.x509.oid import ExtensionOID, NameOID

from gateway.errors import SignatureRefused
from ledger.canonical import canonical, format_time

ED25519 = "ED25519"
ECDSA_P256_SHA256 = "ECDSA_P256_SHA256"
ECDSA_P384_SHA384 = "ECDSA_P384_SHA384"
RSA_PSS_SHA256 = "RSA_PSS_SHA256"
ALGORITHMS = (ED25519, ECDSA_P256_SHA256, ECDSA_P384_SHA384, RSA_PSS_SHA256)

_MINIMUM_RSA_BITS = 3072
_MOST_CERTIFICATES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateEvidence:
    """A signature, its algorithm by name, and the certificates (DER, the signer's first) that vouch for it."""

    algorithm: str
    signature: bytes
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Whom the certificate names: the common name and the number in the serialNumber attribute."""

    name: str
    id_number: str

    def __repr__(self) -> str:
        return "Signer(...)"


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


VerifyingKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
"""A public key that can verify signatures."""


def read_public_key(public_key_info: bytes) -> VerifyingKey:
    """Read a SubjectPublicKeyInfo in DER; raises `SignatureRefused`."""
    try:
        key = load_der_public_key(public_key_info)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, VerifyingKey):
        raise SignatureRefused("KEY_UNREADABLE", "not a public key of an accepted algorithm", "公钥格式有误。")
    return key


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


def load_anchors(path: Path) -> tuple[x509.Certificate, ...]:
    """Read the PEM certificates of the authorities whose personal certificates are accepted."""
    return tuple(x509.load_pem_x509_certificates(path.read_bytes()))


def verify_signature(
    document: bytes, evidence: CertificateEvidence, *, anchors: Sequence[x509.Certificate], at: datetime
) -> Signer:
    """Verify that `document` was signed by the person whom an anchored certificate, valid at `at`, names.

    Raises:
        SignatureRefused: the code says which rule is broken.
    """
    # 1. the certificates parse; 2. the chain holds at the time of signing; 3. the key may sign documents;
    # 4. the signature covers exactly the document.
    leaf, intermediates = _parse(evidence.certificates)
    _verify_validity(leaf, at)
    _verify_chain(leaf, intermediates, anchors, at)
    _verify_key_usage(leaf)
    _verify_bytes(leaf, evidence, document)
    return _named(leaf)


def _parse(certificates: Sequence[bytes]) -> tuple[x509.Certificate, list[x509.Certificate]]:
    if not certificates:
        raise SignatureRefused("CERTIFICATE_MISSING", "no certificate came with the signature", "未附签名证书。")
    if len(certificates) > _MOST_CERTIFICATES:
        raise SignatureRefused("CHAIN_TOO_LONG", f"more than {_MOST_CERTIFICATES} certificates", "证书链过长。")
    try:
        parsed = [x509.load_der_x509_certificate(certificate) for certificate in certificates]
    except ValueError as error:
        raise SignatureRefused("CERTIFICATE_MALFORMED", "a certificate does not parse", "签名证书格式有误。") from error
    return parsed[0], parsed[1:]


def _verify_validity(leaf: x509.Certificate, at: datetime) -> None:
    if at < leaf.not_valid_before_utc:
        raise SignatureRefused("CERTIFICATE_NOT_YET_VALID", "the certificate is not valid yet", "签名证书尚未生效。")
    if at > leaf.not_valid_after_utc:
        raise SignatureRefused("CERTIFICATE_EXPIRED", "the certificate had expired", "签名证书已过期。")


def _verify_chain(
    leaf: x509.Certificate, intermediates: list[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime
) -> None:
    # Personal certificates carry no subject alternative name and no client-auth purpose; what they must carry is
    # checked by _verify_key_usage and _named, so the path policy leaves the leaf's extensions open.
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(anchors)))
        .time(at)
        .extension_policies(
            ee_policy=verification.ExtensionPolicy.permit_all(),
            ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(),
        )
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, intermediates)
    except (verification.VerificationError, ValueError, UnsupportedAlgorithm) as error:
        raise SignatureRefused(
            "CERTIFICATE_NOT_TRUSTED",
            "the chain does not end at an accepted authority",
            "签名证书不是由受信任的机构签发。",
        ) from error


def _verify_key_usage(leaf: x509.Certificate) -> None:
    try:
        usage = leaf.extensions.get_extension_for_oid(ExtensionOID.KEY_USAGE).value
    except x509.ExtensionNotFound as error:
        raise SignatureRefused(
            "KEY_USAGE_MISSING", "the certificate states no key usage", "签名证书未载明用途。"
        ) from error
    if not isinstance(usage, x509.KeyUsage) or not (usage.digital_signature or usage.content_commitment):
        raise SignatureRefused("KEY_USAGE_WRONG", "the key is not for signing documents", "签名证书的用途不是签名。")


def _verify_bytes(leaf: x509.Certificate, evidence: CertificateEvidence, document: bytes) -> None:
    verify_bytes(evidence.algorithm, leaf.public_key(), evidence.signature, document)


def verify_bytes(algorithm: str, key: object, signature: bytes, message: bytes) -> None:
    """Verify a signature over exactly `message`; raises `SignatureRefused`."""
    try:
        match algorithm, key:
            case "ED25519", ed25519.Ed25519PublicKey():
                key.verify(signature, message)
            case "ECDSA_P256_SHA256", ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
                key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            case "ECDSA_P384_SHA384", ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
                key.verify(signature, message, ec.ECDSA(hashes.SHA384()))
            case "RSA_PSS_SHA256", rsa.RSAPublicKey():
                _verify_rsa(key, signature, message)
            case _:
                raise SignatureRefused(
                    "ALGORITHM_MISMATCH", "the key is not of the algorithm named", "签名算法与证书不符。"
                )
    except InvalidSignature as error:
        raise SignatureRefused(
            "SIGNATURE_INVALID", "the signature does not cover this document", "签名与文书内容不符。"
        ) from error


def _verify_rsa(key: rsa.RSAPublicKey, signature: bytes, document: bytes) -> None:
    if key.key_size < _MINIMUM_RSA_BITS:
        raise SignatureRefused("KEY_TOO_WEAK", f"RSA keys need {_MINIMUM_RSA_BITS} bits", "签名密钥强度不足。")
    digest = hashes.SHA256()
    key.verify(signature, document, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)


def _named(leaf: x509.Certificate) -> Signer:
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    numbers = leaf.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    if len(names) != 1 or len(numbers) != 1:
        raise SignatureRefused(
            "SIGNER_NOT_NAMED",
            "the certificate must name one person with one number",
            "签名证书未载明签名人及其证件号码。",
        )
    return Signer(name=str(names[0].value), id_number=str(numbers[0].value))
