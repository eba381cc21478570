"""What makes a store append-only, free of contradictions, durable and quick, compared with what the schema makes.

These are the tables and their columns, primary keys, triggers and indexes, and that nothing stands before the tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, Engine, Table, inspect
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.schema import CreateIndex, CreateTable

from ledger.errors import LedgerDamaged
from ledger.log import schema
from ledger.log.catalogue import (
    found_columns,
    found_keeping,
    found_keys,
    found_options,
    key_names,
    options_of,
    type_of,
)

_NAMED = re.compile(r"CREATE TRIGGER (\w+) ")
_BODY = re.compile(r"\$\$(.*)\$\$", re.DOTALL)
_SQLITE = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
_POSTGRES = (
    "SELECT t.tgname, c.relname, t.tgenabled, t.tgqual IS NULL, p.prosrc "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid)"
)


def require_guards(connection: Connection) -> None:
    """Require every trigger that makes the tables append-only, every primary key, and that rows are kept as written.

    Raises:
        LedgerDamaged: one is missing or another, or something stands there that is none of ours.
    """
    wrong = [*wrong_triggers(connection), *wrong_keys(connection), *wrong_keeping(connection)]
    if wrong:
        raise LedgerDamaged(
            f"{'; '.join(wrong)}: put back what is missing (fsck --rebuild-projections), remove what is none of ours"
        )


def wrong_keys(connection: Connection) -> Iterator[str]:
    """Tell which tables have lost their primary keys: without one, two rows may contradict each other."""
    found = found_keys(connection)
    for table in _tables():
        if found.get(table.name, []) != list(table.primary_key.columns.keys()):
            yield f"the primary key of table {table.name} is missing, or another"


def wrong_keeping(connection: Connection) -> Iterator[str]:
    """Tell which tables do not keep, or do not show, every row that is written to them."""
    if connection.dialect.name == "sqlite":
        for name, options in found_options(connection).items():
            if options != options_of(schema.tables.tables[name]):
                yield f"the table {name} is kept otherwise than it should (STRICT, WITHOUT ROWID)"
        return
    for kept in found_keeping(connection):
        if not kept.logged:
            yield f"the table {kept.table} is UNLOGGED: a crash empties it"
        if kept.secured:
            yield f"the table {kept.table} has row security, which is none of ours"
        for rule in kept.rules:
            yield f"the rule {rule} of table {kept.table} is none of ours"


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
    for table in _tables():
        found = {one["name"]: one["column_names"] for one in inspector.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            if found.get(str(index.name)) != [column.name for column in index.columns]:
                yield f"the index {index.name} of table {table.name} is missing, or another"


def wrong_tables(connection: Connection) -> Iterator[str]:
    """Tell which tables are missing, or have other columns than they should."""
    names = set(inspect(connection).get_table_names())
    found = found_columns(connection)
    for table in _tables():
        if table.name not in names:
            yield f"the table {table.name} is missing"
        elif found.get(table.name, {}).keys() != set(table.columns.keys()):
            yield f"the table {table.name} has other columns than it should"
        else:
            yield from _wrong_columns(connection, table, found[table.name])


def _wrong_columns(connection: Connection, table: Table, found: Mapping[str, tuple[str, bool]]) -> Iterator[str]:
    for column in table.columns:
        kind, required = found[column.name]
        if kind != type_of(connection, column):
            yield f"the column {column.name} of table {table.name} is of another type than it should"
        if required == column.nullable:
            yield f"the column {column.name} of table {table.name} {'must not' if required else 'may'} be null"


def restore_guards(engine: Engine) -> None:
    """Put back every primary key, trigger and index of ours that is missing or another, and have every table logged.

    Each index is computed again from its table. What is none of ours stays.

    Raises:
        LedgerDamaged: the rows of a table do not allow its key.
    """
    with engine.begin() as connection:
        for table in _tables():
            try:
                _restore_table(connection, table)
            except (IntegrityError, DataError) as failure:
                raise LedgerDamaged(
                    f"the rows of table {table.name} contradict each other: it cannot have its key again"
                ) from failure
        _restore_triggers(connection)
        inspector = inspect(connection)
        for table in _tables():
            there = {one["name"] for one in inspector.get_indexes(table.name)}
            for index in table.indexes:
                if index.name not in there:
                    connection.execute(CreateIndex(index))
        _restore_indexes(connection)


def _restore_table(connection: Connection, table: Table) -> None:
    found, key = found_columns(connection).get(table.name, {}), list(table.primary_key.columns.keys())
    if found.keys() != set(table.columns.keys()):
        return  # what is not there, or another, is not ours to make up
    keyed = found_keys(connection).get(table.name, []) == key
    nullable = [column.name for column in table.columns if not column.nullable and not found[column.name][1]]
    if connection.dialect.name == "sqlite":
        if nullable or not keyed or found_options(connection)[table.name] != options_of(table):
            _copy_table(connection, table)
        return
    alter, run = f'ALTER TABLE "{table.name}"', connection.exec_driver_sql
    for column in nullable:
        run(f'{alter} ALTER COLUMN "{column}" SET NOT NULL')
    if not keyed:
        for name in key_names(connection, table):
            run(f'{alter} DROP CONSTRAINT "{name}"')
        run(f"{alter} ADD PRIMARY KEY ({', '.join(key)})")
    if any(kept.table == table.name and not kept.logged for kept in found_keeping(connection)):
        run(f"{alter} SET LOGGED")


def _restore_indexes(connection: Connection) -> None:
    run = connection.exec_driver_sql
    names = set(inspect(connection).get_table_names())
    again = "REINDEX" if connection.dialect.name == "sqlite" else "REINDEX TABLE"
    if connection.dialect.name == "postgresql" and "head" in names:
        run("LOCK TABLE head IN EXCLUSIVE MODE")  # who appends waits there, and not in the middle
    for table in _tables():
        if table.name in names:
            try:
                run(f'{again} "{table.name}"')
            except IntegrityError as failure:
                raise LedgerDamaged(
                    f"the rows of table {table.name} contradict each other: it cannot have its indexes again"
                ) from failure


def _copy_table(connection: Connection, table: Table) -> None:
    """Make an SQLite table anew with the rows it has; its triggers and indexes go with the old one."""
    run, names = connection.exec_driver_sql, ", ".join(f'"{name}"' for name in list(table.columns.keys()))
    run(f'ALTER TABLE "{table.name}" RENAME TO "{table.name}_before"')
    connection.execute(CreateTable(table))
    run(f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM "{table.name}_before"')  # noqa: S608  only our names
    run(f'DROP TABLE "{table.name}_before"')


def _restore_triggers(connection: Connection) -> None:
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


def _tables() -> list[Table]:
    return schema.tables.sorted_tables


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
