"""Computing the projection again from the log and the vault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from ledger.canonical import microseconds
from ledger.errors import EntryError, LedgerDamaged, LedgerUnavailable, TransitionRefused
from ledger.log import schema
from ledger.log.databases import Database, upsert_clause
from ledger.log.reader import read_leaf_hashes
from ledger.log.store import Store, cause_of, lock_head
from ledger.merkle import hash_leaf
from ledger.records.chains import facts_of
from ledger.records.codec import Entry, decode_entry
from ledger.records.commitments import VaultGroup
from ledger.records.lifecycle import opening
from ledger.records.projections import StoredRow, fold, forget, open_row
from ledger.records.rows import stored_row
from ledger.vault import Erased, SealedDocument, Vault
from ledger.vault.opening import Stored, examine, open_committed

_PAGE = 1000
_RECORDS = upsert_clause(schema.record)


Groups = dict[str, VaultGroup]


class _Read(NamedTuple):
    idx: int
    entry: Entry
    leaf_hash: bytes
    groups: Groups | None
    """The document; None if there never was one, or it is erased."""
    erased: bool


def rebuild_projections(
    store: Store,
    vault: Vault,
    progress: Callable[[int, int], None] | None = None,
    notice: Callable[[Entry, Groups], None] | None = None,
) -> int:
    """Replace the table `record` by a fold of the whole log, in one transaction; returns how many records there are.

    The head row is locked meanwhile, so that nothing is appended that the fold would miss. Memory is bounded by a page.
    `notice` is given each entry that has a document, with its document.

    Raises:
        LedgerDamaged: an entry is missing, or does not continue its record's chain, or its document is missing without
            having been erased, or is another than it commits to; nothing is changed.
        VaultError: a document cannot be opened.
        LedgerUnavailable: the database refused.
    """
    count = 0
    try:
        with store.writing() as connection:
            size = lock_head(store.database, connection).size
            connection.execute(schema.record.delete())
            for first in range(0, size, _PAGE):
                end = min(size, first + _PAGE)
                page = _read_page(connection, vault, first, end)
                count += _fold_page(store.database, connection, page)
                if notice is not None:
                    for read in page:
                        if read.groups is not None:
                            notice(read.entry, read.groups)
                if progress is not None:
                    progress(end, size)
    except (DBAPIError, store.database.errors) as failure:
        raise LedgerUnavailable(f"the projection could not be rebuilt ({cause_of(failure)})") from failure
    return count


def _fold_page(database: Database, connection: Connection, page: list[_Read]) -> int:
    wanted = list({read.entry.record for read in page})
    found = map(stored_row, database.select_many(connection, schema.record, "record", wanted))
    rows = {row.record: row for row in found}
    newest = {row.last_idx: row.record for row in rows.values()}
    leaves = database.select_many(connection, schema.entry, "idx", list(newest)) if newest else []
    hashes = {newest[idx]: hash_leaf(bytes(leaf)) for idx, _, leaf in leaves}
    before = len(rows)
    for read in page:
        row = rows.get(read.entry.record)
        expected = (0, None) if row is None else (row.seq + 1, hashes[row.record])
        if (read.entry.seq, read.entry.prev) != expected:
            raise LedgerDamaged(f"entry {read.idx} does not continue the chain of its record")
        row = _follow(row, read)
        rows[row.record], hashes[row.record] = forget(row) if read.erased else row, read.leaf_hash
    with database.writing(connection) as writes:
        writes.insert(schema.record, list(rows.values()), _RECORDS)
    return len(rows) - before


def _follow(row: StoredRow | None, read: _Read) -> StoredRow:
    at, facts = microseconds(read.entry.at), facts_of(read.groups)
    try:
        if row is None:
            return open_row(read.entry.record, opening(read.entry.record, read.entry.kind), read.idx, at, facts)
        return fold(row, read.entry.kind, read.idx, at, facts)
    except TransitionRefused as refusal:
        raise LedgerDamaged(f"entry {read.idx}: {refusal}") from refusal


def _read_page(connection: Connection, vault: Vault, first: int, end: int) -> list[_Read]:
    entry, key, document = schema.entry, schema.vault_key, schema.vault_document
    question = (
        select(entry.c.idx, entry.c.leaf, key.c.master_version, key.c.wrapped, key.c.destroyed_at, document.c.sealed)
        .select_from(entry.outerjoin(key, key.c.idx == entry.c.idx).outerjoin(document, document.c.idx == entry.c.idx))
        .where(entry.c.idx >= first, entry.c.idx < end)
        .order_by(entry.c.idx)
    )
    page = [_read(vault, row) for row in connection.execute(question)]
    if [read.idx for read in page] != list(range(first, end)):
        raise LedgerDamaged(f"an entry from {first} to {end - 1} is missing")
    if b"".join([read.leaf_hash for read in page]) != read_leaf_hashes(connection, first, end):
        raise LedgerDamaged(f"an entry from {first} to {end - 1} is not what the tree was built from")
    return page


def _read(vault: Vault, row: Any) -> _Read:
    try:
        entry = decode_entry(bytes(row.leaf))
    except EntryError as failure:
        raise LedgerDamaged(f"entry {row.idx} cannot be read") from failure
    stored = Stored(row.master_version, _bytes(row.wrapped), row.destroyed_at, _bytes(row.sealed))
    try:
        found = examine(stored, entry.commits)
        groups = None
        if isinstance(found, SealedDocument):
            groups = open_committed(vault, entry.record, found, dict(entry.commits))
    except LedgerDamaged as damage:
        raise LedgerDamaged(f"entry {row.idx}: {damage}") from damage
    return _Read(row.idx, entry, hash_leaf(bytes(row.leaf)), groups, isinstance(found, Erased))


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
