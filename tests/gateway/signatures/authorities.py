"""Certificate authorities for tests: any algorithm, any mistake; SM2 ones are signed by our own reference code."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import core, crl, keys
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from tests.gateway.signatures import sm2_reference as sm2

NOW = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)
NAME, NUMBER = "示例甲", "230199198001010072"
SM2_SM3 = "1.2.156.10197.1.501"
SM2_CURVE = "1.2.156.10197.1.301"
Key = Any
Extension = tuple[x509.ExtensionType, bool]


@dataclass(frozen=True, slots=True)
class Sm2Key:
    """An SM2 key pair of the reference implementation."""

    private: int = field(default_factory=lambda: 1 + secrets.randbelow(sm2.N - 2))

    @property
    def point(self) -> bytes:
        x, y = sm2.public_of(self.private)
        return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")

    def public_key_info(self) -> bytes:
        keys.NamedCurve.register("sm2p256v1", SM2_CURVE, 32)
        algorithm = {"algorithm": "ec", "parameters": keys.ECDomainParameters(("named", SM2_CURVE))}
        encoded: bytes = keys.PublicKeyInfo({"algorithm": algorithm, "public_key": self.point}).dump()
        return encoded

    def sign(self, message: bytes, identifier: bytes = sm2.DEFAULT_ID) -> bytes:
        return sm2.der(*sm2.sign(self.private, message, 1 + secrets.randbelow(sm2.N - 1), identifier))


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def sign(key: Key, message: bytes) -> tuple[str, bytes]:
    """Sign a document as a person would: the algorithm's name and the signature."""
    match key:
        case Sm2Key():
            return "SM2_SM3", key.sign(message)
        case ed25519.Ed25519PrivateKey():
            return "ED25519", key.sign(message)
        case rsa.RSAPrivateKey():
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            return "RSA_PSS_SHA256", key.sign(message, pss, hashes.SHA256())
        case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()):
            return "ECDSA_P384_SHA384", key.sign(message, ec.ECDSA(hashes.SHA384()))
    return "ECDSA_P256_SHA256", key.sign(message, ec.ECDSA(hashes.SHA256()))


def public_key_info(key: Key) -> bytes:
    """Give the public key as SubjectPublicKeyInfo (DER)."""
    if isinstance(key, Sm2Key):
        return key.public_key_info()
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    encoded: bytes = key.public_key().public_bytes(encoding, form)
    return encoded


def usage(*, signs: bool = False, authority: bool = False, lists: bool | None = None) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs, content_commitment=signs, key_encipherment=not (signs or authority),
        data_encipherment=False, key_agreement=False, key_cert_sign=authority,
        crl_sign=authority if lists is None else lists, encipher_only=False, decipher_only=False,
    )  # fmt: skip


SIGNS = usage(signs=True)


