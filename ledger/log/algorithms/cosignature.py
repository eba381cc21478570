"""Ed25519 cosignatures of checkpoints, `cosignature/v1`: type 0x04 (https://c2sp.org/tlog-cosignature).

The signed message is `cosignature/v1`, the time and the whole text of the checkpoint, each line ending in LF. It does
not name the cosigner: two cosigners never share a key, and a cosigner's key signs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import NoteError
from ledger.log.algorithms.ed25519 import public_key
from ledger.log.algorithms.named_key import NamedKey
from ledger.log.algorithms.timestamp import join_timestamp, split_timestamp
from ledger.log.checkpoint import decode_checkpoint

TYPE = b"\x04"


def cosigned_message(timestamp: int, text: bytes) -> bytes:
    """Build the message that is signed; `text` is the text of the checkpoint, extension lines included."""
    return b"cosignature/v1\ntime %d\n" % timestamp + text


class Ed25519CosignatureVerifier(NamedKey):
    """The Ed25519 public key of a cosigner, 32 bytes."""

    def __init__(self, name: str, public: bytes) -> None:
        super().__init__(name, prefix=TYPE, public=public)
        self._key = public_key(public)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Verify 72 bytes, time and signature, over the text of a checkpoint; raises `NoteError`."""
        decode_checkpoint(message)
        timestamp, value = split_timestamp(signature, 64)
        try:
            self._key.verify(value, cosigned_message(timestamp, message))
        except InvalidSignature:
            raise NoteError(f"bad cosignature of key {self.name!r}") from None


class Ed25519Cosigner:
    """The Ed25519 private key of a cosigner, and the clock it dates by."""

    def __init__(self, name: str, key: Ed25519PrivateKey, *, now: Callable[[], datetime]) -> None:
        self.verifier = Ed25519CosignatureVerifier(name, key.public_key().public_bytes_raw())
        self.name = name
        self.key_id = self.verifier.key_id
        self._key = key
        self._now = now

    def sign(self, message: bytes) -> bytes:
        """Cosign the text of a checkpoint: 72 bytes; raises `NoteError` if it is none."""
        decode_checkpoint(message)
        timestamp = int(self._now().timestamp())
        return join_timestamp(timestamp, self._key.sign(cosigned_message(timestamp, message)))
