"""Checkpoints (https://c2sp.org/tlog-checkpoint): origin, tree size and root, as a signed note.

example.gov.cn/ledger
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import NoteError, WrongOrigin
from ledger.log.note import Signer, Verifier, decode_base64, open_note, sign_note, split_note

_LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log says of itself: its origin, how many entries it has, and their root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text to sign."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_decimal(text: str) -> int:
    """Read an ASCII decimal number below 2^63, without sign, spaces or leading zeroes.

    Raises:
        NoteError: it is written in any other way.
    """
    if not text.isascii() or not text.isdigit() or (text[0] == "0" and text != "0") or len(text) > 19:
        raise NoteError("not a decimal number in its one spelling")
    value = int(text)
    if value > _LARGEST:
        raise NoteError("a number is too large")
    return value


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint; extension lines are allowed and ignored.

    Raises:
        NoteError: it is malformed.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise NoteError("a checkpoint has three or more non-empty lines")
    root = decode_base64(lines[2])
    if len(root) != 32:
        raise NoteError("the root of a checkpoint is not 32 bytes long")
    return Checkpoint(origin=lines[0], size=parse_decimal(lines[1]), root=root)


def decode_checkpoint(text: bytes) -> Checkpoint:
    """Read the text of a checkpoint from its bytes, as keys are given it; raises `NoteError` if it is malformed."""
    try:
        return parse_checkpoint(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise NoteError("a checkpoint is UTF-8") from None


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> bytes:
    """Sign a checkpoint. The caller answers for it that no other root was ever signed for this size."""
    if not checkpoint.origin or any(c < " " for c in checkpoint.origin):
        raise NoteError("the origin is empty or holds a control character")
    return sign_note(checkpoint.text(), signers)


def read_checkpoint(note: bytes) -> Checkpoint:
    """Read a checkpoint without verifying its signatures; raises `NoteError` if it is malformed."""
    return parse_checkpoint(split_note(note)[0])


def open_checkpoint(note: bytes, verifiers: Sequence[Verifier], origin: str) -> Checkpoint:
    """Verify a checkpoint of the log `origin` with the log's own keys (a witness's key alone proves nothing here).

    Raises:
        WrongKey: no known key signed it.
        WrongOrigin: it is of another log.
        NoteError: it is malformed or badly signed.
    """
    checkpoint = parse_checkpoint(open_note(note, verifiers).text)
    if checkpoint.origin != origin:
        raise WrongOrigin(origin, checkpoint.origin)
    return checkpoint