def person(name: str = NAME, number: str = NUMBER) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.SERIAL_NUMBER, number)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An authority: its certificate (DER) and key."""

    certificate: bytes
    key: Key

    @property
    def parsed(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.certificate)

    def issue(
        self,
        key: Key,
        *,
        subject: x509.Name | None = None,
        starts: datetime = NOW - timedelta(days=1),
        ends: datetime = NOW + timedelta(days=365),
        key_usage: x509.KeyUsage | None = SIGNS,
        extensions: Sequence[Extension] = (),
        algorithm: hashes.HashAlgorithm | None = None,
        serial: int | None = None,
    ) -> bytes:
        """Issue a certificate (DER)."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject or person())
            .issuer_name(self.parsed.subject)
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(starts)
            .not_valid_after(ends)
        )
        if key_usage is not None:
            builder = builder.add_extension(key_usage, critical=True)
        for value, critical in extensions:
            builder = builder.add_extension(value, critical=critical)
        return _sign(builder, key, self.key, algorithm)

    def authority(self, key: Key, *, name: str = "intermediate", path_length: int | None = 0, **options: Any) -> Issuer:
        """Issue an authority below this one."""
        constraints = (x509.BasicConstraints(ca=True, path_length=path_length), True)
        extensions = [constraints, *options.pop("extensions", ())]
        options.setdefault("key_usage", usage(authority=True))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return Issuer(certificate=self.issue(key, subject=subject, extensions=extensions, **options), key=key)

    def list_revoked(
        self,
        revoked: dict[int, datetime],
        *,
        at: datetime = NOW - timedelta(hours=1),
        until: datetime | None = NOW + timedelta(days=1),
        extensions: Sequence[Extension] = (),
        invalid_since: datetime | None = None,
    ) -> bytes:
        """Write a revocation list (DER)."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.parsed.subject).last_update(at)
        builder = builder.next_update(until or at + timedelta(days=1))
        for serial, since in revoked.items():
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
            if invalid_since is not None:
                one = one.add_extension(x509.InvalidityDate(invalid_since), critical=False)
            builder = builder.add_revoked_certificate(one.build())
        for value, critical in extensions:
            builder = builder.add_extension(value, critical=critical)
        if not isinstance(self.key, Sm2Key):
            return builder.sign(self.key, _digest(self.key)).public_bytes(serialization.Encoding.DER)
        dummy = builder.sign(p256(), hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        outline = crl.CertificateList.load(dummy)
        outline["tbs_cert_list"]["signature"] = {"algorithm": SM2_SM3}
        outline["signature_algorithm"] = {"algorithm": SM2_SM3}
        outline["signature"] = self.key.sign(outline["tbs_cert_list"].dump(force=True))
        encoded: bytes = outline.dump(force=True)
        return encoded

    def answer(self, builder: ocsp.OCSPResponseBuilder, *, certified: bool) -> bytes:
        """Sign an OCSP answer (DER); `certified` says that this is a responder, whose certificate goes with it."""
        if certified:
            builder = builder.certificates([self.parsed])
        named = ocsp.OCSPResponderEncoding.NAME
        if not isinstance(self.key, Sm2Key):
            signed = builder.responder_id(named, self.parsed).sign(self.key, _digest(self.key))
            return signed.public_bytes(serialization.Encoding.DER)
        key = p256()
        stand_in = x509.load_der_x509_certificate(root().issue(key, subject=self.parsed.subject))
        signed = builder.responder_id(named, stand_in).sign(key, hashes.SHA256())
        outline = asn1_ocsp.OCSPResponse.load(signed.public_bytes(serialization.Encoding.DER))
        basic = outline["response_bytes"]["response"].parsed
        basic["signature_algorithm"] = {"algorithm": SM2_SM3}
        basic["signature"] = self.key.sign(basic["tbs_response_data"].dump())
        outline["response_bytes"]["response"] = core.ParsableOctetString(basic.dump(force=True))
        encoded: bytes = outline.dump(force=True)
        return encoded


def root(key: Key | None = None, *, name: str = "root", path_length: int | None = None, **options: Any) -> Issuer:
    """Found an authority of its own."""
    own = p256() if key is None else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(options.get("starts", NOW - timedelta(days=3650)))
        .not_valid_after(options.get("ends", NOW + timedelta(days=3650)))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage(authority=True), critical=True)
    )
    for value, critical in options.get("extensions", ()):
        builder = builder.add_extension(value, critical=critical)
    return Issuer(certificate=_sign(builder, own, own, None), key=own)


OTHER_ALGORITHMS: dict[str, dict[str, Any]] = {
    "another hash": {"algorithm": "sha384_ecdsa"},
    "another kind": {"algorithm": "sha256_rsa"},
    "with parameters": {"algorithm": "sha256_ecdsa", "parameters": core.Null()},
    "SM2": {"algorithm": SM2_SM3},
}
"""What is not ecdsa-with-SHA256 exactly as an authority with P-256 writes it."""


def naming_within(issuer: Issuer, outline: Any, algorithm: dict[str, Any]) -> bytes:
    """Name another algorithm within a certificate or a list of `asn1crypto` than beside it, and sign it again (DER)."""
    signed, _, signature = outline
    outline[signed]["signature"] = algorithm
    outline[signature] = core.OctetBitString(sign(issuer.key, outline[signed].dump(force=True))[1])
    encoded: bytes = outline.dump(force=True)
    return encoded


def _digest(key: Key) -> hashes.HashAlgorithm | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _sign(builder: x509.CertificateBuilder, key: Key, issuer: Key, algorithm: hashes.HashAlgorithm | None) -> bytes:
    if not isinstance(key, Sm2Key) and not isinstance(issuer, Sm2Key):
        made = builder.public_key(key.public_key()).sign(issuer, algorithm or _digest(issuer))
        return made.public_bytes(serialization.Encoding.DER)
    # This library knows no SM2: an outline of another algorithm is made, its key replaced, and signed again.
    stand_in = p256()
    signer = stand_in if isinstance(issuer, Sm2Key) else issuer
    made = builder.public_key(stand_in.public_key()).sign(signer, _digest(signer))
    outline = asn1.Certificate.load(made.public_bytes(serialization.Encoding.DER))
    tbs = outline["tbs_certificate"]
    tbs["subject_public_key_info"] = keys.PublicKeyInfo.load(public_key_info(key))
    if isinstance(issuer, Sm2Key):
        tbs["signature"] = {"algorithm": SM2_SM3}
        outline["signature_algorithm"] = {"algorithm": SM2_SM3}
    outline["signature_value"] = core.OctetBitString(sign(issuer, tbs.dump(force=True))[1])
    encoded: bytes = outline.dump(force=True)
    return encoded
