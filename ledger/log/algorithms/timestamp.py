"""The `timestamped_signature` of cosignatures (https://c2sp.org/tlog-cosignature): a time before the signature."""

from __future__ import annotations

from ledger.errors import NoteError
from ledger.log.note import parse_line

_LATEST = (1 << 63) - 1


def join_timestamp(timestamp: int, signature: bytes) -> bytes:
    """Write POSIX seconds as eight bytes, big-endian, before a signature."""
    return timestamp.to_bytes(8, "big") + signature


def split_timestamp(value: bytes, length: int) -> tuple[int, bytes]:
    """Take a timestamped signature apart; the signature must have `length` bytes.

    Raises:
        NoteError: it has another length, or the time exceeds 2^63-1.
    """
    if len(value) != 8 + length:
        raise NoteError("a cosignature has the wrong length")
    timestamp = int.from_bytes(value[:8], "big")
    if timestamp > _LATEST:
        raise NoteError("the time of a cosignature is too large")
    return timestamp, value[8:]


def cosigned_at(line: str) -> int:
    """Read the time, in POSIX seconds, of a cosignature line that was verified before.

    Raises:
        NoteError: the line is too short to hold one.
    """
    signature = parse_line(line).signature
    if len(signature) < 8:
        raise NoteError("the line holds no cosignature")
    return int.from_bytes(signature[:8], "big")
