"""Who issued what: verifying the signature of a certificate, a revocation list or an OCSP answer (RFC 5280, 5758).

The algorithms are a closed list; SHA-1 and MD5 are not on it. SM2 with SM3 as GM/T 0015 names it.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import SignatureAlgorithmOID as Algorithm

from gateway.signatures.algorithms import VerifyingKey
from ledger.der import SEQUENCE, element, elements
from ledger.errors import NoteError
from ledger.log.algorithms.sm2 import Sm2PublicKey, decode_der

SM2_WITH_SM3 = x509.ObjectIdentifier("1.2.156.10197.1.501")
MINIMUM_ISSUER_RSA_BITS = 2048
_HASHES: dict[x509.ObjectIdentifier, hashes.HashAlgorithm] = {
    Algorithm.RSA_WITH_SHA256: hashes.SHA256(),
    Algorithm.RSA_WITH_SHA384: hashes.SHA384(),
    Algorithm.RSA_WITH_SHA512: hashes.SHA512(),
    Algorithm.ECDSA_WITH_SHA256: hashes.SHA256(),
    Algorithm.ECDSA_WITH_SHA384: hashes.SHA384(),
    Algorithm.ECDSA_WITH_SHA512: hashes.SHA512(),
}
_PSS_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("0609608648016503040201"): hashes.SHA256(),
    bytes.fromhex("0609608648016503040202"): hashes.SHA384(),
    bytes.fromhex("0609608648016503040203"): hashes.SHA512(),
}
"""By the identifier as DER has it."""
_LONGEST_SALT = 1 << 10
_MGF1 = bytes.fromhex("06092a864886f70d010108")
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class NotIssued(Exception):
    """The signature of a certificate, a list or an answer is not the issuer's, or of an algorithm not accepted."""


def verify_issued(
    key: VerifyingKey,
    algorithm: x509.ObjectIdentifier,
    signature: bytes,
    signed: bytes,
    parameters: padding.PSS | None = None,
) -> None:
    """Verify an issuer's signature over the to-be-signed bytes; `parameters` are those of RSASSA-PSS.

    Raises:
        NotIssued: it is not this key's, or the algorithm is not accepted.
    """
    try:
        match key:
            case Sm2PublicKey() if algorithm == SM2_WITH_SM3:
                key.verify(signed, decode_der(signature))
            case ed25519.Ed25519PublicKey() if algorithm == Algorithm.ED25519:
                key.verify(signature, signed)
            case ec.EllipticCurvePublicKey(curve=curve) if isinstance(curve, _CURVES) and _is_ecdsa(algorithm):
                key.verify(signature, signed, ec.ECDSA(_HASHES[algorithm]))
            case rsa.RSAPublicKey(key_size=bits) if bits >= MINIMUM_ISSUER_RSA_BITS:
                _verify_rsa(key, algorithm, signature, signed, parameters)
            case _:
                raise NotIssued(f"algorithm {algorithm.dotted_string} with this key is not accepted")
    except (InvalidSignature, NoteError) as error:
        raise NotIssued("the signature is not the issuer's") from error


def _is_ecdsa(algorithm: x509.ObjectIdentifier) -> bool:
    return algorithm.dotted_string.startswith("1.2.840.10045.4.") and algorithm in _HASHES


def _verify_rsa(
    key: rsa.RSAPublicKey,
    algorithm: x509.ObjectIdentifier,
    signature: bytes,
    signed: bytes,
    parameters: padding.PSS | None,
) -> None:
    if algorithm == Algorithm.RSASSA_PSS and parameters is not None:
        digest = parameters.mgf._algorithm
        if isinstance(digest, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
            key.verify(signature, signed, parameters, digest)
            return
    elif algorithm in _HASHES and not _is_ecdsa(algorithm):
        key.verify(signature, signed, padding.PKCS1v15(), _HASHES[algorithm])
        return
    raise NotIssued(f"algorithm {algorithm.dotted_string} with an RSA key is not accepted")


def verify_certificate_issued(child: x509.Certificate, key: VerifyingKey) -> None:
    """Verify that a certificate is signed by a key; raises `NotIssued`."""
    algorithm = child.signature_algorithm_oid
    verify_issued(key, algorithm, child.signature, child.tbs_certificate_bytes, _parameters_of(child))


def verify_list_issued(crl: x509.CertificateRevocationList, signed: bytes, key: VerifyingKey) -> None:
    """Verify that a revocation list is signed by a key: `signed` are the bytes to be signed; raises `NotIssued`."""
    verify_issued(key, crl.signature_algorithm_oid, crl.signature, signed, _parameters_of(crl))


def verify_answer_issued(answer: ocsp.OCSPResponse, key: VerifyingKey) -> None:
    """Verify that an OCSP answer is signed by a key; raises `NotIssued`."""
    algorithm = answer.signature_algorithm_oid
    parameters = _parameters_of_answer(answer) if algorithm == Algorithm.RSASSA_PSS else None
    verify_issued(key, algorithm, answer.signature, answer.tbs_response_bytes, parameters)


def _parameters_of(signed: x509.Certificate | x509.CertificateRevocationList) -> padding.PSS | None:
    if signed.signature_algorithm_oid != Algorithm.RSASSA_PSS:
        return None
    try:
        found, digest = signed.signature_algorithm_parameters, signed.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    # `_verify_rsa` takes one hash for the message and its mask: a signature that names two is none of ours.
    if not isinstance(found, padding.PSS) or digest is None or digest.name != found.mgf._algorithm.name:
        return None
    return found


def _parameters_of_answer(answer: ocsp.OCSPResponse) -> padding.PSS | None:
    """Read the parameters of RSASSA-PSS (RFC 4055, 3.1), which the library does not give of OCSP answers.

    None where the hashes are not those that are accepted, or not one for the message and its mask.
    """
    try:
        _, (_, tagged) = elements(answer.public_bytes(Encoding.DER))
        ((_, typed),) = elements(tagged)
        _, (_, octets) = elements(typed)
        _, at, end = element(octets, 0, len(octets))
        _, (_, algorithm), *_ = elements(octets[at:end])
        _, (_, written) = elements(algorithm)
        fields = dict(elements(written))
        ((_, named),) = elements(fields[0xA0])
        ((_, mask),) = elements(fields[0xA1])
        (_, function), (_, of_mask) = elements(mask)
        salt = 20
        if 0xA2 in fields:
            ((_, number),) = elements(fields[0xA2])
            salt = int.from_bytes(number[2:], "big")
        digest = _PSS_HASHES[_first(named)]
        if function != _MGF1 or _first(of_mask) != _first(named) or salt > _LONGEST_SALT or 0xA3 in fields:
            return None
        return padding.PSS(padding.MGF1(digest), salt)
    except (ValueError, KeyError, StopIteration):
        return None


def _first(sequence: bytes) -> bytes:
    return next(whole for _, whole in elements(sequence))


def algorithms_named(whole: bytes) -> tuple[bytes, bytes]:
    """Give the AlgorithmIdentifier within what is signed, and the one beside it, of a certificate or a list (DER).

    They must be the same (RFC 5280, 4.1.1.2 and 5.1.1.2): only the inner one is covered by the signature.

    Raises:
        ValueError: it is not built like these.
    """
    (_, signed), (_, outer), _ = elements(whole)
    return next(each for tag, each in elements(signed) if tag == SEQUENCE), outer
