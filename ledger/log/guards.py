"""What makes a store append-only and quick: its triggers and indexes, compared with what the schema makes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.schema import CreateIndex

from ledger.errors import LedgerDamaged
from ledger.log import schema

_NAMED = re.compile(r"CREATE TRIGGER (\w+) ")
_BODY = re.compile(r"\$\$(.*)\$\$", re.DOTALL)
_SQLITE = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
_POSTGRES = (
    "SELECT t.tgname, c.relname, t.tgenabled, t.tgqual IS NULL, p.prosrc "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid)"
)


def require_guards(connection: Connection) -> None:
    """Require every trigger that makes the tables append-only.

    Raises:
        LedgerDamaged: one is missing or another, or there is one more.
    """
    wrong = list(wrong_triggers(connection))
    if wrong:
        raise LedgerDamaged(f"{'; '.join(wrong)}: put them back (fsck --rebuild-projections)")


def wrong_triggers(connection: Connection) -> Iterator[str]:
    """Tell which triggers are not what they should be."""
    expected, found = _expected(connection.dialect.name), _found(connection)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"the trigger {name} is missing"
        elif name not in expected:
            yield f"the trigger {name} is none of ours"
        elif found[name] != expected[name]:
            yield f"the trigger {name} is another, or does not fire"


def wrong_indexes(connection: Connection) -> Iterator[str]:
    """Tell which indexes are not what they should be; without them everything is found, but slowly."""
    inspector = inspect(connection)
    for table in schema.tables.sorted_tables:
        found = {one["name"]: one["column_names"] for one in inspector.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            if found.get(str(index.name)) != [column.name for column in index.columns]:
                yield f"the index {index.name} of table {table.name} is missing, or another"


def wrong_tables(connection: Connection) -> Iterator[str]:
    """Tell which tables are missing, or have other columns than they should."""
    inspector = inspect(connection)
    names = set(inspector.get_table_names())
    for table in schema.tables.sorted_tables:
        if table.name not in names:
            yield f"the table {table.name} is missing"
        elif {one["name"] for one in inspector.get_columns(table.name)} != set(table.columns.keys()):
            yield f"the table {table.name} has other columns than it should"


def restore_guards(engine: Engine) -> None:
    """Put back every trigger and index of ours that is missing or another; one that is none of ours stays."""
    with engine.begin() as connection:
        dialect, found = connection.dialect.name, _found(connection)
        expected = _expected(dialect)
        for statement in schema.triggers(dialect):
            named = _NAMED.match(statement)
            if named is None:  # the function that PostgreSQL's triggers call
                connection.exec_driver_sql(statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
            elif found.get(named[1]) != expected[named[1]]:
                of = f" ON {_table(statement)}" if dialect == "postgresql" else ""
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {named[1]}{of}")
                connection.exec_driver_sql(statement)
        inspector = inspect(connection)
        for table in schema.tables.sorted_tables:
            there = {one["name"] for one in inspector.get_indexes(table.name)}
            for index in table.indexes:
                if index.name not in there:
                    connection.execute(CreateIndex(index))


def _expected(dialect: str) -> Mapping[str, object]:
    statements = schema.triggers(dialect)
    named = {name[1]: statement for statement in statements if (name := _NAMED.match(statement)) is not None}
    if dialect == "sqlite":
        return named
    body = next(found[1] for statement in statements if (found := _BODY.search(statement)) is not None)
    return {name: (_table(statement), True, " WHEN " not in statement, body) for name, statement in named.items()}


def _found(connection: Connection) -> Mapping[str, object]:
    if connection.dialect.name == "sqlite":
        return {row[0]: row[1] for row in connection.exec_driver_sql(_SQLITE)}
    rows = connection.exec_driver_sql(_POSTGRES).all()
    return {row[0]: (row[1], row[2] in ("O", "A"), row[3], row[4]) for row in rows if row[1] in schema.tables.tables}


def _table(statement: str) -> str:
    found = re.search(r" ON (\w+) ", statement)
    assert found is not None
    return found[1]
