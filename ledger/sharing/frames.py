"""What travels between the owner of a ledger and those who share it: length-prefixed MessagePack over a unix socket.

Both ends are processes of one user, one machine and one version of this program; the first frame each way says so.
A frame is 4 bytes of length (big-endian) and a value:

    greeting     [version, origin]
    submissions  [[number, Admitted], …]            numbers are the sender's own
    answers      [note, [[number, outcome], …]]     one note for all of a batch
                                                    number -1: damage, to be told to everybody who waits for anything

Entries that are the first of their records are not sent back: who submitted them has them already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ledger.appends.admission import Admitted
from ledger.appends.values import Accepted, Replay, Sequenced
from ledger.errors import (
    AlreadyClaimed,
    AppendRefused,
    ErasureRefused,
    IdempotencyConflict,
    LedgerDamaged,
    LedgerError,
    LedgerOverloaded,
    LedgerUnavailable,
    RecordChanged,
    RecordErased,
    SubmissionError,
    TransitionRefused,
)

VERSION = 6
EVERYBODY = -1
"""The number of an answer that nobody asked for: nothing more is appended or published."""
_LONGEST = 256 << 20
_OPENED, _ACCEPTED, _REPLAY, _CONFLICT, _TRANSITION, _CLAIMED, _UNAVAILABLE, _DAMAGED, _OVERLOADED, _KEPT = range(10)
_MALFORMED, _ERASED, _CHANGED = 10, 11, 12

Outcome = Accepted | Replay | AppendRefused | LedgerError
Packed = tuple[Any, ...]
"""An outcome as it travels: its kind, and what that kind tells."""

_encode = msgspec.msgpack.Encoder().encode
_decode_greeting = msgspec.msgpack.Decoder(tuple[int, str]).decode
_decode_submissions = msgspec.msgpack.Decoder(list[tuple[int, Admitted]]).decode
_decode_answers = msgspec.msgpack.Decoder(tuple[bytes, list[tuple[int, Packed]]]).decode


class FrameError(LedgerError):
    """What came over the socket is not what both ends agreed upon."""


class Frames:
    """Takes a stream of bytes apart into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add what was received; yields every frame that is complete.

        Raises:
            FrameError: a frame is longer than any can be.
        """
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if length > _LONGEST:
                raise FrameError("a frame is too long")
            if len(self._buffer) < 4 + length:
                return
            frame = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            yield frame


def _framed(value: object) -> bytes:
    body = _encode(value)
    return len(body).to_bytes(4, "big") + body


def greeting(origin: str) -> bytes:
    """Write the first frame of a connection."""
    return _framed((VERSION, origin))


def require_greeting(frame: bytes, origin: str) -> None:
    """Require that the other end speaks this version for this log; raises `FrameError`."""
    try:
        version, named = _decode_greeting(frame)
    except msgspec.DecodeError as failure:
        raise FrameError("no greeting came") from failure
    if (version, named) != (VERSION, origin):
        raise FrameError("the other process is of another version, or serves another log")


def submissions(batch: Sequence[tuple[int, Admitted]]) -> bytes:
    """Write a frame of submissions."""
    return _framed(batch)


def read_submissions(frame: bytes) -> list[tuple[int, Admitted]]:
    """Read a frame of submissions; raises `FrameError`."""
    try:
        return _decode_submissions(frame)
    except msgspec.DecodeError as failure:
        raise FrameError("submissions that cannot be read") from failure


def answers(note: bytes, told: Sequence[tuple[int, Admitted, Outcome]]) -> bytes:
    """Write a frame of answers; the receipts of a batch share its note, and are put together by the receiver."""
    return _framed((note, [(number, _pack(admitted, outcome)) for number, admitted, outcome in told]))


def damaged(damage: LedgerDamaged) -> bytes:
    """Write a frame that tells everybody of a process of damage."""
    return _framed((b"", [(EVERYBODY, (_DAMAGED, str(damage)))]))


def read_damage(packed: Packed) -> LedgerDamaged:
    """Read what everybody is told; raises `FrameError`."""
    if len(packed) != 2 or packed[0] != _DAMAGED:
        raise FrameError("an answer that nobody asked for")
    return LedgerDamaged(str(packed[1]))


def read_answers(frame: bytes) -> tuple[bytes, list[tuple[int, Packed]]]:
    """Read a frame of answers, each to be unpacked with what it answers; raises `FrameError`."""
    try:
        return _decode_answers(frame)
    except msgspec.DecodeError as failure:
        raise FrameError("answers that cannot be read") from failure


def _pack(admitted: Admitted, outcome: Outcome) -> Packed:
    if isinstance(outcome, Accepted):
        entries = outcome.entries
        for draft, entry in zip(admitted.drafts, entries, strict=True):
            if entry.entry is not draft.first_leaf:
                placed = [(entry.index, entry.entry, entry.leaf_hash) for entry in entries]
                return (_ACCEPTED, placed, outcome.size, outcome.paths)
        return (_OPENED, entries[0].index, outcome.size, outcome.paths)
    if isinstance(outcome, Replay):
        return (_REPLAY, outcome.body_digest, outcome.first_idx, outcome.count)
    if isinstance(outcome, IdempotencyConflict):
        return (_CONFLICT, outcome.first_idx)
    if isinstance(outcome, TransitionRefused):
        return (_TRANSITION, outcome.record, outcome.state, outcome.kind)
    if isinstance(outcome, AlreadyClaimed | RecordErased | RecordChanged):
        return (_OF_RECORD[type(outcome)], outcome.record)
    if isinstance(outcome, ErasureRefused | SubmissionError):
        return (_KEPT if isinstance(outcome, ErasureRefused) else _MALFORMED, outcome.mistakes)
    if isinstance(outcome, LedgerDamaged):
        return (_DAMAGED, str(outcome))
    return (_OVERLOADED if isinstance(outcome, LedgerOverloaded) else _UNAVAILABLE, str(outcome))


def unpack(admitted: Admitted, packed: Packed) -> Outcome:
    """Take the answer to a submission as what became of it; raises `FrameError`."""
    try:
        kind = packed[0]
        if kind == _OPENED:
            _, first, size, paths = packed
            opened = [Sequenced(index, d.first_leaf, d.first_hash) for index, d in enumerate(admitted.drafts, first)]
            return Accepted(tuple(opened), size, tuple(paths))
        if kind == _ACCEPTED:
            _, entries, size, paths = packed
            return Accepted(tuple([Sequenced(*entry) for entry in entries]), size, tuple(paths))
        made: Outcome = _MAKERS[kind](*packed[1:])
    except (TypeError, ValueError, LookupError, AttributeError) as failure:
        raise FrameError("an answer that cannot be read") from failure
    return made


_OF_RECORD: dict[type, int] = {AlreadyClaimed: _CLAIMED, RecordErased: _ERASED, RecordChanged: _CHANGED}
"""Refusals that tell of a record and no more."""
_MAKERS: dict[int, Any] = {
    _REPLAY: Replay,
    _CONFLICT: IdempotencyConflict,
    _TRANSITION: TransitionRefused,
    _CLAIMED: AlreadyClaimed,
    _UNAVAILABLE: LedgerUnavailable,
    _DAMAGED: LedgerDamaged,
    _OVERLOADED: LedgerOverloaded,
    _KEPT: ErasureRefused,
    _MALFORMED: SubmissionError,
    _ERASED: RecordErased,
    _CHANGED: RecordChanged,
}
