"""What differs between SQLite and PostgreSQL: connecting, locking out a second writer, and inserting many rows."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    Connection,
    Dialect,
    Engine,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    literal_column,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerLocked, StoreMissing, StoreUnfit
from ledger.log.fitness import require_written

Row = Sequence[object]
Value = TypeVar("Value")
_MAPPED = 1 << 40
"""Bytes of an SQLite file that readers map into memory, as far as SQLite allows: a page is then no system call."""
_PREPARED = "ledger prepared"
_WIDTHS = (256, 64, 16, 4, 1)
"""Rows or values a statement; 256 rows of the widest table stay below SQLite's 32,766 variables."""


class Done(Protocol):
    """What became of a statement; known when the block it was run in has ended."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:
        """Return the first row of its answer, or None."""
        ...


class Writes(Protocol):
    """Writes in the transaction of one connection."""

    def insert(self, table: Table, rows: Sequence[Row], conflict: str = "") -> None:
        """Insert rows; `conflict` is an ON CONFLICT clause.

        The rows hold all columns in order, or all the same number of leading columns, the others being null.
        """
        ...

    def run(self, statement: ClauseElement, values: Mapping[str, object]) -> Done:
        """Run a statement; it must be one object for the life of the process, for it is compiled once."""
        ...


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

    def require_writable(self) -> None:
        """Require that this process may write, without writing anything, and beside whoever writes.

        Raises:
            StoreUnfit: it may not; the message says why.
        """
        ...

    def lock(self) -> None:
        """Become the only writer where the database can have one only; raises `LedgerLocked`."""
        ...

    def unlock(self) -> None:
        """Let another become the writer."""
        ...

    @property
    def errors(self) -> type[Exception]:
        """What the driver raises when it is used without SQLAlchemy between."""
        ...

    def select_many(self, connection: Connection, table: Table, key: str, values: Sequence[object]) -> list[Any]:
        """Select the rows (all columns, in order) whose column `key` has one of the values, through the driver."""
        ...

    def begin(self, connection: Connection) -> None:
        """Begin a writing transaction through the driver; in SQLite it takes the write lock at once."""
        ...

    def commit(self, connection: Connection) -> None:
        """Commit a writing transaction through the driver; raises what the driver does if that it stays is not sure."""
        ...

    def is_alive(self, connection: Connection) -> bool:
        """Tell whether a connection that did nothing for a while is still good, as far as is known here."""
        ...

    def interrupt(self) -> None:
        """Let whoever waits for the database get an error now; from any thread."""
        ...

    def roll_back(self, connection: Connection) -> None:
        """Undo a writing transaction through the driver."""
        ...

    def run(self, connection: Connection, statement: ClauseElement, values: Mapping[str, object]) -> Any:
        """Run a question that is asked again and again through the driver; returns its cursor.

        The statement is compiled once and must be one object for the life of the process.
        """
        ...

    def make_quick(self, connection: Connection) -> None:
        """Prepare a reading connection for `run` outside transactions."""
        ...

    def begin_reading(self, connection: Connection) -> None:
        """Begin a transaction that sees one state of the database."""
        ...

    def end_reading(self, connection: Connection) -> bool:
        """End it; tells whether the connection is good for another, or else was given back."""
        ...

    def writing(self, connection: Connection) -> AbstractContextManager[Writes]:
        """Lend what writes through the driver, without waiting for each statement where there is a way to wait for.

        What went wrong is raised at the end of the block at the latest.
        """
        ...

    def is_transient(self, failure: BaseException) -> bool:
        """Tell whether the same transaction may succeed if it is simply tried again."""
        ...

    def is_missing(self, failure: BaseException) -> bool:
        """Tell whether the server was reached, and has no such database."""
        ...

    def is_damage(self, failure: BaseException) -> bool:
        """Tell whether what is stored is at fault, so that trying again does not help."""
        ...

    def blames_values(self, failure: BaseException) -> bool:
        """Tell whether a value that was to be written is at fault, so that other values can be written all the same."""
        ...

    def take_turn(self, connection: Connection, what: str) -> bool:
        """Take the turn at something that one process at a time does, if nobody has it; the connection holds it."""
        ...

    def end_turn(self, connection: Connection, what: str) -> None:
        """Give the turn up."""
        ...


def upsert_clause(table: Table) -> str:
    """Return the ON CONFLICT clause that replaces every other column of a row with the same primary key."""
    keys = ", ".join(f'"{c.name}"' for c in table.primary_key.columns)
    sets = ", ".join(f'"{c.name}" = excluded."{c.name}"' for c in table.columns if not c.primary_key)
    return f"ON CONFLICT ({keys}) DO UPDATE SET {sets}"


@cache
def compiled_text(statement: ClauseElement, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """Compile a statement, once; gives its text, and the names of its values in order where they go by position."""
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(getattr(compiled, "positiontup", None) or ())


@cache
def _many_values_text(table: Table, columns: int, count: int, conflict: str) -> str:
    names = ", ".join(f'"{c.name}"' for c in list(table.columns)[:columns])
    row = "(" + ",".join("?" * columns) + ")"
    values = ",".join([row] * count)
    return f'INSERT INTO "{table.name}" ({names}) VALUES {values} {conflict}'  # noqa: S608  only names of our schema


@cache
def _select_text(table: Table, key: str, marks: str) -> str:
    names = ", ".join(f'"{c.name}"' for c in table.columns)
    return f'SELECT {names} FROM "{table.name}" WHERE "{key}" {marks}'  # noqa: S608  only names of our schema


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    """Cut a count into `(start, width)` of few different widths, so that few statements have to be prepared."""
    start = 0
    for width in _WIDTHS:
        while count - start >= width:
            yield start, width
            start += width


def run_prepared(connection: Connection, statement: ClauseElement, values: Mapping[str, object]) -> Any:
    """Run a statement through the driver, in the transaction of the connection; returns the driver's cursor.

    SQLAlchemy compiles the statement once, so it must be one object for the life of the process; asking through it each
    time costs more than most questions by key.
    """
    text, order = compiled_text(statement, connection.dialect)
    driver: Any = connection.connection.driver_connection
    return driver.execute(text, [values[name] for name in order] if order else values)


def select_by_key(connection: Connection, table: Table, key: str, values: Sequence[object]) -> list[Any]:
    """Select the rows (all columns, in order) whose column `key` has one of the values, as `run_prepared` does."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        with driver.cursor() as cursor:
            return list(cursor.execute(_select_text(table, key, "= ANY(%b)"), [list(values)]).fetchall())
    found: list[Any] = []
    for some in in_few_lengths(values):
        found += driver.execute(_select_text(table, key, f"IN ({','.join('?' * len(some))})"), some).fetchall()
    return found


