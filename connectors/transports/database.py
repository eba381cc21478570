"""A read-only SQLAlchemy engine with a statement timeout, for every dialect that can promise both.

Read-only is asked of the database itself, not of the statement: SQLite opens the file `mode=ro`, PostgreSQL and MariaDB
make the session read only. Any other dialect must be told how (`session`), or it is refused.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from connectors.errors import SourceUnavailable
from connectors.outcome import Cause

KNOWN = ("sqlite", "postgresql", "mysql", "mariadb")
_PROGRESS_STEPS = 2000  # virtual machine steps between looks at the clock: about 50 µs
_TIMED_OUT = (
    "statement timeout",
    "interrupted",
    "database is locked",
    "max_statement_time",
    "maximum statement execution time",
    "timed out",
)
_FULL = ("too many connections", "too many clients", "remaining connection slots", "max_user_connections")
_WRONG_SCHEMA = (
    "no such table",
    "no such column",
    "unknown column",
    "doesn't exist",
    "not a database",
    "malformed",
    "syntax error",
    "could not decode",
)


def open_engine(url: URL, *, timeout: timedelta, connections: int, session: tuple[str, ...] = ()) -> Engine:
    """Make an engine whose sessions cannot write and whose statements end; it connects on first use.

    `session` statements run on each new connection, and make it read only where the dialect is not known here.

    Raises:
        ValueError: the driver is missing, or the dialect cannot be made read only without `session`.
    """
    name = url.get_backend_name()
    if name not in KNOWN and not session:
        raise ValueError(f"tell in `session` how a session of {name} is made read only")
    options: dict[str, Any] = {
        "poolclass": QueuePool,
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": timeout.total_seconds(),
        "pool_recycle": 600,
        "hide_parameters": True,  # exception texts must not carry id numbers
    }
    try:
        if name == "sqlite":
            engine = create_engine("sqlite://", creator=_sqlite(url, timeout), **options)
            return _follow(_limit_steps(engine, timeout), str(url.database))
        # One statement is one snapshot; a transaction around it would cost two more round trips.
        options |= {"isolation_level": "AUTOCOMMIT", "connect_args": _connect_arguments(url, timeout)}
        engine = create_engine(url, **options)
    except (ArgumentError, ImportError, ModuleNotFoundError) as error:
        raise ValueError(f"no engine for this URL ({type(error).__name__})") from None
    event.listen(engine, "connect", _prepare(name, timeout, session))
    return engine


def _sqlite(url: URL, timeout: timedelta) -> Callable[[], sqlite3.Connection]:
    if not url.database or url.database == ":memory:":
        raise ValueError("a SQLite source is a file")
    uri = f"file:{quote(url.database)}?mode=ro"
    return lambda: sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=timeout.total_seconds())


def _limit_steps(engine: Engine, timeout: timedelta) -> Engine:
    """Interrupt SQLite statements that run longer than the timeout: it has no such setting of its own."""

    def start(connection: Any, *_: object) -> None:
        ends = time.monotonic() + timeout.total_seconds()
        connection.connection.driver_connection.set_progress_handler(lambda: time.monotonic() > ends, _PROGRESS_STEPS)

    event.listen(engine, "before_cursor_execute", start)
    return engine


def _follow(engine: Engine, path: str) -> Engine:
    """Open the file anew when another stands in its place: departments replace a file by renaming a new one over it,
    and a connection would go on answering from the old one, which nobody can see any more."""

    def identity() -> tuple[int, int] | None:
        try:
            found = os.stat(path)  # noqa: PTH116 (on the way of every question)
        except OSError:
            return None
        return (found.st_dev, found.st_ino)

    def opened(_connection: object, record: Any) -> None:
        record.info["file"] = identity()

    def lent(_connection: object, record: Any, _proxy: object) -> None:
        if record.info.get("file") != identity():
            raise DisconnectionError("another file stands in the place of this one")

    event.listen(engine, "connect", opened)
    event.listen(engine, "checkout", lent)
    return engine


def _connect_arguments(url: URL, timeout: timedelta) -> dict[str, Any]:
    seconds = timeout.total_seconds()
    if url.get_driver_name() == "psycopg":
        return {"connect_timeout": max(2, round(seconds))}  # libpq takes less than 2 for 2
    if url.get_driver_name() == "pymysql":
        # The socket outlives the statement a little: the server's own timeout says more about what happened.
        return {"connect_timeout": max(1, round(seconds)), "read_timeout": seconds + 1, "write_timeout": seconds + 1}
    return {}


def _prepare(name: str, timeout: timedelta, session: tuple[str, ...]) -> Callable[[Any, object], None]:
    milliseconds = max(1, round(timeout.total_seconds() * 1000))

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        try:
            for statement in (*_read_only(name, cursor, milliseconds), *session):
                cursor.execute(statement)
        finally:
            cursor.close()
        connection.commit()

    return prepare


def _read_only(name: str, cursor: Any, milliseconds: int) -> tuple[str, ...]:
    if name == "postgresql":
        return ("SET default_transaction_read_only = on", f"SET statement_timeout = {milliseconds}")
    if name in ("mysql", "mariadb"):
        cursor.execute("SELECT VERSION()")
        is_mariadb = "mariadb" in str(cursor.fetchone()[0]).lower()
        limit = f"max_statement_time = {milliseconds / 1000}" if is_mariadb else f"max_execution_time = {milliseconds}"
        return ("SET SESSION TRANSACTION READ ONLY", f"SET SESSION {limit}")
    return ()


def failure(source: str, error: Exception) -> SourceUnavailable:
    """Name the condition behind a database error; its text is read here and never shown."""
    words = str(error.orig if isinstance(error, DBAPIError) else error).lower()
    kind = type(error.orig if isinstance(error, DBAPIError) and error.orig else error).__name__
    if isinstance(error, PoolTimeout):
        return SourceUnavailable(source, Cause.OVERLOAD, "no connection became free in time")
    if any(mark in words for mark in _TIMED_OUT):
        return SourceUnavailable(source, Cause.TIMEOUT, kind)
    if any(mark in words for mark in _FULL):
        return SourceUnavailable(source, Cause.OVERLOAD, kind)
    if isinstance(error, OSError):
        return SourceUnavailable(source, Cause.OUTAGE, kind, connecting=True)
    if isinstance(error, OperationalError | InterfaceError) and not any(mark in words for mark in _WRONG_SCHEMA):
        return SourceUnavailable(source, Cause.OUTAGE, kind)
    return SourceUnavailable(source, Cause.GARBLED, kind)
