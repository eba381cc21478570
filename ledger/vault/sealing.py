"""Sealing: each document under a data key of its own, and the data key under a versioned master key.

Destroying the data key makes the document unreadable while each proof stays valid: entries only commit to documents.
Additional data bind both to the log and the record; within a record, salted commitments bind a document to its entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from ledger.errors import CanonicalError, VaultError
from ledger.records.commitments import VaultGroup, decode_document
from ledger.vault.ciphers import Aead, Cipher, cipher_of
from ledger.vault.master_keys import MasterKeys

_DOCUMENT_DOMAIN = b"chengxin/ledger/v1/document\x00"
_KEY_DOMAIN = b"chengxin/ledger/v1/key\x00"


class SealedDocument(NamedTuple):
    """A document as stored: a tuple, because one is made for each append."""

    master_version: int
    wrapped: bytes
    """The data key: nonce (12 bytes), ciphertext and tag, under the master key."""
    sealed: bytes
    """The document: nonce (12 bytes), ciphertext and tag, under the data key."""


class Vault:
    """Encrypts and decrypts; knows the log's origin, so that nothing can be moved between logs unnoticed.

    Safe for several threads, if `entropy` is.
    """

    def __init__(self, master_keys: MasterKeys, origin: str, entropy: Callable[[int], bytes]) -> None:
        self._master = master_keys
        self._document_context = _DOCUMENT_DOMAIN + origin.encode() + b"\x00"
        self._key_context = _KEY_DOMAIN + origin.encode() + b"\x00"
        self._entropy = entropy
        self._masters: dict[int, tuple[Aead, Cipher]] = {}

    @property
    def current(self) -> int:
        """The master key version under which new data keys are wrapped."""
        return self._master.current

    def seal(self, record: bytes, document: bytes) -> SealedDocument:
        """Encrypt a document of a record under a new data key, with the cipher of the current master key."""
        version = self._master.current
        master, cipher = self._masters.get(version) or self._open_master(version)
        size = cipher.key_bytes
        fresh = self._entropy(size + 24)
        key, key_nonce, nonce = fresh[:size], fresh[size : size + 12], fresh[size + 12 :]
        wrapped = key_nonce + master.encrypt(key_nonce, key, self._key_context + record)
        sealed = nonce + cipher.under(key).encrypt(nonce, document, self._document_context + record)
        return SealedDocument(version, wrapped, sealed)

    def open(self, record: bytes, stored: SealedDocument, *, strictly: bool = False) -> dict[str, VaultGroup]:
        """Decrypt a document into its groups; `strictly` looks at its spelling as well, whose choice only who holds
        the keys could have had.

        Raises:
            VaultError: it is not what was sealed for the record, or its master key is not known.
        """
        key = self._unwrap(record, stored.master_version, stored.wrapped)
        nonce, sealed = stored.sealed[:12], stored.sealed[12:]
        try:
            document = cipher_of(key).under(key).decrypt(nonce, sealed, self._document_context + record)
            return decode_document(document, own=not strictly)
        except (InvalidTag, ValueError, CanonicalError):
            raise VaultError(f"a document of record {record.hex()} cannot be opened") from None

    def rewrap(self, record: bytes, master_version: int, wrapped: bytes) -> tuple[int, bytes]:
        """Wrap a data key again by the current master key; return its version and the result. Documents stay as is.

        Raises:
            VaultError: the data key was not wrapped for the record, or its master key is not known.
        """
        key = self._unwrap(record, master_version, wrapped)
        version, nonce = self._master.current, self._entropy(12)
        master, _ = self._masters.get(version) or self._open_master(version)
        return version, nonce + master.encrypt(nonce, key, self._key_context + record)

    def knows(self, version: int) -> bool:
        """Tell whether there is a master key of this version."""
        try:
            self._masters.get(version) or self._open_master(version)
        except VaultError:
            return False
        return True

    def unwraps(self, record: bytes, master_version: int, wrapped: bytes) -> bool:
        """Tell whether a data key opens under the master key of a version."""
        try:
            self._unwrap(record, master_version, wrapped)
        except VaultError:
            return False
        return True

    def _unwrap(self, record: bytes, version: int, wrapped: bytes) -> bytes:
        master, _ = self._masters.get(version) or self._open_master(version)
        try:
            return master.decrypt(wrapped[:12], wrapped[12:], self._key_context + record)
        except (InvalidTag, ValueError):
            raise VaultError(f"a data key of record {record.hex()} cannot be unwrapped") from None

    def _open_master(self, version: int) -> tuple[Aead, Cipher]:
        key = self._master.key(version)
        made = self._masters[version] = (key.cipher.under(key.secret), key.cipher)
        return made