def in_few_lengths(values: Sequence[Value]) -> Iterator[list[Value]]:
    """Cut values into lists of few different lengths, each filled up with its last value, so that few statements have
    to be prepared for them.
    """
    for start in range(0, len(values), _WIDTHS[0]):
        some = list(values[start : start + _WIDTHS[0]])
        width = next(w for w in reversed(_WIDTHS) if w >= len(some))
        yield some + [some[-1]] * (width - len(some))


class _SqliteWrites:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.driver_connection

    def insert(self, table: Table, rows: Sequence[Row], conflict: str = "") -> None:
        """Insert with many rows a statement.

        The driver gives up the interpreter lock at every step, and wins it back late while other threads compute:
        one step for 256 rows is several times faster than 256 steps then.
        """
        if not rows:
            return
        columns = len(rows[0])
        for start, width in _chunks(len(rows)):
            values = tuple(chain.from_iterable(rows[start : start + width]))
            self._driver.execute(_many_values_text(table, columns, width, conflict), values)

    def run(self, statement: ClauseElement, values: Mapping[str, object]) -> Done:
        """Run a compiled statement with positional values."""
        done: Done = run_prepared(self._connection, statement, values)
        return done


class SqliteDatabase:
    """A SQLite file: WAL, every commit on disk before it counts, one writer process by lock file."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def exists(self) -> bool:
        """Tell whether the file is there and not empty."""
        return self.path.is_file() and self.path.stat().st_size > 0

    def writer(self) -> Engine:
        """Make the engine of the writing connection."""
        engine = create_engine(
            URL.create("sqlite", database=str(self.path)),
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
            creator=lambda: _connect_read_only(self.path),
            pool_size=count,
            max_overflow=-1,  # as many as read at once; they are kept by whoever reads
            hide_parameters=True,
            poolclass=_queue_pool(),
        )
        _on_connect(engine, "query_only=ON", f"mmap_size={_MAPPED}")
        _begin_with(engine, "BEGIN")
        return engine

    def require_writable(self) -> None:
        """Begin what would write, and take it back; a file that is just being written can be."""
        address = f"file:{quote(str(self.path.absolute()))}?mode=rw"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=0, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
        except sqlite3.OperationalError as failure:
            code = failure.sqlite_errorcode & 0xFF
            if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
                raise StoreUnfit(
                    f"{self.path} is read-only here: this process must be able to write the file, and files beside it"
                ) from failure
            if code != sqlite3.SQLITE_BUSY:
                raise

    def lock(self) -> None:
        """Take the lock file beside the database, or raise `LedgerLocked` or, where it cannot be made, `StoreUnfit`."""
        import fcntl

        try:
            handle = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as failure:
            raise StoreUnfit(f"{self.path}.lock cannot be opened for writing ({failure.strerror})") from failure
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise LedgerLocked(f"{self.path} has a writer already") from None
        self._lock = handle

    def unlock(self) -> None:
        """Release the lock file; it stays in place, for removing it would let two writers hold two files."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def errors(self) -> type[Exception]:
        """`sqlite3.Error`."""
        return sqlite3.Error

    def select_many(self, connection: Connection, table: Table, key: str, values: Sequence[object]) -> list[Any]:
        """Select with lists of a few lengths."""
        return select_by_key(connection, table, key, values)

    def begin(self, connection: Connection) -> None:
        """Take the write lock now: a transaction that took it later could find its snapshot outdated."""
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN IMMEDIATE")

    def commit(self, connection: Connection) -> None:
        """Commit it: what is on disk stays."""
        driver: Any = connection.connection.driver_connection
        driver.commit()

    def is_alive(self, _connection: Connection) -> bool:
        """Tell that it is: a file does not go away."""
        return True

    def interrupt(self) -> None:
        """Do nothing: nobody waits for a file for long."""

    def roll_back(self, connection: Connection) -> None:
        """Undo it."""
        driver: Any = connection.connection.driver_connection
        driver.rollback()

    def run(self, connection: Connection, statement: ClauseElement, values: Mapping[str, object]) -> Any:
        """Run a compiled statement with positional values."""
        return run_prepared(connection, statement, values)

    def make_quick(self, connection: Connection) -> None:
        """Do nothing: the driver begins no transactions of its own."""

    def begin_reading(self, connection: Connection) -> None:
        """Begin through the driver, which SQLAlchemy's own transaction then takes part in."""
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN")

    def end_reading(self, connection: Connection) -> bool:
        """End both the driver's transaction and SQLAlchemy's side of it; a file does not go away meanwhile."""
        driver: Any = connection.connection.driver_connection
        driver.rollback()
        if connection.in_transaction():
            connection.rollback()
        return True

    def writing(self, connection: Connection) -> AbstractContextManager[Writes]:
        """Write at once: there is no way between."""
        return nullcontext(_SqliteWrites(connection))

    def is_transient(self, failure: BaseException) -> bool:
        """Never: with one writer a busy file is a fault to be told, not to be waited for again."""
        return False

    def is_missing(self, failure: BaseException) -> bool:
        """Never: whether there is a file was seen before."""
        return False

    def is_damage(self, failure: BaseException) -> bool:
        """Tell a file that is cut short, not a database, or without one of our tables."""
        cause = failure.orig if isinstance(failure, DBAPIError) else failure
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK)
        if code == sqlite3.SQLITE_ERROR:
            return str(cause).startswith(("no such table", "no such column"))
        cut_short = code == sqlite3.SQLITE_IOERR_SHORT_READ
        return cut_short or code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

    def blames_values(self, failure: BaseException) -> bool:
        """Tell a value that is too long."""
        cause = failure.orig if isinstance(failure, DBAPIError) else failure
        return getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK) == sqlite3.SQLITE_TOOBIG

    def take_turn(self, connection: Connection, what: str) -> bool:
        """Take it: a file has one writer, and whoever writes is alone."""
        return True

    def end_turn(self, connection: Connection, what: str) -> None:
        """Do nothing."""


