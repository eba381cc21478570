"""Reading a store for a check: one consistent view, through the driver itself.

Rows made by SQLAlchemy cost more than the hashes of what is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerUnavailable
from ledger.log.databases import Database
from ledger.log.store import Store, open_store

_FETCH = 2000


class Snapshot:
    """One read-only transaction. Questions mark their values with `?`."""

    def __init__(self, connection: Connection, database: Database) -> None:
        self.connection = connection
        self.postgres = database.name == "postgresql"
        self._database = database
        self._driver: Any = connection.connection.driver_connection
        self._streams: WeakSet[Generator[tuple[Any, ...]]] = WeakSet()

    def all(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Return every row of an answer."""
        if not self.postgres:
            rows: list[tuple[Any, ...]] = self._driver.execute(question, values).fetchall()
            return rows
        with self._driver.cursor(binary=True) as cursor:
            return list(cursor.execute(question.replace("?", "%s"), values).fetchall())

    def attempt(self, question: str, *values: object) -> list[tuple[Any, ...]] | None:
        """Return every row of an answer; None if a page that it needs is damaged."""
        with self.despite_damage(lambda: None):
            return self.all(question, *values)
        return None

    @contextmanager
    def despite_damage(self, tell: Callable[[], None]) -> Iterator[None]:
        """Run a block that reads; what is damaged ends the block alone, is told, and other questions go on."""
        before = set(self._streams)
        try:
            # A failure ends a transaction of PostgreSQL, but not one around a savepoint.
            with self._driver.transaction() if self.postgres else nullcontext():
                try:
                    yield
                except (DBAPIError, self._database.errors):
                    self._end(set(self._streams) - before)
                    raise
        except (DBAPIError, self._database.errors) as failure:
            if not self._database.is_damage(failure):
                raise
            tell()

    def stream(self, name: str, question: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Go through an answer of any length; `name` tells streams that are open at the same time apart."""
        stream = self._stream(name, question, *values)
        self._streams.add(stream)
        return stream

    def close(self) -> None:
        """End the streams that nobody went through to their end: without their connection they could not be."""
        self._end(set(self._streams))

    def _end(self, streams: Iterable[Generator[tuple[Any, ...]]]) -> None:
        for stream in streams:
            with suppress(self._database.errors):
                stream.close()

    def _stream(self, name: str, question: str, *values: object) -> Generator[tuple[Any, ...]]:
        if not self.postgres:
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
            view = Snapshot(connection, store.database)
            try:
                yield view
            finally:
                view.close()
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
