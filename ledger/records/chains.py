"""The log read record by record: each record's entries in order, with their documents where they can be opened."""

from __future__ import annotations

from sqlalchemy import Connection, select, union_all

from ledger.canonical import Json
from ledger.log import schema
from ledger.records.projections import FACTS_GROUP, Facts, read_facts
from ledger.vault import VaultGroup


def read_chain(connection: Connection, record: bytes) -> list[tuple[int, bytes]]:
    """Read every entry of a record, oldest first: its index and its bytes."""
    entry, row = schema.entry, schema.record
    first = select(entry.c.idx, entry.c.leaf).join(row, row.c.first_idx == entry.c.idx).where(row.c.record == record)
    later = select(entry.c.idx, entry.c.leaf).where(entry.c.record == record)
    found = connection.execute(union_all(first, later)).all()
    return sorted((idx, bytes(leaf)) for idx, leaf in found)


def facts_of(groups: dict[str, VaultGroup] | None) -> Facts:
    """Return the facts of an opened document."""
    facts: Json = groups[FACTS_GROUP].value if groups and FACTS_GROUP in groups else None
    return read_facts(facts) if isinstance(facts, dict) else {}
