"""Documents in the database: reading one, and destroying all of some records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, ScalarSelect, func, select, union_all

from ledger.canonical import parse_time
from ledger.errors import EntryMissing, VaultError
from ledger.log import schema
from ledger.log.databases import select_by_key
from ledger.records.commitments import VaultGroup
from ledger.vault.sealing import SealedDocument, Vault

_MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What is left of a document: that it was destroyed, and when."""

    at: datetime


def read_document(connection: Connection, vault: Vault, idx: int, record: bytes) -> dict[str, VaultGroup] | Erased:
    """Read and decrypt the document of one entry.

    Raises:
        EntryMissing: the entry never had a document.
        VaultError: it cannot be decrypted, or is gone without having been erased.
    """
    found = read_documents(connection, vault, {idx: record})
    if idx not in found:
        raise EntryMissing(f"entry {idx} has no document")
    return found[idx]


def read_documents(
    connection: Connection, vault: Vault, wanted: Mapping[int, bytes]
) -> dict[int, dict[str, VaultGroup] | Erased]:
    """Read and decrypt the documents of some entries, given with their records; an entry without one is left out.

    Raises:
        VaultError: one cannot be decrypted, or is gone without having been erased.
    """
    indices = list(wanted)
    sealed = dict(select_by_key(connection, schema.vault_document, "idx", indices))
    return {
        row[0]: _open(vault, row, sealed.get(row[0]), wanted[row[0]])
        for row in select_by_key(connection, schema.vault_key, "idx", indices)
    }


def _open(vault: Vault, row: Any, sealed: bytes | None, record: bytes) -> dict[str, VaultGroup] | Erased:
    idx, master_version, wrapped, destroyed_at = row
    if destroyed_at is not None:
        return Erased(at=parse_time(destroyed_at))
    if wrapped is None or sealed is None:
        raise VaultError(f"the document of entry {idx} is incomplete, and was never erased")
    return vault.open(record, SealedDocument(master_version, bytes(wrapped), bytes(sealed)))


def erase_documents(connection: Connection, records: Iterable[bytes], at: str) -> int:
    """Destroy the data keys and documents of every entry of some records, and count the documents.

    Runs inside the transaction that appends why, after the rows of its records are written. A document that was
    destroyed before keeps the time of that.
    """
    chosen, destroyed = list(records), 0
    keys, documents = schema.vault_key, schema.vault_document
    for first in range(0, len(chosen), _MOST_AT_ONCE):
        concerned = _entries_of(chosen[first : first + _MOST_AT_ONCE])
        live = keys.c.idx.in_(concerned) & keys.c.wrapped.is_not(None)
        destroyed += connection.execute(keys.update().where(live).values(wrapped=None, destroyed_at=at)).rowcount
        connection.execute(documents.delete().where(documents.c.idx.in_(concerned)))
    return destroyed


def count_documents(connection: Connection, record: bytes) -> int:
    """Count the documents of a record that are not destroyed."""
    key = schema.vault_key
    live = key.c.idx.in_(_entries_of([record])) & key.c.wrapped.is_not(None)
    return int(connection.execute(select(func.count()).select_from(key).where(live)).scalar_one())


def _entries_of(records: Sequence[bytes]) -> ScalarSelect[int]:
    """Ask for the indices of all entries of some records: `entry.record` is set for those after the first only."""
    entry, record = schema.entry, schema.record
    return union_all(
        select(record.c.first_idx).where(record.c.record.in_(records)),
        select(entry.c.idx).where(entry.c.record.in_(records)),
    ).scalar_subquery()
