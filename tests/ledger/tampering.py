"""Changing a ledger's database behind its back, past the triggers, as somebody with the disk could."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, text

from ledger.log.store import open_store


@contextmanager
def tampering(url: str) -> Iterator[Connection]:
    """Lend a connection to which nothing is append-only; afterwards everything is as if nobody had been there."""
    store = open_store(url)
    engine = store.database.writer()
    try:
        with engine.begin() as connection:
            triggers: list[str] = []
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET session_replication_role = replica")
            else:
                found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
                for name, made in found:
                    connection.exec_driver_sql(f"DROP TRIGGER {name}")
                    triggers.append(made)
            yield connection
            for made in triggers:
                connection.exec_driver_sql(made)
    finally:
        engine.dispose()
        store.close()


def run(url: str, statement: str, **values: object) -> None:
    """Run one statement."""
    with tampering(url) as connection:
        connection.execute(text(statement), values)


def alter(url: str, table: Table, column: str, where: dict[str, object], change: Callable[[Any], object]) -> None:
    """Change one column of one row."""
    rules = [table.c[name] == value for name, value in where.items()]
    with tampering(url) as connection:
        (row,) = connection.execute(table.select().where(*rules)).mappings().all()
        value = row[column]
        made = change(bytes(value) if isinstance(value, memoryview) else value)
        assert made != value
        connection.execute(table.update().where(*rules).values({column: made}))


def flip(at: int) -> Callable[[bytes], bytes]:
    """Flip the lowest bit of one byte."""
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
