"""Verifying bytes by a named algorithm, whichever library behind it does the arithmetic.

ECDSA and SM2 signatures are DER (RFC 3279 2.2.3, GM/T 0009); RSA is RSASSA-PSS with SHA-256, MGF1 and a salt of 32
bytes (RFC 8017), keys of 3072 bits and more; SM2 hashes with SM3 and the default identifier of GB/T 35276.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from gateway.errors import SignatureRefused
from ledger.errors import AlgorithmUnavailable, NoteError
from ledger.log.algorithms.sm2 import Sm2PublicKey, decode_der
from ledger.log.algorithms.sm2_key import point_of

MINIMUM_RSA_BITS = 3072
MOST_SIGNATURE_BYTES = 1024
"""RSA with 8192 bits; every other algorithm has shorter ones."""
_KEYS = 4096
ECDSA_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "ECDSA_P256_SHA256": hashes.SHA256(),
    "ECDSA_P384_SHA384": hashes.SHA384(),
}

_FIELD = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = frozenset({1, _FIELD - 1, 0, _ORDER_8, _FIELD - _ORDER_8})
"""The y of the eight points of Ed25519 of order 1, 2, 4 or 8 (Chalkias, Garillot, Nikolaenko: Taming the many EdDSAs,
2020). Under such a key signatures that nobody made verify; under that of order 1 one verifies over every message.
"""

VerifyingKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Sm2PublicKey
"""A public key that can verify signatures of documents."""


def verify_bytes(algorithm: str, key: VerifyingKey, signature: bytes, message: bytes) -> None:
    """Verify a signature over exactly `message`.

    Raises:
        SignatureRefused: the key is not of the algorithm or too weak, or the signature does not cover the message.
    """
    require_algorithm(algorithm, key)
    try:
        match key:
            case ed25519.Ed25519PublicKey():
                key.verify(signature, message)
            case ec.EllipticCurvePublicKey():
                key.verify(signature, message, ec.ECDSA(ECDSA_HASHES[algorithm]))
            case rsa.RSAPublicKey():
                digest = hashes.SHA256()
                key.verify(signature, message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
            case Sm2PublicKey():
                key.verify(message, decode_der(signature))
    except (InvalidSignature, NoteError) as error:
        raise SignatureRefused(
            "SIGNATURE_INVALID", "the signature does not cover these bytes", "签名与文书内容不符。"
        ) from error


def require_algorithm(algorithm: str, key: VerifyingKey) -> None:
    """Refuse a key that is not of the algorithm named, or too weak; raises `SignatureRefused`."""
    match algorithm, key:
        case "ED25519", ed25519.Ed25519PublicKey():
            return
        case "ECDSA_P256_SHA256", ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return
        case "ECDSA_P384_SHA384", ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            return
        case "RSA_PSS_SHA256", rsa.RSAPublicKey():
            require_strong(key)
        case "SM2_SM3", Sm2PublicKey():
            return
        case _:
            raise SignatureRefused(
                "ALGORITHM_MISMATCH", "the key is not of the algorithm named", "签名算法与密钥不符。"
            )


def require_strong(key: VerifyingKey) -> None:
    """Refuse a key that is too weak to sign documents; raises `SignatureRefused`."""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MINIMUM_RSA_BITS:
        raise SignatureRefused("KEY_TOO_WEAK", f"RSA keys need {MINIMUM_RSA_BITS} bits", "签名密钥强度不足。")


@lru_cache(maxsize=_KEYS)
def read_public_key(public_key_info: bytes) -> VerifyingKey:
    """Read a SubjectPublicKeyInfo (DER, RFC 5280 4.1.2.7).

    Raises:
        SignatureRefused: it is malformed, or of an algorithm that is not accepted or not available here.
    """
    try:
        key = serialization.load_der_public_key(public_key_info)
    except ValueError as error:
        raise _unreadable() from error
    except UnsupportedAlgorithm:
        return _read_sm2(public_key_info)
    return require_accepted(key)


def require_accepted(key: object) -> VerifyingKey:
    """Refuse a key of a kind that signs no documents here, or that anybody can sign with; raises `SignatureRefused`."""
    if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise SignatureRefused("ALGORITHM_UNKNOWN", "keys of this kind are not accepted", "不支持该密钥类型。")
    if isinstance(key, ed25519.Ed25519PublicKey) and _is_of_small_order(key):
        raise SignatureRefused("KEY_TOO_WEAK", "the Ed25519 key is a point of small order", "签名密钥强度不足。")
    return key


def _is_of_small_order(key: ed25519.Ed25519PublicKey) -> bool:
    # The sign of x is not part of y, and a y that is not reduced is read as its remainder.
    y = int.from_bytes(key.public_bytes_raw(), "little") & ((1 << 255) - 1)
    return y % _FIELD in _SMALL_ORDER


def _read_sm2(public_key_info: bytes) -> Sm2PublicKey:
    try:
        point = point_of(public_key_info)
        if point is None:
            raise SignatureRefused("ALGORITHM_UNKNOWN", "keys on this curve are not accepted", "不支持该密钥类型。")
        return Sm2PublicKey(point)
    except NoteError as error:
        raise _unreadable() from error
    except AlgorithmUnavailable as error:
        raise unavailable() from error


def _unreadable() -> SignatureRefused:
    return SignatureRefused("KEY_MALFORMED", "the public key does not parse", "公钥格式有误。")


def unavailable() -> SignatureRefused:
    """Say that SM2 cannot be verified here, for want of the extra `gm`."""
    return SignatureRefused(
        "ALGORITHM_UNAVAILABLE", "SM2 cannot be verified here: the extra `gm` is missing", "本系统未安装国密组件。"
    )
