"""The log read record by record: each record's entries in order, with their documents where they can be opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select, tuple_

from ledger.canonical import Json
from ledger.errors import EntryError, LedgerDamaged, TransitionRefused
from ledger.log import schema
from ledger.records.codec import Entry, decode_entry
from ledger.records.projections import FACTS_GROUP, Facts, RecordRow, fold, forget, read_facts
from ledger.vault import SealedDocument, Vault, VaultGroup, WrappedKey

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """One stored entry beside what the vault holds of it."""

    idx: int
    record: bytes
    kind: str
    leaf_hash: bytes
    leaf: bytes
    sealed: SealedDocument | None
    key: WrappedKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """All entries of one record below some size, in log order."""

    record: bytes
    entries: tuple[StoredEntry, ...]


def read_chains(connection: Connection, size: int) -> Iterator[Chain]:
    """Read every record's chain in the order of record ids, in memory bounded by a page and the longest chain."""
    for record, entries in groupby(_read_entries(connection, size), key=lambda stored: stored.record):
        yield Chain(record=record, entries=tuple(entries))


def _read_entries(connection: Connection, size: int) -> Iterator[StoredEntry]:
    entry, document, key = schema.entry, schema.vault_document, schema.vault_key
    question = (
        select(
            entry,
            document.c.nonce,
            document.c.ciphertext,
            key.c.master_version,
            key.c.wrapped,
            key.c.destroyed_at,
        )
        .select_from(
            entry.outerjoin(document, document.c.idx == entry.c.idx).outerjoin(key, key.c.record == entry.c.record)
        )
        .where(entry.c.idx < size)
        .order_by(entry.c.record, entry.c.idx)
        .limit(_PAGE)
    )
    after: tuple[bytes, int] | None = None
    while True:
        here = question if after is None else question.where(tuple_(entry.c.record, entry.c.idx) > tuple_(*after))
        page = connection.execute(here).mappings().all()
        for row in page:
            yield _stored(row)
        if len(page) < _PAGE:
            return
        after = (bytes(page[-1]["record"]), page[-1]["idx"])


def _stored(row: Any) -> StoredEntry:
    record = bytes(row["record"])
    key = sealed = None
    if row["master_version"] is not None:
        key = WrappedKey(
            record=record,
            master_version=row["master_version"],
            wrapped=None if row["wrapped"] is None else bytes(row["wrapped"]),
            destroyed_at=row["destroyed_at"],
        )
    if row["nonce"] is not None:
        sealed = SealedDocument(nonce=bytes(row["nonce"]), ciphertext=bytes(row["ciphertext"]))
    return StoredEntry(
        idx=row["idx"],
        record=record,
        kind=row["kind"],
        leaf_hash=bytes(row["leaf_hash"]),
        leaf=bytes(row["leaf"]),
        sealed=sealed,
        key=key,
    )


def open_stored(stored: StoredEntry, seq: int, vault: Vault) -> dict[str, VaultGroup] | None:
    """Open the document beside an entry; None if there is none (it had none, or it was erased).

    Raises:
        VaultError: it cannot be opened.
    """
    if stored.sealed is None or stored.key is None:
        return None
    return vault.open(vault.unwrap(stored.key), stored.record, seq, stored.sealed)


def facts_of(groups: dict[str, VaultGroup] | None) -> Facts:
    """Return the facts of an opened document."""
    facts: Json = groups[FACTS_GROUP].value if groups and FACTS_GROUP in groups else None
    return read_facts(facts) if isinstance(facts, dict) else {}


def follow(row: RecordRow | None, stored: StoredEntry, entry: Entry, facts: Facts) -> RecordRow:
    """Apply the next entry of a chain, requiring that it continues the chain.

    Raises:
        LedgerDamaged: it does not follow the entry before it, or the lifecycle forbids it.
    """
    expected = (0, None) if row is None else (row.seq + 1, row.last_leaf_hash)
    if (entry.seq, entry.prev) != expected:
        raise LedgerDamaged(f"entry {stored.idx} does not continue the chain of its record")
    try:
        return fold(row, entry, stored.idx, stored.leaf_hash, facts)
    except TransitionRefused as refusal:
        raise LedgerDamaged(f"entry {stored.idx}: {refusal}") from refusal


def fold_chain(chain: Chain, vault: Vault) -> RecordRow:
    """Compute the current state of a record from its entries and documents.

    Raises:
        LedgerDamaged: the chain is broken; `fsck` tells where.
        VaultError: a document cannot be opened.
    """
    row: RecordRow | None = None
    for stored in chain.entries:
        try:
            entry = decode_entry(stored.leaf)
        except EntryError as failure:
            raise LedgerDamaged(f"entry {stored.idx} cannot be read") from failure
        row = follow(row, stored, entry, facts_of(open_stored(stored, entry.seq, vault)))
    if row is None:
        raise LedgerDamaged(f"record {chain.record.hex()} has no entries")
    return row


def without_facts(row: RecordRow) -> RecordRow:
    """Leave of a row what follows from the entries alone, for comparing without master keys."""
    return forget(row)
