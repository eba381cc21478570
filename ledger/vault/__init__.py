"""The vault: the legible content behind entries, encrypted, and erasable without touching the log.

Each document is encrypted under a data key of its own, and the data key wrapped by a versioned master key. Backups of
the table of data keys must be kept for a short time only, or erasure is fiction.
"""

from __future__ import annotations

from ledger.records.commitments import VaultGroup
from ledger.vault.ciphers import Cipher
from ledger.vault.documents import erase_documents, read_document, read_documents
from ledger.vault.master_keys import FileMasterKeys, MasterKey, MasterKeys, write_master_key
from ledger.vault.opening import Erased
from ledger.vault.sealing import SealedDocument, Vault

__all__ = [
    "Cipher",
    "Erased",
    "FileMasterKeys",
    "MasterKey",
    "MasterKeys",
    "SealedDocument",
    "Vault",
    "VaultGroup",
    "erase_documents",
    "read_document",
    "read_documents",
    "write_master_key",
]
