"""Ed25519 signatures over the text of a note: type 0x01 (https://c2sp.org/signed-note, RFC 8032)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import NoteError
from ledger.log.algorithms.named_key import NamedKey

TYPE = b"\x01"


def public_key(public: bytes) -> Ed25519PublicKey:
    """Read an encoded public key of 32 bytes; raises `NoteError` if it has another length."""
    try:
        return Ed25519PublicKey.from_public_bytes(public)
    except ValueError:
        raise NoteError("an Ed25519 public key has 32 bytes") from None


class Ed25519Verifier(NamedKey):
    """An Ed25519 public key of 32 bytes under a key name."""

    def __init__(self, name: str, public: bytes) -> None:
        super().__init__(name, prefix=TYPE, public=public)
        self._key = public_key(public)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Verify a 64-byte signature; raises `NoteError` if it is bad."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise NoteError(f"bad signature of key {self.name!r}") from None


class Ed25519Signer:
    """An Ed25519 private key under a key name."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.verifier = Ed25519Verifier(name, key.public_key().public_bytes_raw())
        self.name = name
        self.key_id = self.verifier.key_id
        self._key = key

    def sign(self, message: bytes) -> bytes:
        """Sign the text of a note: 64 bytes."""
        return self._key.sign(message)
