"""Whether PostgreSQL finds by each index what the table holds: every key is looked up that reading the table gives.

That needs no extension and no privilege, and finds what `amcheck` need not: a descent that goes astray.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql

from ledger.errors import LedgerDamaged
from ledger.fsck.findings import Findings
from ledger.fsck.snapshot import Snapshot, snapshot
from ledger.log import schema
from ledger.log.catalogue import found_indexes, found_keys
from ledger.log.store import Store

_PROBES = 1000
"""Keys a question."""
_SCANS = """SET LOCAL jit = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = on;
    SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off"""
LOOKUPS = """SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off;
    SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on"""
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_BLOCK = re.compile(r"\bblock (\d+)")


class Probed(NamedTuple):
    """An index, and the columns by which it is asked."""

    name: str
    table: Table
    columns: tuple[Column[Any], ...]
    given: Column[Any] | None = None
    """Rows without it are not in the index."""


def probe_indexes(store: Store, findings: Findings, advance: Callable[[float], None]) -> None:
    """Note each table that cannot be read, and each index that does not find what its table holds.

    Raises:
        LedgerUnavailable: the database cannot be asked, for another reason than damage.
    """
    with snapshot(store) as view:
        indexes = probed_indexes(view.connection)
    for number, index in enumerate(indexes, 1):
        try:
            with snapshot(store) as view:
                if not _finds_all(view, index):
                    what = f"the index {index.name} of table {index.table.name} does not find what the table holds"
                    findings.add(None, what)
        except LedgerDamaged as damage:
            findings.add(None, f"the table {index.table.name} or its index {index.name} {_unreadable(damage)}")
        advance(number / len(indexes))


def probed_indexes(connection: Connection) -> list[Probed]:
    """Return the primary keys and indexes of ours that are there; that one is missing is told by others."""
    ours: dict[tuple[str, str], Probed] = {}
    for table in schema.tables.sorted_tables:
        for index in table.indexes:
            columns = tuple(table.c[column.name] for column in index.columns)
            rule = index.dialect_options["postgresql"]["where"]
            given = None if rule is None else next(one for one in columns if rule.compare(one.is_not(None)))
            ours[table.name, str(index.name)] = Probed(str(index.name), table, columns, given)
    keys = found_keys(connection)
    found: list[Probed] = []
    for name, index_name, primary in sorted(found_indexes(connection)):
        table = schema.tables.tables[name]
        if primary and keys.get(name) == list(table.primary_key.columns.keys()):
            found.append(Probed(index_name, table, tuple(table.primary_key.columns)))
        elif (name, index_name) in ours:
            found.append(ours[name, index_name])
    return found


def probe_question(index: Probed) -> str:
    """Return the question whether any of some keys is found another number of times than is said.

    Of all indexes only the one in question can answer it without sorting, which is not allowed.
    """
    keys = ", ".join(f"k{at}" for at in range(len(index.columns)))
    arrays = ", ".join([*(f"?::{_type(column)}[]" for column in index.columns), "?::bigint[]"])
    count = _count(index, index.columns)
    for column in index.columns:
        if column.nullable and column is not index.given:  # one at the most, which comes last
            null = _count(index, index.columns[:-1], f" AND t.{column.name} IS NULL")
            count = f"CASE WHEN k{len(index.columns) - 1} IS NULL THEN {null} ELSE {count} END"
    return f"SELECT 1 FROM unnest({arrays}) AS k ({keys}, rows) WHERE k.rows <> {count} LIMIT 1"  # noqa: S608  only our names


def _count(index: Probed, columns: Sequence[Column[Any]], rule: str = "") -> str:
    """Return how the rows are counted that have the key's values in some columns."""
    ours = ", ".join(f"t.{column.name}" for column in columns)
    keys = ", ".join(f"k{index.columns.index(column)}{_collation(column)}" for column in columns)
    order = ", ".join(f"t.{column.name}" for column in index.columns)
    given = "" if index.given is None else f" AND t.{index.given.name} IS NOT NULL"
    rows = (
        f"SELECT FROM {index.table.name} t WHERE ({ours}) >= ({keys}) AND ({ours}) <= ({keys}){given}{rule} "
        f"ORDER BY {order} OFFSET 0"
    )
    return f"(SELECT count(*) FROM ({rows}) AS found)"  # noqa: S608  only our names


def _collation(column: Column[Any]) -> str:
    collation = getattr(column.type.dialect_impl(_DIALECT), "collation", None)
    return f' COLLATE "{collation}"' if collation else ""


def _type(column: Column[Any]) -> str:
    """Return the type of a column without its collation."""
    return column.type.compile(dialect=_DIALECT).split()[0]


def _finds_all(view: Snapshot, index: Probed) -> bool:
    names = ", ".join(column.name for column in index.columns)
    keyed = all(column.primary_key for column in index.columns)
    counted = f"{names}, 1" if keyed else f"{names}, count(*)"
    rules = "" if index.given is None else f" WHERE {index.given.name} IS NOT NULL"
    grouped = "" if keyed else f" GROUP BY {names}"
    view.connection.exec_driver_sql(_SCANS)
    rows = view.stream("fsck_keys", f"SELECT {counted} FROM {index.table.name}{rules}{grouped}")  # noqa: S608  only our names
    some = list(islice(rows, _PROBES))
    view.connection.exec_driver_sql(LOOKUPS)
    question = probe_question(index)
    while some:
        if view.all(question, *map(list, zip(*some, strict=True))):
            return False
        some = list(islice(rows, _PROBES))
    return True


def _unreadable(damage: LedgerDamaged) -> str:
    block = _BLOCK.search(str(damage.__cause__))
    return "cannot be read" + (f": block {block[1]} is damaged" if block else f" ({type(damage.__cause__).__name__})")