def _queue_pool() -> Any:
    from sqlalchemy.pool import QueuePool

    return QueuePool


def _connect_read_only(path: Path) -> Any:
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
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:  # one that was begun through the driver is SQLAlchemy's as well
            driver.execute(statement)

    event.listen(engine, "begin", begin)


class PostgresDatabase:
    """A PostgreSQL database: the head row's lock is the sequencer, so any number of processes may write."""

    name = "postgresql"

    def __init__(self, url: URL, *, unhurried: bool = False) -> None:
        from ledger.log.patience import LONG, SHORT, UNHURRIED, Open

        self._url = url
        self._short, self._long = (UNHURRIED, UNHURRIED) if unhurried else (SHORT, LONG)
        self._open = Open()

    def exists(self) -> bool:
        """Tell nothing before connecting: whether there are tables is asked later."""
        return True

    def writer(self) -> Engine:
        """Make the engine of the writing connection."""
        from ledger.log.patience import wait_briefly_for_locks

        engine = self._engine(1, self._short)
        event.listen(engine, "connect", lambda connection, _record: _plan_by_key(connection))
        event.listen(engine, "connect", lambda connection, _record: _commit_durably(connection))
        event.listen(engine, "connect", lambda connection, _record: wait_briefly_for_locks(connection))
        event.listen(engine, "connect", lambda connection, _record: connection.heed_standbys())
        return engine

    def readers(self, count: int) -> Engine:
        """Make the engine of the reading connections."""
        return self._engine(count, self._long, postgresql_readonly=True)

    def _engine(self, count: int, patience: float, **options: bool) -> Engine:
        from ledger.log.patience import socket_options

        engine = create_engine(
            self._url,
            pool_size=count,
            max_overflow=count,
            pool_pre_ping=True,
            hide_parameters=True,
            execution_options=options,
            # Whatever the database, the role or the environment is set to: statements are sent in UTF-8 as they are.
            connect_args={**socket_options(self._url), "client_encoding": "utf8"},
        )
        self._open.watch(engine, patience)
        event.listen(engine, "connect", lambda connection, _record: _read_committed(connection))
        return engine

    def require_writable(self) -> None:
        """Ask whether the server and the role allow it."""
        engine = self.writer()
        try:
            with engine.connect() as connection:
                require_written(connection)
        finally:
            engine.dispose()

    def lock(self) -> None:
        """Do nothing: writers of one database take turns at the head row."""

    def unlock(self) -> None:
        """Do nothing."""

    @property
    def errors(self) -> type[Exception]:
        """`psycopg.Error`."""
        import psycopg

        return psycopg.Error

    def select_many(self, connection: Connection, table: Table, key: str, values: Sequence[object]) -> list[Any]:
        """Select with one array."""
        return select_by_key(connection, table, key, values)

    def begin(self, connection: Connection) -> None:
        """Do nothing: the driver begins a transaction with the first statement."""

    def commit(self, connection: Connection) -> None:
        """Commit it; what a synchronous standby may not have is not known to stay, though the server says that it is
        done.
        """
        driver: Any = connection.connection.driver_connection
        driver.commit()
        driver.require_confirmed()

    def is_alive(self, connection: Connection) -> bool:
        """Tell whether the server said nothing meanwhile: unasked, it says that it ends the session."""
        import select as readiness

        pgconn: Any = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
        if pgconn.status:  # anything but OK, which is 0
            return False
        ready = readiness.poll()
        ready.register(pgconn.socket, readiness.POLLIN)
        return not ready.poll(0)

    def interrupt(self) -> None:
        """End every connection."""
        self._open.end()

    def roll_back(self, connection: Connection) -> None:
        """Undo it; the driver forgets all prepared statements then, at the server too, and so must we."""
        driver: Any = connection.connection.driver_connection
        connection.info.pop(_PREPARED, None)
        driver.rollback()

    def run(self, connection: Connection, statement: ClauseElement, values: Mapping[str, object]) -> Any:
        """Run a compiled statement with named values."""
        return run_prepared(connection, statement, values)

    def begin_reading(self, connection: Connection) -> None:
        """Do nothing: the driver begins a transaction with the first statement."""

    def end_reading(self, connection: Connection) -> bool:
        """Give it back to the pool, which finds out whether the server is still there before it lends it again."""
        driver: Any = connection.connection.driver_connection
        driver.rollback()  # by the pool it would fail with a trace on standard error
        connection.close()
        return False

    def make_quick(self, connection: Connection) -> None:
        """Commit each statement by itself, and look rows up by their keys."""
        driver: Any = connection.connection.driver_connection
        driver.patience = self._short
        connection.execution_options(isolation_level="AUTOCOMMIT")
        _plan_by_key(driver)

    @contextmanager
    def writing(self, connection: Connection) -> Iterator[Writes]:
        """Send statements one after the other, and wait for all of them at the end."""
        from ledger.log.pipeline import Pipeline, PipelinedWrites

        driver: Any = connection.connection.driver_connection
        with Pipeline(driver, connection.info.setdefault(_PREPARED, {})) as pipeline:
            yield PipelinedWrites(pipeline)

    def is_transient(self, failure: BaseException) -> bool:
        """Tell serialisation failures (40001), deadlocks (40P01) and statements that the server forgot (26000)."""
        cause = failure.orig if isinstance(failure, DBAPIError) else failure
        return getattr(cause, "sqlstate", None) in ("40001", "40P01", "26000")

    def is_missing(self, failure: BaseException) -> bool:
        """Tell by the server's words, in English and Chinese: the driver tells no code of why it was not let in."""
        name = f'"{self._url.database}"'
        cause = str(failure.orig if isinstance(failure, DBAPIError) else failure)
        return f"database {name} does not exist" in cause or f"数据库 {name} 不存在" in cause

    def is_damage(self, failure: BaseException) -> bool:
        """Tell a missing table or column (42P01, 42703), and corrupted data or index (XX001, XX002)."""
        cause = failure.orig if isinstance(failure, DBAPIError) else failure
        return getattr(cause, "sqlstate", None) in ("42P01", "42703", "XX001", "XX002")

    def blames_values(self, failure: BaseException) -> bool:
        """Tell the data exceptions (class 22) and what is beyond a limit of the server (class 54)."""
        cause = failure.orig if isinstance(failure, DBAPIError) else failure
        return (getattr(cause, "sqlstate", None) or "")[:2] in ("22", "54")

    def take_turn(self, connection: Connection, what: str) -> bool:
        """Take an advisory lock of the session, which the server gives up with the connection."""
        connection.execution_options(isolation_level="AUTOCOMMIT")  # a session may wait long, a transaction may not
        return bool(connection.execute(_TURN, {"what": _turn_number(what)}).scalar_one())

    def end_turn(self, connection: Connection, what: str) -> None:
        """Give the lock up."""
        connection.execute(_END_OF_TURN, {"what": _turn_number(what)})


