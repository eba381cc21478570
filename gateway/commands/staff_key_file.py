"""A clerk's key as a file: PKCS#8 in PEM, encrypted with a password (PBES2, RFC 8018), as OpenSSL reads and writes it.

Of the algorithms that may enrol as staff keys. SM2 keys need the extra `gm`: the library of the others knows none, so
their container is put together here, of its primitives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from gateway.pki import public_key_pem
from gateway.signatures.algorithms import ECDSA_HASHES
from gateway.signatures.evidence import ECDSA_P256_SHA256, ECDSA_P384_SHA384, ED25519, SM2_SM3
from ledger.errors import NoteError
from ledger.log.algorithms.sm2_key import Sm2PrivateKey, asn1crypto

ALGORITHMS = (ED25519, ECDSA_P256_SHA256, ECDSA_P384_SHA384, SM2_SM3)
_MADE: dict[str, Callable[[], Any]] = {
    ED25519: ed25519.Ed25519PrivateKey.generate,
    ECDSA_P256_SHA256: lambda: ec.generate_private_key(ec.SECP256R1()),
    ECDSA_P384_SHA384: lambda: ec.generate_private_key(ec.SECP384R1()),
    SM2_SM3: Sm2PrivateKey.generate,
}
_ROUNDS = 600_000
"""Of PBKDF2 with HMAC-SHA256, as OWASP asks for."""
_MOST_ROUNDS = 10_000_000
_KDF_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303  what older programs derive with
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class StaffKeyFileError(Exception):
    """A file that holds no key of these algorithms, or none that the password opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKey:
    """A clerk's key pair as its holder has it; it signs with `algorithm`."""

    algorithm: str
    private: Any = field(repr=False)

    @classmethod
    def make(cls, algorithm: str) -> HeldKey:
        """Make a key pair of one of `ALGORITHMS`; raises `ledger.AlgorithmUnavailable` where an extra is missing."""
        return cls(algorithm=algorithm, private=_MADE[algorithm]())

    @classmethod
    def open(cls, content: bytes, password: bytes) -> HeldKey:
        """Open a key file.

        Raises:
            StaffKeyFileError: it holds no key of these algorithms, or the password is another.
            ledger.AlgorithmUnavailable: it is of SM2, and the extra `gm` is not installed.
        """
        try:
            private: Any = serialization.load_pem_private_key(content, password)
        except UnsupportedAlgorithm:
            private = _open_sm2(content, password)
        except (ValueError, TypeError) as error:
            raise StaffKeyFileError("not a key that this password opens") from error
        match private:
            case ed25519.Ed25519PrivateKey():
                return cls(algorithm=ED25519, private=private)
            case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
                return cls(algorithm=ECDSA_P256_SHA256, private=private)
            case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()):
                return cls(algorithm=ECDSA_P384_SHA384, private=private)
            case Sm2PrivateKey():
                return cls(algorithm=SM2_SM3, private=private)
        raise StaffKeyFileError(f"a key of {', '.join(ALGORITHMS)} is needed")

    def encrypted(self, password: bytes, entropy: Callable[[int], bytes]) -> bytes:
        """Write the file: PEM, encrypted."""
        if isinstance(self.private, Sm2PrivateKey):
            return _encrypt_sm2(self.private, password, entropy)
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        content: bytes = self.private.private_bytes(encoding, form, serialization.BestAvailableEncryption(password))
        return content

    @property
    def public(self) -> bytes:
        """The public half: SubjectPublicKeyInfo (DER)."""
        if isinstance(self.private, Sm2PrivateKey):
            return self.private.public_key_info()
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        info: bytes = self.private.public_key().public_bytes(encoding, form)
        return info

    @property
    def public_pem(self) -> bytes:
        """The public half, PEM."""
        return public_key_pem(self.public)

    def sign(self, message: bytes) -> bytes:
        """Sign a message, as `gateway.signatures.algorithms.verify_bytes` has it."""
        digest = ECDSA_HASHES.get(self.algorithm)
        signature: bytes = (
            self.private.sign(message) if digest is None else self.private.sign(message, ec.ECDSA(digest))
        )
        return signature


def _encrypt_sm2(key: Sm2PrivateKey, password: bytes, entropy: Callable[[int], bytes]) -> bytes:
    keys, pem = asn1crypto()
    from asn1crypto import algos

    _, _, plain = pem.unarmor(key.pem())
    salt, start = entropy(16), entropy(16)
    pad = padding.PKCS7(128).padder()
    cipher = Cipher(algorithms.AES256(_derived(password, salt, _ROUNDS, hashes.SHA256(), 32)), modes.CBC(start))
    encryptor = cipher.encryptor()
    encrypted = encryptor.update(pad.update(plain) + pad.finalize()) + encryptor.finalize()
    derivation = algos.Pbkdf2Params(
        {
            "salt": algos.Pbkdf2Salt("specified", salt),
            "iteration_count": _ROUNDS,
            "prf": {"algorithm": "sha256"},
        }
    )
    scheme = algos.Pbes2Params(
        {
            "key_derivation_func": {"algorithm": "pbkdf2", "parameters": derivation},
            "encryption_scheme": {"algorithm": "aes256_cbc", "parameters": start},
        }
    )
    info = keys.EncryptedPrivateKeyInfo(
        {"encryption_algorithm": {"algorithm": "pbes2", "parameters": scheme}, "encrypted_data": encrypted}
    )
    armored: bytes = pem.armor("ENCRYPTED PRIVATE KEY", info.dump())
    return armored


def _open_sm2(content: bytes, password: bytes) -> Sm2PrivateKey:
    """Open what the other library has decrypted already, and found to be of a curve that it does not know."""
    keys, pem = asn1crypto()
    try:
        _, _, der = pem.unarmor(content)
        info = keys.EncryptedPrivateKeyInfo.load(der, strict=True)
        used = info["encryption_algorithm"]
        if used.kdf != "pbkdf2" or used.encryption_cipher != "aes" or not 0 < used.kdf_iterations <= _MOST_ROUNDS:
            raise StaffKeyFileError("not encrypted with PBKDF2 and AES")
        digest = _KDF_DIGESTS[used.kdf_hmac]
        secret = _derived(password, used.kdf_salt, used.kdf_iterations, digest, used.key_length)
        decryptor = Cipher(algorithms.AES(secret), modes.CBC(used.encryption_iv)).decryptor()
        unpad = padding.PKCS7(128).unpadder()
        plain = unpad.update(decryptor.update(info["encrypted_data"].native) + decryptor.finalize()) + unpad.finalize()
        key = Sm2PrivateKey.from_pem(pem.armor("PRIVATE KEY", plain))
        key.require_pair()  # CBC does not notice what was altered
        return key
    except (ValueError, TypeError, KeyError, AttributeError, NoteError) as error:
        raise StaffKeyFileError("not a key that this password opens") from error


def _derived(password: bytes, salt: bytes, rounds: int, digest: hashes.HashAlgorithm, length: int) -> bytes:
    return PBKDF2HMAC(algorithm=digest, length=length, salt=salt, iterations=rounds).derive(password)
