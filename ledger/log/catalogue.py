"""What a database's own catalogue tells of the tables that have the names of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Table

from ledger.log import schema

_OURS = "c.relname = ANY(%(names)s) AND c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid)"
_COLUMNS = f"""
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, l.collname
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_collation l ON l.oid = a.attcollation
    WHERE a.attnum > 0 AND NOT a.attisdropped AND {_OURS}"""  # noqa: S608  only what is written here
_KEYS = f"""
    SELECT c.relname, array_agg(a.attname::text ORDER BY k.place)
    FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
    WHERE i.indisprimary AND i.indisvalid AND i.indimmediate AND {_OURS} GROUP BY c.relname"""  # noqa: S608
_KEPT = f"""
    SELECT c.relname, c.relpersistence = 'p', c.relrowsecurity OR c.relforcerowsecurity,
    array(SELECT r.rulename::text FROM pg_rewrite r WHERE r.ev_class = c.oid ORDER BY 1)
    FROM pg_class c WHERE {_OURS} ORDER BY c.relname"""  # noqa: S608
_KEY_NAMES = f"""
    SELECT o.conname FROM pg_class c JOIN pg_constraint o ON o.conrelid = c.oid
    WHERE o.contype = 'p' AND {_OURS}"""  # noqa: S608


_INDEXES = f"""
    SELECT c.relname, x.relname, i.indisprimary
    FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indisvalid AND {_OURS}"""  # noqa: S608


class Kept(NamedTuple):
    """How PostgreSQL keeps a table."""

    table: str
    logged: bool
    secured: bool
    """Whether row security hides rows of it."""
    rules: list[str]


def found_columns(connection: Connection) -> Mapping[str, Mapping[str, tuple[str, bool]]]:
    """Return by table and column its type, and whether a value is required."""
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    if connection.dialect.name == "sqlite":
        for table in schema.tables.tables:
            rows = connection.exec_driver_sql(f'PRAGMA table_info("{table}")')
            found[table] = {row.name: (row.type.lower(), bool(row.notnull)) for row in rows}
        return found
    for table, column, kind, required, collation in connection.exec_driver_sql(_COLUMNS, _names()):
        collated = "" if collation in (None, "default") else f' collate "{collation.lower()}"'
        found.setdefault(table, {})[column] = (kind + collated, required)
    return found


def type_of(connection: Connection, column: Column[Any]) -> str:
    """Return the type that `found_columns` tells of a column that is as it should be."""
    return column.type.compile(dialect=connection.dialect).lower()


def found_keys(connection: Connection) -> Mapping[str, list[str]]:
    """Return by table the columns of its primary key, in order."""
    if connection.dialect.name == "postgresql":
        return {table: list(columns) for table, columns in connection.exec_driver_sql(_KEYS, _names())}
    found: dict[str, list[str]] = {}
    for table in schema.tables.tables:
        rows = connection.exec_driver_sql(f'PRAGMA table_info("{table}")').all()
        found[table] = [row.name for row in sorted(rows, key=lambda row: row.pk) if row.pk]
    return found


def key_names(connection: Connection, table: Table) -> list[str]:
    """Return the names of a PostgreSQL table's primary key, whatever it is of: one at the most."""
    return list(connection.exec_driver_sql(_KEY_NAMES, {"names": [table.name]}).scalars())


def found_keeping(connection: Connection) -> list[Kept]:
    """Return how each PostgreSQL table is kept."""
    return [Kept(*row) for row in connection.exec_driver_sql(_KEPT, _names())]


def found_indexes(connection: Connection) -> set[tuple[str, str, bool]]:
    """Return by table the names of the PostgreSQL indexes that are used, and whether each is of its primary key."""
    return {(table, name, primary) for table, name, primary in connection.exec_driver_sql(_INDEXES, _names())}


def found_options(connection: Connection) -> Mapping[str, tuple[bool, bool]]:
    """Return for each SQLite table whether it has row numbers, and whether it is STRICT."""
    rows = connection.exec_driver_sql("PRAGMA main.table_list").all()
    return {row.name: (not row.wr, bool(row.strict)) for row in rows if row.name in schema.tables.tables}


def options_of(table: Table) -> tuple[bool, bool]:
    """Return what `found_options` tells of a table that is as it should be."""
    options = table.dialect_options["sqlite"]
    return bool(options["with_rowid"]), bool(options["strict"])


def _names() -> dict[str, list[str]]:
    return {"names": list(schema.tables.tables)}
