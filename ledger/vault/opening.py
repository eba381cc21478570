"""Opening what the vault holds beside an entry, and holding it to what the entry commits to.

The seal binds a document to its log and record; only the commitments bind it to its entry. So nothing is handed out, or
computed from, that was not compared with them: rows of one record that changed places would open all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ledger.canonical import parse_time
from ledger.errors import LedgerDamaged
from ledger.records.commitments import VaultGroup, commit_group
from ledger.vault.sealing import SealedDocument, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What is left of a document: that it was destroyed, and when."""

    at: datetime


class Stored(NamedTuple):
    """The two rows beside an entry; None where there is no row, or nothing in it."""

    master_version: int | None = None
    wrapped: bytes | None = None
    destroyed_at: str | None = None
    sealed: bytes | bool | None = None
    """The sealed document; where it is not to be opened, only whether there is one."""


def examine(stored: Stored, commits: Mapping[str, str]) -> Erased | SealedDocument | None:
    """Tell what the vault holds of an entry with some commitments: a document, that it was erased, or rightly nothing.

    Raises:
        LedgerDamaged: it is missing without having been erased, is there though it was, or should not be there.
    """
    if not commits:
        if stored != _NOTHING:
            raise LedgerDamaged("the vault holds a document that the entry does not commit to")
        return None
    version, wrapped, destroyed_at, sealed = stored
    if destroyed_at is not None:
        if wrapped is not None or sealed is not None:
            raise LedgerDamaged("the entry's document was erased, but not all of it is gone")
        try:
            return Erased(at=parse_time(destroyed_at))
        except ValueError:
            raise LedgerDamaged("the entry's document is said to be erased at what is no time") from None
    if version is None or wrapped is None or sealed is None:
        raise LedgerDamaged("the entry's document is missing, and was never erased")
    return SealedDocument(version, wrapped, sealed if isinstance(sealed, bytes) else b"")


_NOTHING = Stored()


def open_committed(
    vault: Vault, record: bytes, sealed: SealedDocument, commits: Mapping[str, str], *, strictly: bool = False
) -> dict[str, VaultGroup]:
    """Open a document of a record and require that it is what its entry commits to; `strictly` as of `Vault.open`.

    Raises:
        LedgerDamaged: it is another document.
        VaultError: it cannot be opened.
    """
    groups = vault.open(record, sealed, strictly=strictly)
    if {name: commit_group(name, group) for name, group in groups.items()} != commits:
        raise LedgerDamaged("the document is not what the entry commits to")
    return groups
