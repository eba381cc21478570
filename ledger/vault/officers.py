"""Officers who may order an erasure: each has a key of their own, and signs for themselves.

One key, one person: the private key is in the hands of its officer (a PEM file of mode 0600, with a passphrase where it
lies on a shared machine), the public key is registered in the configuration. Ed25519 (RFC 8032).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.canonical import Json, canonical
from ledger.errors import ErasureRefused, KeyFileError
from ledger.secret_file import read_secret, write_secret
from ledger.spelling import one_spelling

_LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """One who orders: staff number and name."""

    number: str = field(repr=False)
    name: str = field(repr=False)

    def is_same(self, other: Officer) -> bool:
        """Say whether two are one person, however they are written: the same number or the same name."""
        pairs = (self.number, other.number), (self.name, other.name)
        return any(one_spelling(ours) == one_spelling(theirs) for ours, theirs in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What an officer signed for: who, with which public key (32 bytes), and the signature (64 bytes)."""

    officer: Officer
    public_key: bytes
    signature: bytes


class OfficerSigner:
    """Signs for one officer."""

    def __init__(self, officer: Officer, key: Ed25519PrivateKey) -> None:
        self.officer = officer
        self._key = key

    @classmethod
    def load(cls, path: Path, officer: Officer, passphrase: bytes | None = None) -> OfficerSigner:
        """Read the officer's key.

        Raises:
            KeyFileError: it cannot be read, is open to others, is no Ed25519 key, or the passphrase is wrong.
        """
        try:
            key = serialization.load_pem_private_key(read_secret(path), passphrase)
        except (ValueError, TypeError) as failure:
            raise KeyFileError(
                str(path), [f"is not a key that opens with this passphrase ({type(failure).__name__})"]
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(str(path), ["is not an Ed25519 key"])
        return cls(officer, key)

    def sign(self, statement: Json) -> Signed:
        """Sign the canonical JSON (RFC 8785) of a statement."""
        public = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return Signed(officer=self.officer, public_key=public, signature=self._key.sign(canonical(statement)))


class Officers:
    """The officers who are registered, each by the public key (32 bytes) that is theirs.

    Raises:
        ErasureRefused: two of them are one person or share a key; nobody could tell them apart.
    """

    def __init__(self, registered: Iterable[tuple[Officer, bytes]]) -> None:
        self._registered = tuple(registered)
        mistakes = [
            "two registered officers have the same number, name or key"
            for at, (one, key) in enumerate(self._registered)
            for other, other_key in self._registered[:at]
            if one.is_same(other) or key == other_key
        ]
        if mistakes:
            raise ErasureRefused(mistakes[:1])

    def named(self, number: str) -> Officer:
        """Return a registered officer by staff number; raises `ErasureRefused`."""
        for officer, _ in self._registered:
            if officer.number == number:
                return officer
        raise ErasureRefused(["this staff number is not that of a registered officer"])

    def verify(self, signed: Signed, statement: Json) -> None:
        """Require that a registered officer signed a statement.

        Raises:
            ErasureRefused: the officer is not registered with this key, or the signature does not hold.
        """
        if (signed.officer, signed.public_key) not in self._registered:
            raise ErasureRefused(["the signature is not by the key of a registered officer"])
        try:
            Ed25519PublicKey.from_public_bytes(signed.public_key).verify(signed.signature, canonical(statement))
        except InvalidSignature:
            raise ErasureRefused(["an officer's signature does not hold"]) from None


def write_officer_key(path: Path, passphrase: bytes | None) -> bytes:
    """Make a key for an officer and write it; returns the public key in PEM.

    Raises:
        KeyFileError: there is a file already, or it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    closed = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    write_secret(path, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, closed))
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_public_key(path: Path) -> bytes:
    """Read a public key file (PEM) as 32 bytes; raises `KeyFileError`."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as failure:
        raise KeyFileError(str(path), [f"is not a public key in PEM ({type(failure).__name__})"]) from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(str(path), ["is not an Ed25519 key"])
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def wrong_texts(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Name the texts of an order that are empty or too long, each once."""
    return list(
        dict.fromkeys(
            f"{what} is empty or longer than {_LONGEST_TEXT}"
            for what, text in texts
            if not one_spelling(text) or len(text.strip()) > _LONGEST_TEXT
        )
    )
