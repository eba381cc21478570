"""Documents in the database: reading one, and destroying all of some records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, ScalarSelect, func, select, union_all

from ledger.errors import EntryError, EntryMissing, LedgerDamaged, VaultError
from ledger.log import schema
from ledger.log.databases import select_by_key
from ledger.records.codec import entry_commits
from ledger.records.commitments import VaultGroup
from ledger.vault.opening import Erased, Stored, examine, open_committed
from ledger.vault.sealing import SealedDocument, Vault

_MOST_AT_ONCE = 500


def read_document(connection: Connection, vault: Vault, idx: int, record: bytes) -> dict[str, VaultGroup] | Erased:
    """Read and decrypt the document of one entry, which must be what the entry commits to.

    Raises:
        EntryMissing: there is no such entry, or it never had a document.
        LedgerDamaged: it is another document, or is gone without having been erased.
        VaultError: it cannot be decrypted, or the entry is of another record.
    """
    found = read_documents(connection, vault, {idx: record})
    if idx not in found:
        raise EntryMissing(f"entry {idx} has no document")
    return found[idx]


def read_documents(
    connection: Connection, vault: Vault, wanted: Mapping[int, bytes]
) -> dict[int, dict[str, VaultGroup] | Erased]:
    """Read and decrypt the documents of some entries, given with their records; an entry without one is left out.

    Each is compared with what its entry commits to.

    Raises:
        LedgerDamaged: one is not what its entry commits to, or is gone without having been erased.
        VaultError: one cannot be decrypted, or its entry is of another record.
    """
    indices = list(wanted)
    keys = {row[0]: row[1:] for row in select_by_key(connection, schema.vault_key, "idx", indices)}
    sealed = dict(select_by_key(connection, schema.vault_document, "idx", indices))
    read: dict[int, dict[str, VaultGroup] | Erased] = {}
    for idx, _, leaf in select_by_key(connection, schema.entry, "idx", indices):
        version, wrapped, destroyed_at = keys.get(idx, _NO_KEY)
        document = _open(vault, bytes(leaf), wanted[idx], Stored(version, wrapped, destroyed_at, sealed.get(idx)), idx)
        if document is not None:
            read[idx] = document
    return read


def _open(vault: Vault, leaf: bytes, record: bytes, stored: Stored, idx: int) -> dict[str, VaultGroup] | Erased | None:
    try:
        of, commits = entry_commits(leaf)
        found = examine(stored, commits)
        if of != record:
            raise VaultError(f"entry {idx} is not of record {record.hex()}")
        return open_committed(vault, record, found, commits) if isinstance(found, SealedDocument) else found
    except (EntryError, LedgerDamaged) as damage:
        raise LedgerDamaged(f"entry {idx}: {damage}") from damage


_NO_KEY = (None, None, None)


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