_WHAT = bindparam("what", type_=BigInteger)
_LOG = literal_column("'head'::regclass::oid::bigint", BigInteger)
"""The number of the table `head`, which keeps the turns of several logs in one database apart."""
_TURN = select(func.pg_try_advisory_lock(_WHAT.op("#")(_LOG)))
_END_OF_TURN = select(func.pg_advisory_unlock(_WHAT.op("#")(_LOG)))


def _turn_number(what: str) -> int:
    """Give the number by which a turn is known; a name of ours keeps it apart from others' locks."""
    return int.from_bytes(sha256(f"chengxin/ledger/turn/{what}".encode()).digest()[:8], "big", signed=True)


def _plan_by_key(driver: Any) -> None:
    """Let a connection that only ever looks rows up by their keys plan nothing else.

    Its statements are prepared while the tables are small, when reading a whole table looks cheaper than an index; that
    plan would be kept while the tables grow.
    """
    driver.execute("SET enable_seqscan = off")
    driver.execute("SET jit = off")
    driver.commit()


def _read_committed(driver: Any) -> None:
    """Let each statement see what is committed by then, whatever the server, database or role is set to.

    A writer waits for the head row and then reads what the one before it wrote: with a stricter level, each such wait
    would end in a serialisation failure.
    """
    driver.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")
    driver.commit()


