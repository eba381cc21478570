"""Reading a store for a check: one consistent view, through the driver itself.

Rows made by SQLAlchemy cost more than the hashes of what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from ledger.errors import LedgerUnavailable
from ledger.log.store import Store, open_store

_FETCH = 2000


class Snapshot:
    """One read-only transaction. Questions mark their values with `?`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._driver: Any = connection.connection.driver_connection
        self._postgres = connection.dialect.name == "postgresql"

    def all(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Return every row of an answer."""
        if not self._postgres:
            rows: list[tuple[Any, ...]] = self._driver.execute(question, values).fetchall()
            return rows
        with self._driver.cursor(binary=True) as cursor:
            return list(cursor.execute(question.replace("?", "%s"), values).fetchall())

    def stream(self, name: str, question: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Go through an answer of any length; `name` tells streams that are open at the same time apart."""
        if not self._postgres:
            yield from self._driver.execute(question, values)
            return
        with self._driver.cursor(name=name, binary=True) as cursor:
            cursor.itersize = _FETCH
            yield from cursor.execute(question.replace("?", "%s"), values)


@contextmanager
def snapshot(store: Store) -> Iterator[Snapshot]:
    """Lend a view of a store.

    Raises:
        LedgerUnavailable: the database cannot be read.
    """
    try:
        with store.reading() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield Snapshot(connection)
    except store.database.errors as failure:
        raise LedgerUnavailable(f"the store cannot be read ({type(failure).__name__})") from failure


@contextmanager
def snapshot_at(url: str) -> Iterator[Snapshot]:
    """Lend a view of the store at an address, opened for this alone; raises as `open_store`."""
    store = open_store(url, readers=1, unhurried=True)
    try:
        with snapshot(store) as view:
            yield view
    finally:
        store.close()
