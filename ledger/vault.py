"""The vault: the legible content behind entries, encrypted, and erasable without touching the log.

Each document is AES-256-GCM under a data key of its own, and the data key is wrapped by a versioned master key.
Destroying the data key makes the document unreadable while each proof stays valid: entries only commit to documents.
Backups of the table of data keys must be kept for a short time only, or erasure is fiction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, select, union_all

from ledger.canonical import Json, parse_canonical, parse_time
from ledger.errors import CanonicalError, EntryMissing, KeyFileError, VaultError
from ledger.log import schema
from ledger.secret_file import read_secret, write_secret

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


class SealedDocument(NamedTuple):
    """A document as stored: a tuple, because one is made for each append."""

    master_version: int
    wrapped: bytes
    """The data key: nonce (12 bytes), ciphertext and tag, under the master key."""
    sealed: bytes
    """The document: nonce (12 bytes), ciphertext and tag, under the data key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultGroup:
    """One group of a document: the salt and the value its entry commits to."""

    salt: bytes
    value: Json


class Vault:
    """Encrypts and decrypts; knows the log's origin, so that nothing can be moved between logs unnoticed."""

    def __init__(self, master_keys: MasterKeys, origin: str, entropy: Callable[[int], bytes]) -> None:
        self._master = master_keys
        self._document_context = _DOCUMENT_DOMAIN + origin.encode() + b"\x00"
        self._key_context = _KEY_DOMAIN + origin.encode() + b"\x00"
        self._entropy = entropy
        self._ciphers: dict[int, AESGCM] = {}

    def seal(self, record: bytes, document: bytes) -> SealedDocument:
        """Encrypt a document of a record under a new data key; the entry's commitments bind it to its entry."""
        fresh = self._entropy(56)
        key, key_nonce, nonce = fresh[:32], fresh[32:44], fresh[44:]
        version = self._master.current
        wrapped = key_nonce + self._cipher(version).encrypt(key_nonce, key, self._key_context + record)
        sealed = nonce + AESGCM(key).encrypt(nonce, document, self._document_context + record)
        return SealedDocument(version, wrapped, sealed)

    def open(self, record: bytes, stored: SealedDocument) -> dict[str, VaultGroup]:
        """Decrypt a document into its groups; raises `VaultError` if it is not what was sealed for the record."""
        master = self._cipher(stored.master_version)
        try:
            key = master.decrypt(stored.wrapped[:12], stored.wrapped[12:], self._key_context + record)
            plain = AESGCM(key).decrypt(stored.sealed[:12], stored.sealed[12:], self._document_context + record)
            document = parse_canonical(plain)
        except (InvalidTag, ValueError, CanonicalError):
            raise VaultError(f"a document of record {record.hex()} cannot be opened") from None
        return _groups(document)

    def _cipher(self, version: int) -> AESGCM:
        cipher = self._ciphers.get(version)
        if cipher is None:
            cipher = self._ciphers[version] = AESGCM(self._master.key(version))
        return cipher


def _groups(document: Json) -> dict[str, VaultGroup]:
    groups: dict[str, VaultGroup] = {}
    for name, group in document.items() if isinstance(document, Mapping) else ():
        if isinstance(group, Mapping):
            groups[name] = VaultGroup(salt=bytes.fromhex(str(group["salt"])), value=group["value"])
    return groups


def read_document(connection: Connection, vault: Vault, idx: int, record: bytes) -> dict[str, VaultGroup] | Erased:
    """Read and decrypt the document of one entry.

    Raises:
        EntryMissing: the entry never had a document.
        VaultError: it cannot be decrypted.
    """
    key, document = schema.vault_key, schema.vault_document
    question = (
        select(key.c.master_version, key.c.wrapped, key.c.destroyed_at, document.c.sealed)
        .select_from(key.outerjoin(document, document.c.idx == key.c.idx))
        .where(key.c.idx == idx)
    )
    row = connection.execute(question).one_or_none()
    if row is None:
        raise EntryMissing(f"entry {idx} has no document")
    if row.destroyed_at is not None:
        return Erased(at=parse_time(row.destroyed_at))
    if row.wrapped is None or row.sealed is None:
        raise VaultError(f"the document of entry {idx} is incomplete")
    return vault.open(record, SealedDocument(row.master_version, bytes(row.wrapped), bytes(row.sealed)))


def erase_documents(connection: Connection, records: Iterable[bytes], at: str) -> None:
    """Destroy the data keys and documents of some records (inside the transaction that appends why)."""
    chosen = list(records)
    keys, documents, entry, record = schema.vault_key, schema.vault_document, schema.entry, schema.record
    concerned = union_all(
        select(record.c.first_idx).where(record.c.record.in_(chosen)),
        select(entry.c.idx).where(entry.c.record.in_(chosen)),
    ).scalar_subquery()
    connection.execute(keys.update().where(keys.c.idx.in_(concerned)).values(wrapped=None, destroyed_at=at))
    connection.execute(documents.delete().where(documents.c.idx.in_(concerned)))
