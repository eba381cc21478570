"""Signed notes (https://c2sp.org/signed-note): a text, and lines by which keys sign it.

    text, each line ending in LF
                                                      <- an empty line
    — <key name> <base64 of key id (4 bytes) || signature>

What stands in a signature, and which bytes it covers, is the affair of each algorithm (`ledger.log.algorithms`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.errors import NoteError, WrongKey

_MOST_SIGNATURES = 64
_LONGEST_NOTE = 1 << 20
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_LINE_START = "\u2014 "


class Signer(Protocol):
    """A key that can sign notes."""

    @property
    def name(self) -> str:
        """The key name: non-empty, without spaces and plus."""
        ...

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before each signature."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign the text of a note."""
        ...


class Verifier(Protocol):
    """A public key that can verify lines of notes."""

    @property
    def name(self) -> str:
        """The key name the line must carry."""
        ...

    @property
    def key_id(self) -> bytes:
        """The four bytes the signature must begin with."""
        ...

    def verify(self, message: bytes, signature: bytes) -> None:
        """Verify one signature over the text; raises `NoteError` if it is bad."""
        ...


def decode_base64(text: str) -> bytes:
    """Decode standard base64 in its one canonical spelling (RFC 4648, 4).

    Raises:
        NoteError: the text has other characters, wrong padding or stray bits: one value must have one spelling.
    """
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not base64") from None
    if base64.b64encode(value).decode() != text:
        raise NoteError("base64 is not in canonical form")
    return value


def require_key_name(name: str) -> None:
    """Refuse what is not a key name: 1 to 255 bytes, without spaces, plus and control characters.

    The length is that of `cosigner_name` in https://c2sp.org/tlog-cosignature.

    Raises:
        NoteError: it is not one.
    """
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteError("a key name is empty or holds a space, a plus or a control character")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise NoteError("a key name is not UTF-8") from None
    if length > 255:
        raise NoteError("a key name is longer than 255 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureLine:
    """One line of a note, nothing of it verified: who is said to have signed, and the signature."""

    name: str
    key_id: bytes
    signature: bytes


def format_line(name: str, key_id: bytes, signature: bytes) -> str:
    """Write a signature line, without the newline that ends it in a note."""
    return f"{_LINE_START}{name} {base64.b64encode(key_id + signature).decode()}"


def parse_line(line: str) -> SignatureLine:
    """Read a signature line, without its newline; raises `NoteError` if it is malformed."""
    parts = line.removeprefix(_LINE_START).split(" ")
    if not line.startswith(_LINE_START) or len(parts) != 2:
        raise NoteError("malformed signature line")
    require_key_name(parts[0])
    value = decode_base64(parts[1])
    if len(value) < 5:
        raise NoteError("a signature is too short")
    return SignatureLine(name=parts[0], key_id=value[:4], signature=value[4:])


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """Sign `text` (ending in a newline) with each key, one line each.

    Raises:
        NoteError: the text cannot be that of a note, or a key cannot sign it.
    """
    if not text.endswith("\n") or _CONTROL.search(text) is not None:
        raise NoteError("a note's text ends in a newline and holds no other control character")
    message = text.encode()
    return join_note(text, [format_line(s.name, s.key_id, s.sign(message)) for s in signers])


def join_note(text: str, lines: Sequence[str]) -> bytes:
    """Put a note together from its text and its signature lines, each without its newline."""
    return (text + "\n" + "".join(f"{line}\n" for line in lines)).encode()


def add_lines(note: bytes, lines: Sequence[str]) -> bytes:
    """Add signature lines (each without its newline) to a note; a line takes the place of an earlier one of its key.

    A checkpoint must not carry two lines of one key (https://c2sp.org/tlog-checkpoint), as it would when a witness
    cosigns it again with a newer date.

    Raises:
        NoteError: the note or a line is malformed, or the note would have too many lines.
    """
    text, present = split_note(note)
    merged: dict[tuple[str, bytes], str] = {}
    for line in [*present, *lines]:
        parsed = parse_line(line)
        merged[parsed.name, parsed.key_id] = line
    if len(merged) > _MOST_SIGNATURES:
        raise NoteError("the note has too many signatures")
    return join_note(text, list(merged.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedNote:
    """A note of which at least one signature of a known key was verified."""

    text: str
    signed_by: tuple[str, ...]
    """Names of the known keys that signed."""
    lines: tuple[str, ...]
    """The lines of known keys, every one verified, each without its newline."""


def open_note(note: bytes, verifiers: Sequence[Verifier]) -> OpenedNote:
    """Verify a note: every line of a known key must be good, and there must be one; others are ignored.

    Raises:
        WrongKey: no line is of a known key.
        NoteError: the note is malformed or a known key's signature is bad.
    """
    text, lines = split_note(note)
    known = {(v.name, v.key_id): v for v in verifiers}
    verified: dict[str, str] = {}
    for line in lines:
        parsed = parse_line(line)
        verifier = known.get((parsed.name, parsed.key_id))
        if verifier is not None:
            verifier.verify(text.encode(), parsed.signature)
            verified[line] = parsed.name
    if not verified:
        raise WrongKey("no signature of the note is by a known key")
    return OpenedNote(text=text, signed_by=tuple(dict.fromkeys(verified.values())), lines=tuple(verified))


def split_note(note: bytes) -> tuple[str, list[str]]:
    """Take a note apart into its text and its signature lines, verifying nothing; raises `NoteError`."""
    if len(note) > _LONGEST_NOTE:
        raise NoteError("the note is too long")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("the note is not UTF-8") from None
    if _CONTROL.search(whole) is not None:
        raise NoteError("the note holds a control character")
    body, gap, tail = whole.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteError("the note has no signature lines, or does not end in a newline")
    lines = tail[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise NoteError("the note has too many signatures")
    return body + "\n", lines
