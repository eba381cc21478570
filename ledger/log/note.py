"""Signed notes (https://c2sp.org/signed-note) with Ed25519, and the keys that sign and verify them.

    text, each line ending in LF
                                                      <- an empty line
    — <key name> <base64 of key id (4 bytes) || signature>

Further algorithms are further implementations of `Signer` and `Verifier`: further lines of one note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import KeyFileError, NoteError, WrongKey

_ED25519 = b"\x01"
_MOST_SIGNATURES = 64
_LONGEST_NOTE = 1 << 20
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


def _require_key_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteError("a key name is empty or holds a space, a plus or a control character")


def _ed25519_key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


class Ed25519Verifier:
    """An Ed25519 public key of 32 bytes under a key name."""

    def __init__(self, name: str, public: bytes) -> None:
        _require_key_name(name)
        self.name = name
        self.key_id = _ed25519_key_id(name, public)
        self._public = public
        self._key = Ed25519PublicKey.from_public_bytes(public)

    @property
    def vkey(self) -> str:
        """The verifier key as one line: `name+<8 hex of key id>+<base64 of 0x01 || public key>`."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self._public).decode()}"

    def verify(self, message: bytes, signature: bytes) -> None:
        """Verify a 64-byte signature; raises `NoteError` if it is bad."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise NoteError(f"bad signature of key {self.name!r}") from None


class Ed25519Signer:
    """An Ed25519 private key under a key name."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        public = key.public_key().public_bytes_raw()
        self.verifier = Ed25519Verifier(name, public)
        self.name = name
        self.key_id = self.verifier.key_id
        self._key = key

    def sign(self, message: bytes) -> bytes:
        """Sign the text of a note: 64 bytes."""
        return self._key.sign(message)


def parse_vkey(line: str) -> Ed25519Verifier:
    """Read a verifier key line.

    Raises:
        NoteError: the line is malformed, of another algorithm, or its key id is not that of its key.
    """
    parts = line.strip().split("+", 2)
    if len(parts) != 3:
        raise NoteError("a verifier key has the form name+id+base64")
    name, key_id, encoded = parts
    key = decode_base64(encoded)
    if len(key) != 33 or key[:1] != _ED25519:
        raise NoteError("the verifier key is not an Ed25519 key")
    verifier = Ed25519Verifier(name, key[1:])
    if verifier.key_id.hex() != key_id:
        raise NoteError("the verifier key's id does not belong to its key")
    return verifier


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """Sign `text` (ending in a newline) with each key, one line each."""
    if not text.endswith("\n") or any(c < " " and c != "\n" for c in text):
        raise NoteError("a note's text ends in a newline and holds no other control character")
    message = text.encode()
    lines = [f"{_LINE_START}{s.name} {base64.b64encode(s.key_id + s.sign(message)).decode()}\n" for s in signers]
    return message + b"\n" + "".join(lines).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedNote:
    """A note of which at least one signature of a known key was verified."""

    text: str
    signed_by: tuple[str, ...]
    """Names of the known keys that signed."""


def open_note(note: bytes, verifiers: Sequence[Verifier]) -> OpenedNote:
    """Verify a note: every line of a known key must be good, and there must be one; others are ignored.

    Raises:
        WrongKey: no line is of a known key.
        NoteError: the note is malformed or a known key's signature is bad.
    """
    text, lines = split_note(note)
    known = {(v.name, v.key_id): v for v in verifiers}
    signed_by: list[str] = []
    for line in lines:
        name, key_id, signature = _parse_line(line)
        verifier = known.get((name, key_id))
        if verifier is not None:
            verifier.verify(text.encode(), signature)
            signed_by.append(name)
    if not signed_by:
        raise WrongKey("no signature of the note is by a known key")
    return OpenedNote(text=text, signed_by=tuple(signed_by))


def split_note(note: bytes) -> tuple[str, list[str]]:
    """Take a note apart into its text and its signature lines, verifying nothing; raises `NoteError`."""
    if len(note) > _LONGEST_NOTE:
        raise NoteError("the note is too long")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("the note is not UTF-8") from None
    if any(c < " " and c != "\n" for c in whole):
        raise NoteError("the note holds a control character")
    body, gap, tail = whole.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteError("the note has no signature lines, or does not end in a newline")
    lines = tail[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise NoteError("the note has too many signatures")
    return body + "\n", lines


def _parse_line(line: str) -> tuple[str, bytes, bytes]:
    parts = line.removeprefix(_LINE_START).split(" ")
    if not line.startswith(_LINE_START) or len(parts) != 2:
        raise NoteError("malformed signature line")
    _require_key_name(parts[0])
    value = decode_base64(parts[1])
    if len(value) < 5:
        raise NoteError("a signature is too short")
    return parts[0], value[:4], value[4:]


def write_signing_key(path: Path, name: str) -> Ed25519Signer:
    """Make a new Ed25519 key and write it as PEM (PKCS#8, unencrypted, mode 0600); the file must not exist."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(path, pem)
    return Ed25519Signer(name, key)


def load_signer(path: Path, name: str) -> Ed25519Signer:
    """Read an Ed25519 key from a PEM file (PKCS#8).

    Raises:
        KeyFileError: the file is unreadable, open to others, or not an Ed25519 key.
    """
    pem = read_secret(path)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise KeyFileError(str(path), ["not an unencrypted PEM private key"]) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(str(path), ["not an Ed25519 key"])
    return Ed25519Signer(name, key)


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read, and make it durable; never overwrites."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> bytes:
    """Read a file that must be closed to everybody but its owner.

    Raises:
        KeyFileError: it cannot be read, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except OSError as failure:
        raise KeyFileError(str(path), [f"cannot be read ({failure.strerror})"]) from None
    if mode & 0o077:
        raise KeyFileError(str(path), [f"mode {mode & 0o777:04o} lets others in; 0600 is required"])
    return content
