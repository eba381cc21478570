"""A development certificate authority: enough to start with mutual TLS on the first day, and not for production.

Systems are named by a URI SAN `spiffe://<trust-domain>/org/<unified social credit code>/<system>` (SPIFFE ID form);
applicants by common name and the serialNumber attribute holding their number, as personal signing certificates do.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.secret_file import write_secret

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority: its certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def create(cls, common_name: str, *, now: datetime, valid: timedelta) -> Authority:
        """Make a self-signed authority on P-256."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        certificate = (
            _blank(name, name, key, now, valid)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(sign_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate=certificate, key=key)

    @classmethod
    def load(cls, certificate_file: Path, key_file: Path) -> Authority:
        """Read an authority that `save` wrote."""
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise TypeError(f"{key_file}: not an EC or Ed25519 key")
        return cls(certificate=certificate, key=key)

    def server(self, hosts: Sequence[str], *, now: datetime, valid: timedelta) -> tuple[x509.Certificate, PrivateKey]:
        """Issue a server certificate for host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [_host(host) for host in hosts]
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        builder = self._leaf(name, key, now, valid, ExtendedKeyUsageOID.SERVER_AUTH)
        return self._sign(builder.add_extension(x509.SubjectAlternativeName(names), critical=False)), key

    def system(self, uri: str, *, now: datetime, valid: timedelta) -> tuple[x509.Certificate, PrivateKey]:
        """Issue a client certificate that names a system by its URI."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri.rsplit("/", 1)[-1])])
        builder = self._leaf(name, key, now, valid, ExtendedKeyUsageOID.CLIENT_AUTH)
        san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        return self._sign(builder.add_extension(san, critical=False)), key

    def person(
        self, name: str, id_number: str, key: PrivateKey, *, now: datetime, valid: timedelta
    ) -> x509.Certificate:
        """Issue a personal signing certificate for a key that the person holds."""
        subject = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.SERIAL_NUMBER, id_number)]
        )
        builder = (
            _blank(subject, self.certificate.subject, key, now, valid)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(sign_documents=True), critical=True)
            .add_extension(self._authority_key(), critical=False)
        )
        return self._sign(builder)

    def save(self, certificate_file: Path, key_file: Path) -> None:
        """Write both as PEM, the key readable by its owner only."""
        write_pair(self.certificate, self.key, certificate_file, key_file)

    def _leaf(
        self, name: x509.Name, key: PrivateKey, now: datetime, valid: timedelta, use: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        return (
            _blank(name, self.certificate.subject, key, now, valid)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(self._authority_key(), critical=False)
        )

    def _authority_key(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        algorithm = None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self.key, algorithm)


def pem(certificate: x509.Certificate) -> bytes:
    """Encode a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def der(certificate: x509.Certificate) -> bytes:
    """Encode a certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def uris_in(certificate: bytes) -> list[str]:
    """Give the URIs that a certificate (PEM) names as its subject's; raises ValueError if it does not parse."""
    found = x509.load_pem_x509_certificate(certificate).extensions
    try:
        names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def public_key_pem(info: bytes) -> bytes:
    """Encode a public key of any algorithm, a SubjectPublicKeyInfo (DER), as PEM (RFC 7468)."""
    encoded = base64.b64encode(info)
    lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    return b"-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" % b"\n".join(lines)


def key_pem(key: PrivateKey) -> bytes:
    """Encode a private key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_pair(certificate: x509.Certificate, key: PrivateKey, certificate_file: Path, key_file: Path) -> None:
    """Write a certificate and its key as PEM, the key readable by its owner only; never overwrites a key.

    Raises:
        ledger.KeyFileError: the key is there already, or cannot be written.
    """
    certificate_file.write_bytes(pem(certificate))
    write_secret(key_file, key_pem(key))


def _blank(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: datetime, valid: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + valid)
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, sign_certificates: bool = False, sign_documents: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=sign_documents,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