def _commit_durably(driver: Any) -> None:
    """Never take a commit for durable that the server only promises to write soon.

    A server, database or role may be set to `synchronous_commit = off`; what was acknowledged would then be lost with
    the server. Stricter settings (`remote_write`, `remote_apply`) are left as they are.
    """
    driver.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    driver.commit()


def require_address(url: str) -> URL:
    """Read an SQLAlchemy URL at which a ledger can be, reachable or not; names neither it nor its password.

    Raises:
        StoreMissing: it is none, names no file or another kind of database, or its hosts and ports cannot be read.
    """
    from sqlalchemy.dialects.postgresql.psycopg import dialect
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    with suppress(ArgumentError, ValueError):  # the latter where a port is no number
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            return parsed
        if parsed.get_backend_name() == "postgresql":
            dialect().create_connect_args(parsed)  # type: ignore[no-untyped-call]
            return parsed
    raise StoreMissing("a ledger lives at sqlite:///path or postgresql+psycopg://user@host:port/database")


def database_at(url: str, *, unhurried: bool = False) -> Database:
    """Choose the database for an SQLAlchemy URL (`sqlite:///path` or `postgresql+psycopg://…`).

    With `unhurried` an answer is waited for as long as its host is there: for work on whole tables.

    Raises:
        StoreMissing: as of `require_address`.
    """
    parsed = require_address(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteDatabase(Path(str(parsed.database)))
    return PostgresDatabase(parsed.set(drivername="postgresql+psycopg"), unhurried=unhurried)
