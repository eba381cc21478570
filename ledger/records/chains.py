"""The log read record by record: each record's entries in order, with their documents where they can be opened."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, select, union_all

from ledger.canonical import Json
from ledger.log import schema
from ledger.log.databases import run_prepared
from ledger.records.projections import FACTS_GROUP, Facts, read_facts
from ledger.vault import VaultGroup

_CHAIN = union_all(
    select(schema.entry.c.idx, schema.entry.c.leaf)
    .join(schema.record, schema.record.c.first_idx == schema.entry.c.idx)
    .where(schema.record.c.record == bindparam("record")),
    select(schema.entry.c.idx, schema.entry.c.leaf).where(schema.entry.c.record == bindparam("record")),
)


def read_chain(connection: Connection, record: bytes) -> list[tuple[int, bytes]]:
    """Read every entry of a record, oldest first: its index and its bytes."""
    found = run_prepared(connection, _CHAIN, {"record": record}).fetchall()
    return sorted((idx, bytes(leaf)) for idx, leaf in found)


def facts_of(groups: Mapping[str, VaultGroup] | None) -> Facts:
    """Return the facts of an opened document."""
    facts: Json = groups[FACTS_GROUP].value if groups and FACTS_GROUP in groups else None
    return read_facts(facts) if isinstance(facts, dict) else {}
