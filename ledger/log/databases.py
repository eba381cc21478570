"""What differs between SQLite and PostgreSQL: connecting, locking out a second writer, and inserting many rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerLocked, StoreMissing

Row = Sequence[object]


class Database(Protocol):
    """One kind of database, at one address."""

    @property
    def name(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    def exists(self) -> bool:
        """Tell whether there is anything at the address; never creates it."""
        ...

    def writer(self) -> Engine:
        """Make the engine of the one writing connection; its transactions take the write lock at once."""
        ...

    def readers(self, count: int) -> Engine:
        """Make an engine with up to `count` read-only connections."""
        ...

    def lock(self) -> None:
        """Become the only writer where the database can have one only; raises `LedgerLocked`."""
        ...

    def unlock(self) -> None:
        """Let another become the writer."""
        ...

    def insert_many(self, connection: Connection, table: Table, rows: Sequence[Row], conflict: str = "") -> None:
        """Insert rows (all columns, in order) through the driver; `conflict` is an ON CONFLICT clause."""
        ...

    def is_transient(self, failure: DBAPIError) -> bool:
        """Tell whether the same transaction may succeed if it is simply tried again."""
        ...


def _insert_text(table: Table, mark: str, conflict: str) -> str:
    names = ", ".join(f'"{c.name}"' for c in table.columns)
    marks = ", ".join([mark] * len(table.columns))
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({marks}) {conflict}'  # noqa: S608  only names of our schema


def upsert_clause(table: Table) -> str:
    """Return the ON CONFLICT clause that replaces every other column of a row with the same primary key."""
    keys = ", ".join(f'"{c.name}"' for c in table.primary_key.columns)
    sets = ", ".join(f'"{c.name}" = excluded."{c.name}"' for c in table.columns if not c.primary_key)
    return f"ON CONFLICT ({keys}) DO UPDATE SET {sets}"


class SqliteDatabase:
    """A SQLite file: WAL, every commit on disk before it counts, one writer process by lock file."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def exists(self) -> bool:
        """Tell whether the file is there and not empty."""
        return self._path.is_file() and self._path.stat().st_size > 0

    def writer(self) -> Engine:
        """Make the engine of the writing connection."""
        engine = create_engine(
            URL.create("sqlite", database=str(self._path)),
            pool_size=1,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"check_same_thread": False, "timeout": 10},
        )
        # FULL, not NORMAL: a power cut may otherwise take back commits whose signed checkpoint has already left.
        _on_connect(engine, "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "wal_autocheckpoint=4000")
        _begin_with(engine, "BEGIN IMMEDIATE")
        return engine

    def readers(self, count: int) -> Engine:
        """Make the engine of the reading connections."""
        engine = create_engine(
            "sqlite://",
            creator=lambda: _connect_read_only(self._path),
            pool_size=count,
            max_overflow=0,
            hide_parameters=True,
            poolclass=_queue_pool(),
        )
        _on_connect(engine, "query_only=ON")
        _begin_with(engine, "BEGIN")
        return engine

    def lock(self) -> None:
        """Take the lock file beside the database, or raise `LedgerLocked`."""
        import fcntl

        handle = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise LedgerLocked(f"{self._path} has a writer already") from None
        self._lock = handle

    def unlock(self) -> None:
        """Release the lock file; it stays in place, for removing it would let two writers hold two files."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def insert_many(self, connection: Connection, table: Table, rows: Sequence[Row], conflict: str = "") -> None:
        """Insert with the driver's executemany."""
        if rows:
            connection.exec_driver_sql(_insert_text(table, "?", conflict), [tuple(row) for row in rows])

    def is_transient(self, failure: DBAPIError) -> bool:
        """Never: with one writer a busy file is a fault to be told, not to be waited for again."""
        return False


def _queue_pool() -> Any:
    from sqlalchemy.pool import QueuePool

    return QueuePool


def _connect_read_only(path: Path) -> Any:
    import sqlite3

    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=10)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        # A copy on read-only media cannot have the shared-memory file of WAL; nobody can be writing it either.
        if os.access(path.parent, os.W_OK):
            raise
        connection = sqlite3.connect(address + "&immutable=1", uri=True, check_same_thread=False)
    return connection


def _on_connect(engine: Engine, *pragmas: str) -> None:
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in ("busy_timeout=10000", *pragmas):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)


def _begin_with(engine: Engine, statement: str) -> None:
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    event.listen(engine, "begin", begin)


class PostgresDatabase:
    """A PostgreSQL database: the head row's lock is the sequencer, so any number of processes may write."""

    name = "postgresql"

    def __init__(self, url: URL) -> None:
        self._url = url

    def exists(self) -> bool:
        """Tell nothing before connecting: whether there are tables is asked later."""
        return True

    def writer(self) -> Engine:
        """Make the engine of the writing connection."""
        return self._engine(1)

    def readers(self, count: int) -> Engine:
        """Make the engine of the reading connections."""
        return self._engine(count, postgresql_readonly=True)

    def _engine(self, count: int, **options: bool) -> Engine:
        return create_engine(
            self._url,
            pool_size=count,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            execution_options=options,
        )

    def lock(self) -> None:
        """Do nothing: writers of one database take turns at the head row."""

    def unlock(self) -> None:
        """Do nothing."""

    def insert_many(self, connection: Connection, table: Table, rows: Sequence[Row], conflict: str = "") -> None:
        """Insert with COPY, or with the driver's pipelined executemany where rows may exist."""
        if not rows:
            return
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor:
            if conflict:
                cursor.executemany(_insert_text(table, "%s", conflict), [tuple(row) for row in rows])
                return
            names = ", ".join(f'"{c.name}"' for c in table.columns)
            with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)

    def is_transient(self, failure: DBAPIError) -> bool:
        """Tell serialisation failures (40001) and deadlocks (40P01)."""
        return getattr(failure.orig, "sqlstate", None) in ("40001", "40P01")


def database_at(url: str) -> Database:
    """Choose the database for an SQLAlchemy URL (`sqlite:///path` or `postgresql+psycopg://…`).

    Raises:
        StoreMissing: the URL names no file, or another kind of database.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    parsed = None
    with suppress(ArgumentError):
        parsed = make_url(url)
    if parsed is not None and parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return SqliteDatabase(Path(str(parsed.database)))
    if parsed is not None and parsed.get_backend_name() == "postgresql":
        return PostgresDatabase(parsed.set(drivername="postgresql+psycopg"))
    raise StoreMissing("a ledger lives at sqlite:///path or postgresql+psycopg://…")
