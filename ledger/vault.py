"""The vault: the legible content behind entries, encrypted, and erasable without touching the log.

Each record has a data key of 32 bytes, wrapped by a versioned master key; each entry's document is AES-256-GCM under
the data key of its record. Destroying the data key makes the documents unreadable while each proof stays valid: entries
only commit to documents. Backups of the table of data keys must be kept for a short time only, or erasure is fiction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, select

from ledger.canonical import Json, parse_canonical, parse_time
from ledger.errors import CanonicalError, EntryMissing, KeyFileError, VaultError
from ledger.log import schema
from ledger.log.note import read_secret, write_secret

_LINE = re.compile(r"([1-9][0-9]{0,8}):([0-9a-f]{64})", re.ASCII)
_DOCUMENT_DOMAIN = b"chengxin/ledger/v1/document\x00"
_KEY_DOMAIN = b"chengxin/ledger/v1/key\x00"


class MasterKeys(Protocol):
    """The keys that wrap data keys; kept outside the database (a file, an HSM, a key service)."""

    @property
    def current(self) -> int:
        """The version under which new data keys are wrapped."""
        ...

    def key(self, version: int) -> bytes:
        """Return the 32 bytes of one version; raises `VaultError` if it is unknown."""
        ...


class FileMasterKeys:
    """Master keys from a text file of mode 0600: `version:64 hex digits`, a line each; the highest version is current.

    Raises:
        KeyFileError: naming every mistake in the file.
    """

    def __init__(self, path: Path) -> None:
        self._keys: dict[int, bytes] = {}
        mistakes: list[str] = []
        for number, line in enumerate(read_secret(path).decode("ascii", "replace").splitlines(), 1):
            match = _LINE.fullmatch(line.strip())
            if match is None:
                mistakes.append(f"line {number} is not version:64 hex digits")
            elif int(match[1]) in self._keys:
                mistakes.append(f"line {number} repeats version {match[1]}")
            else:
                self._keys[int(match[1])] = bytes.fromhex(match[2])
        if not self._keys:
            mistakes.append("holds no key")
        if mistakes:
            raise KeyFileError(str(path), mistakes)

    @property
    def current(self) -> int:
        """The highest version."""
        return max(self._keys)

    def key(self, version: int) -> bytes:
        """Return one version's key."""
        if version not in self._keys:
            raise VaultError(f"master key version {version} is not known here")
        return self._keys[version]


def write_master_key(path: Path, entropy: Callable[[int], bytes], version: int = 1) -> None:
    """Write a new master key file; never overwrites one."""
    write_secret(path, f"{version}:{entropy(32).hex()}\n".encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What is left of a document: that its record's documents were destroyed, and when (last)."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A record's data key as stored; `wrapped` is None when it was destroyed."""

    record: bytes
    master_version: int
    wrapped: bytes | None
    destroyed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDocument:
    """An encrypted document as stored: a 12-byte nonce and the ciphertext with its tag."""

    nonce: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultGroup:
    """One group of a document: the salt and the value its entry commits to."""

    salt: bytes
    value: Json


class Vault:
    """Encrypts and decrypts; knows the log's origin, so that nothing can be moved between logs unnoticed."""

    def __init__(self, master_keys: MasterKeys, origin: str, entropy: Callable[[int], bytes]) -> None:
        self._master = master_keys
        self._origin = origin.encode()
        self._entropy = entropy

    def new_key(self, record: bytes) -> tuple[bytes, WrappedKey]:
        """Make a data key for a record: the key itself, and its wrapped form to store."""
        key, version, nonce = self._entropy(32), self._master.current, self._entropy(12)
        wrapped = nonce + AESGCM(self._master.key(version)).encrypt(nonce, key, self._key_context(record))
        return key, WrappedKey(record=record, master_version=version, wrapped=wrapped, destroyed_at=None)

    def unwrap(self, stored: WrappedKey) -> bytes:
        """Return a data key; raises `VaultError` if it is destroyed, damaged or under another master key."""
        if stored.wrapped is None:
            raise VaultError(f"the data key of record {stored.record.hex()} is destroyed")
        master = AESGCM(self._master.key(stored.master_version))
        try:
            return master.decrypt(stored.wrapped[:12], stored.wrapped[12:], self._key_context(stored.record))
        except (InvalidTag, ValueError):
            raise VaultError(f"the data key of record {stored.record.hex()} cannot be unwrapped") from None

    def seal(self, key: bytes, record: bytes, seq: int, document: bytes) -> SealedDocument:
        """Encrypt the document of a record's entry number `seq`."""
        nonce = self._entropy(12)
        return SealedDocument(nonce=nonce, ciphertext=AESGCM(key).encrypt(nonce, document, self._context(record, seq)))

    def open(self, key: bytes, record: bytes, seq: int, sealed: SealedDocument) -> dict[str, VaultGroup]:
        """Decrypt a document into its groups; raises `VaultError` if it is not what was sealed there."""
        try:
            document = parse_canonical(AESGCM(key).decrypt(sealed.nonce, sealed.ciphertext, self._context(record, seq)))
        except (InvalidTag, ValueError, CanonicalError):
            raise VaultError(f"document {seq} of record {record.hex()} cannot be opened") from None
        return _groups(document)

    def _context(self, record: bytes, seq: int) -> bytes:
        return _DOCUMENT_DOMAIN + self._origin + b"\x00" + record + seq.to_bytes(8, "big")

    def _key_context(self, record: bytes) -> bytes:
        return _KEY_DOMAIN + self._origin + b"\x00" + record


def _groups(document: Json) -> dict[str, VaultGroup]:
    groups: dict[str, VaultGroup] = {}
    for name, group in document.items() if isinstance(document, Mapping) else ():
        if isinstance(group, Mapping):
            groups[name] = VaultGroup(salt=bytes.fromhex(str(group["salt"])), value=group["value"])
    return groups


def read_keys(connection: Connection, records: Iterable[bytes]) -> dict[bytes, WrappedKey]:
    """Read the stored data keys of some records in one question."""
    question = select(schema.vault_key).where(schema.vault_key.c.record.in_(list(records)))
    return {
        bytes(row.record): WrappedKey(
            record=bytes(row.record),
            master_version=row.master_version,
            wrapped=None if row.wrapped is None else bytes(row.wrapped),
            destroyed_at=row.destroyed_at,
        )
        for row in connection.execute(question)
    }


def read_document(
    connection: Connection, vault: Vault, idx: int, record: bytes, seq: int
) -> dict[str, VaultGroup] | Erased:
    """Read and decrypt the document of one entry.

    Raises:
        EntryMissing: the entry never had a document.
        VaultError: it cannot be decrypted.
    """
    row = connection.execute(select(schema.vault_document).where(schema.vault_document.c.idx == idx)).one_or_none()
    key = read_keys(connection, [record]).get(record)
    if row is not None and key is not None:
        sealed = SealedDocument(nonce=bytes(row.nonce), ciphertext=bytes(row.ciphertext))
        return vault.open(vault.unwrap(key), record, seq, sealed)
    if row is None and key is not None and key.destroyed_at is not None:
        return Erased(at=parse_time(key.destroyed_at))
    raise EntryMissing(f"entry {idx} has no document")


def erase_documents(connection: Connection, records: Iterable[bytes], at: str) -> None:
    """Destroy the data keys and documents of some records (inside the transaction that appends why)."""
    chosen = list(records)
    keys, documents = schema.vault_key, schema.vault_document
    connection.execute(keys.update().where(keys.c.record.in_(chosen)).values(wrapped=None, destroyed_at=at))
    connection.execute(documents.delete().where(documents.c.record.in_(chosen)))
