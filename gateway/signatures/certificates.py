"""Certificates as they are judged: parsed once, kept by their bytes, every doubtful form refused (RFC 5280)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from gateway.errors import ConfigurationError, SignatureRefused
from gateway.signatures.algorithms import (
    VerifyingKey,
    read_public_key,
    require_accepted,
    require_strong,
    unavailable,
)
from gateway.signatures.issuing import algorithms_named

_CERTIFICATES = 4096
_LONGEST = 32 << 10
ANY_POLICY = "2.5.29.32.0"
_HANDLED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
"""Critical extensions that the path rules take account of; any other critical one refuses the certificate."""
_NARROWING = (ExtensionOID.NAME_CONSTRAINTS, ExtensionOID.POLICY_MAPPINGS)
"""What would change the meaning of a chain in ways that are not followed here: refused, critical or not."""
_SIGNING_PURPOSES = frozenset(
    {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # RFC 9336: document signing
        x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.12"),  # document signing as Microsoft named it before
    }
)
"""Extended purposes of a personal certificate; a certificate of a server or of a time-stamping authority has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A parsed certificate and what the path rules ask of it."""

    der: bytes = field(repr=False)
    parsed: x509.Certificate = field(repr=False)
    digest: bytes
    """SHA-256 of the DER."""
    key: VerifyingKey = field(repr=False)
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    starts: datetime
    ends: datetime
    authority: bool
    path_length: int | None
    usage: x509.KeyUsage | None
    purposes: frozenset[x509.ObjectIdentifier] | None
    policies: frozenset[str]
    distribution_points: tuple[x509.DistributionPoint, ...] = field(repr=False)
    """Where the revocation lists that are of it are published."""
    unhandled: tuple[str, ...]
    """Its extensions that are not followed here and may not be passed over, by object identifier."""

    @property
    def public_key_info(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return _public_key_info(self.parsed)

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.parsed.public_bytes(serialization.Encoding.PEM)


@lru_cache(maxsize=_CERTIFICATES)
def parse_certificate(der: bytes) -> Certificate:
    """Read a certificate (DER); the last few thousand are remembered.

    Raises:
        SignatureRefused: it does not parse, or its key is of a kind that is not accepted.
    """
    if len(der) > _LONGEST:
        raise malformed()
    try:
        return _read(der, x509.load_der_x509_certificate(der))
    except SignatureRefused:
        raise
    except Exception as error:  # the parser raises whatever it likes on hostile bytes: all is refusal
        raise malformed() from error


def _read(der: bytes, parsed: x509.Certificate) -> Certificate:
    if parsed.serial_number <= 0 or not der.endswith(b"\x00" + parsed.signature):  # unused bits: a second spelling
        raise malformed()
    inner, outer = algorithms_named(der)
    if inner != outer:
        raise malformed()
    extensions = parsed.extensions
    found = {type(one.value): one.value for one in extensions}
    basic, usage = found.get(x509.BasicConstraints), found.get(x509.KeyUsage)
    purposes, policies = found.get(x509.ExtendedKeyUsage), found.get(x509.CertificatePolicies)
    points = found.get(x509.CRLDistributionPoints)
    return Certificate(
        der=der,
        parsed=parsed,
        digest=hashlib.sha256(der).digest(),
        key=_key(parsed),
        subject=parsed.subject.public_bytes(),
        issuer=parsed.issuer.public_bytes(),
        starts=parsed.not_valid_before_utc,
        ends=parsed.not_valid_after_utc,
        authority=isinstance(basic, x509.BasicConstraints) and basic.ca,
        path_length=basic.path_length if isinstance(basic, x509.BasicConstraints) else None,
        usage=usage if isinstance(usage, x509.KeyUsage) else None,
        purposes=frozenset(purposes) if isinstance(purposes, x509.ExtendedKeyUsage) else None,
        policies=_named(policies) if isinstance(policies, x509.CertificatePolicies) else frozenset(),
        distribution_points=tuple(points) if isinstance(points, x509.CRLDistributionPoints) else (),
        unhandled=tuple(
            one.oid.dotted_string
            for one in extensions
            if one.oid in _NARROWING or (one.critical and one.oid not in _HANDLED)
        ),
    )


def _named(policies: x509.CertificatePolicies) -> frozenset[str]:
    return frozenset(one.policy_identifier.dotted_string for one in policies)


def _key(parsed: x509.Certificate) -> VerifyingKey:
    try:
        return require_accepted(parsed.public_key())
    except UnsupportedAlgorithm:
        return read_public_key(_public_key_info(parsed))


def _public_key_info(parsed: x509.Certificate) -> bytes:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        return parsed.public_key().public_bytes(encoding, form)
    except UnsupportedAlgorithm:
        return _public_key_info_elsewhere(parsed)  # not of this library: SM2, or nothing that is accepted


def _public_key_info_elsewhere(parsed: x509.Certificate) -> bytes:
    try:
        from asn1crypto import x509 as asn1
    except ImportError as error:
        raise unavailable() from error
    info: bytes = asn1.TbsCertificate.load(parsed.tbs_certificate_bytes)["subject_public_key_info"].dump()
    return info


def malformed() -> SignatureRefused:
    """Say that a certificate does not parse."""
    return SignatureRefused("CERTIFICATE_MALFORMED", "a certificate does not parse", "签名证书格式有误。")


def require_for_signing(leaf: Certificate) -> None:
    """Refuse a certificate whose key may not sign documents, or is too weak for it.

    Raises:
        SignatureRefused: it is an authority's, has no or another key usage or purpose, or a weak key.
    """
    if leaf.usage is None:
        raise SignatureRefused("KEY_USAGE_MISSING", "the certificate states no key usage", "签名证书未载明用途。")
    signs = leaf.usage.digital_signature or leaf.usage.content_commitment
    meant = leaf.purposes is None or not leaf.purposes.isdisjoint(_SIGNING_PURPOSES)
    if leaf.authority or not signs or not meant:
        raise SignatureRefused("KEY_USAGE_WRONG", "the key is not for signing documents", "签名证书的用途不是签名。")
    require_strong(leaf.key)


def named_in(leaf: Certificate) -> tuple[str, str]:
    """Give the name (common name) and number (serialNumber attribute) of the person whom a certificate names.

    Raises:
        SignatureRefused: it names none, or several.
    """
    names = leaf.parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    numbers = leaf.parsed.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    if len(names) != 1 or len(numbers) != 1:
        raise SignatureRefused(
            "SIGNER_NOT_NAMED",
            "the certificate must name one person with one number",
            "签名证书未载明签名人及其证件号码。",
        )
    return str(names[0].value), str(numbers[0].value)


def load_anchors(paths: Iterable[Path]) -> tuple[Certificate, ...]:
    """Read the PEM certificates of the authorities whose personal certificates are accepted.

    Raises:
        ConfigurationError: names every file that cannot be read or holds no certificates, and every certificate that
            is no authority's or restricts what it issues in a way that is not followed here.
    """
    anchors: list[Certificate] = []
    mistakes: list[str] = []
    for path in paths:
        try:
            loaded = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            mistakes.append(f"{path}: holds no certificates that can be used ({type(error).__name__})")
            continue
        for number, one in enumerate(loaded, start=1):
            try:
                anchors.append(_anchor(one))
            except ValueError as error:
                mistakes.append(f"{path}: certificate {number}: {error}")
    if mistakes:
        raise ConfigurationError("signatures.anchors_files", mistakes)
    return tuple(anchors)


def _anchor(loaded: x509.Certificate) -> Certificate:
    """Read a certificate as an anchor; raises `ValueError`, which names the subject of authorities only."""
    try:
        found = parse_certificate(loaded.public_bytes(serialization.Encoding.DER))
    except SignatureRefused as error:
        raise ValueError(str(error)) from error
    if not found.authority:
        raise ValueError("is not an authority's")
    if found.unhandled:
        named = found.parsed.subject.rfc4514_string()
        raise ValueError(f"{named} has extensions that are not followed here: {', '.join(found.unhandled)}")
    return found
