"""ML-DSA-44 cosignatures of checkpoints, `subtree/v1`: type 0x06 (https://c2sp.org/tlog-cosignature, FIPS 204).

    struct {
        uint8 label[12] = "subtree/v1\\n\\0";
        opaque cosigner_name<1..2^8-1>;
        uint64 timestamp;
        opaque log_origin<1..2^8-1>;
        uint64 start;                            0 for a checkpoint
        uint64 end;                              its size
        uint8 hash[32];                          its root
    } cosigned_message;

Extension lines of a checkpoint are not covered. Signatures are randomised: the bytes that were stored are the note.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeGuard

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from ledger.errors import AlgorithmUnavailable, NoteError
from ledger.log.algorithms.named_key import NamedKey
from ledger.log.algorithms.timestamp import join_timestamp, split_timestamp
from ledger.log.checkpoint import Checkpoint, decode_checkpoint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

TYPE = b"\x06"
PUBLIC_BYTES = 1312
SIGNATURE_BYTES = 2420
_LABEL = b"subtree/v1\n\0"


def cosigned_message(cosigner: str, timestamp: int, checkpoint: Checkpoint) -> bytes:
    """Build the message that is signed for a checkpoint.

    Raises:
        NoteError: the origin has no byte, or more than 255.
    """
    origin = checkpoint.origin.encode()
    if not 1 <= len(origin) <= 255:
        raise NoteError("an origin to cosign has 1 to 255 bytes")
    return b"".join(
        (
            _LABEL,
            _opaque(cosigner.encode()),
            timestamp.to_bytes(8, "big"),
            _opaque(origin),
            bytes(8),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def _opaque(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def generate_key() -> MLDSA44PrivateKey:
    """Make a new private key; raises `AlgorithmUnavailable`."""
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

        return MLDSA44PrivateKey.generate()
    except (ImportError, UnsupportedAlgorithm):
        raise _unavailable() from None


def is_mldsa44(key: object) -> TypeGuard[MLDSA44PrivateKey]:
    """Tell whether a loaded private key is of this algorithm."""
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
    except ImportError:
        return False
    return isinstance(key, MLDSA44PrivateKey)


def _public_key(public: bytes) -> MLDSA44PublicKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

        return MLDSA44PublicKey.from_public_bytes(public)
    except (ImportError, UnsupportedAlgorithm):
        raise _unavailable() from None
    except ValueError:
        raise NoteError(f"an ML-DSA-44 public key has {PUBLIC_BYTES} bytes") from None


def _unavailable() -> AlgorithmUnavailable:
    return AlgorithmUnavailable("ML-DSA-44 needs a newer `cryptography` (48 or later)")


class MlDsa44Verifier(NamedKey):
    """An ML-DSA-44 public key of 1312 bytes under a key name."""

    def __init__(self, name: str, public: bytes) -> None:
        super().__init__(name, prefix=TYPE, public=public)
        self._key = _public_key(public)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Verify 2428 bytes, time and signature, over the checkpoint that `message` is; raises `NoteError`."""
        checkpoint = decode_checkpoint(message)
        timestamp, value = split_timestamp(signature, SIGNATURE_BYTES)
        try:
            self._key.verify(value, cosigned_message(self.name, timestamp, checkpoint))
        except InvalidSignature:
            raise NoteError(f"bad cosignature of key {self.name!r}") from None


class MlDsa44Signer:
    """An ML-DSA-44 private key under a key name, and the clock it dates by."""

    def __init__(self, name: str, key: MLDSA44PrivateKey, *, now: Callable[[], datetime]) -> None:
        self.verifier = MlDsa44Verifier(name, key.public_key().public_bytes_raw())
        self.name = name
        self.key_id = self.verifier.key_id
        self._key = key
        self._now = now

    def sign(self, message: bytes) -> bytes:
        """Cosign the text of a checkpoint: 2428 bytes; raises `NoteError` if it is none."""
        timestamp = int(self._now().timestamp())
        signed = cosigned_message(self.name, timestamp, decode_checkpoint(message))
        return join_timestamp(timestamp, self._key.sign(signed))
