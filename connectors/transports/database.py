"""A read-only SQLAlchemy engine with a statement timeout, for every dialect that can promise both.

Read-only is asked of the database itself, not of the statement: SQLite opens the file `mode=ro`, MariaDB makes the
session read only, and PostgreSQL each transaction. Any other dialect must be told how (`session`), or it is refused.

Of a PostgreSQL session nothing is set and nothing is prepared in it: behind a pooler that lends a server's sessions
transaction by transaction, the next statement runs in another session, and this one serves other applications.
"""

from __future__ import annotations

import os
import re
import select
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from connectors.errors import SourceUnavailable
from connectors.outcome import Cause
from connectors.transports.interruption import is_given_up

KNOWN = ("sqlite", "postgresql", "mysql", "mariadb")
_EXTRAS = {"psycopg": "postgres", "pymysql": "mysql"}
_WHOLE = {"postgres": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
"""How URLs begin, by how they were begun without a driver."""
_PROGRESS_STEPS = 2000  # virtual machine steps between looks at the clock: about 50 µs
_TIMED_OUT = (
    "statement timeout",
    "interrupted",
    "database is locked",
    "max_statement_time",
    "maximum statement execution time",
    "timed out",
)
_SQLITE = {"BUSY": Cause.TIMEOUT, "INTERRUPT": Cause.TIMEOUT} | dict.fromkeys(
    ("LOCKED", "CANTOPEN", "IOERR", "FULL", "NOMEM", "PERM", "PROTOCOL", "READONLY_"), Cause.OUTAGE
)
"""Of READONLY only the kinds: a file that cannot be recovered or moved. The plain one is of a statement that writes."""
_MYSQL: dict[int, Cause] = (
    dict.fromkeys((1205, 1317, 1969, 3024), Cause.TIMEOUT)
    | dict.fromkeys((1040, 1203, 1226), Cause.OVERLOAD)
    | dict.fromkeys((1021, 1037, 1041, 1042, 1043, 1044, 1045, 1049, 1053, 1129, 1130, 1213, 1251, 1698), Cause.OUTAGE)
    | dict.fromkeys((*range(1077, 1081), *range(1152, 1162), 1820, 1862, 1927, 3118, 4151), Cause.OUTAGE)
    | dict.fromkeys((1015, 1030, 1114, 1135, 1184, 1194, 1195, 1290, 1835, 1836), Cause.OUTAGE)
    | dict.fromkeys((3032, 3159, 3168, 3169, 4031), Cause.OUTAGE)
)
"""By the numbers of MySQL and MariaDB that are of the server, the connection or the account; those below 1000 and from
2000 to 2999 are the driver's own."""
_POSTGRESQL = {"57014": Cause.TIMEOUT, "55P03": Cause.TIMEOUT, "53300": Cause.OVERLOAD, "26000": Cause.OUTAGE}
_OF_POSTGRESQL = ("08", "28", "3D", "40", "53", "55", "57", "58")
"""The classes of SQLSTATE that are of the server, the connection or the account."""
_OF_A_PLAN = ("0A000", "26000")
"""A cached plan that must not change its result type (among other things), and a statement that was not prepared."""
_ALL_ROWS = (1 << 64) - 1
"""What `sql_select_limit` is for no limit."""
_FULL = ("too many connections", "too many clients", "remaining connection slots", "max_user_connections")
_TOLD = (
    ("unknown database|database .* does not exist", "there is no such database"),
    ("access denied|authentication failed|no password supplied|role .* does not exist", "the account is refused"),
    ("certificate", "a certificate is refused"),
)
"""What an outage is that goes on until somebody mends the stanza, in our words: the database's name accounts."""
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


_KINDS = (
    ("no such column|unknown column|column .* does not exist", "there is no such column"),
    ("no such table|relation .* does not exist|table .* doesn't exist", "there is no such table"),
    ("unable to open database file", "the file cannot be opened"),
    ("not a database|malformed", "the file is no database"),
    ("syntax error|error in your sql syntax", "the statement is no SQL of this database"),
    ("permission denied|command denied", "the account may not read this"),
    ("could not decode", "a text in another character set"),
)
"""What kind of error it is, in our words: the database's name columns, tables and accounts, and repeat values."""
_STATE = re.compile("[0-9A-Z]{5}")


def open_engine(
    url: URL, *, timeout: timedelta, connections: int, zone: ZoneInfo, session: tuple[str, ...] = ()
) -> Engine:
    """Make an engine whose sessions cannot write and whose statements end; it connects on first use.

    `zone` is that in which MariaDB and MySQL write moments, which they hand out without one. `session` statements run
    on each new connection, and make it read only where the dialect is not known here.

    Raises:
        ValueError: the driver is missing, or the dialect cannot be made read only without `session`.
    """
    name = url.get_backend_name()
    if name == "postgres":
        raise ValueError(f"must begin with {_WHOLE[name]}://")
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
        # One statement is one snapshot: a driver's own transaction around it would only cost two more round trips.
        if name != "postgresql" or _is_begun_by_us(url):
            options["isolation_level"] = "AUTOCOMMIT"
        engine = create_engine(url, connect_args=_connect_arguments(url, timeout), **options)
    except ImportError as error:
        extra = _EXTRAS.get(url.get_driver_name())
        hint = f": install chengxin[{extra}]" if extra else ""
        if whole := _WHOLE.get(url.drivername):
            hint = f": let the URL begin with {whole}://"
        raise ValueError(f"the driver {error.name or url.get_driver_name()} is not installed{hint}") from None
    except ArgumentError as error:
        raise ValueError(f"no engine for this URL ({type(error).__name__})") from None
    event.listen(engine, "connect", _prepare(name, timeout, zone, session))
    event.listen(engine, "checkout", _require_open)
    return _bound(engine, timeout) if name == "postgresql" else engine


def _sqlite(url: URL, timeout: timedelta) -> Callable[[], sqlite3.Connection]:
    if not url.database or url.database == ":memory:":
        raise ValueError("a SQLite source is a file")
    uri = f"file:{quote(url.database)}?mode=ro"
    return lambda: sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=timeout.total_seconds())


def _limit_steps(engine: Engine, timeout: timedelta) -> Engine:
    """Interrupt SQLite statements that run longer than the timeout: it has no such setting of its own."""

    def start(connection: Any, *_: object) -> None:
        ends = time.monotonic() + timeout.total_seconds()
        given_up = is_given_up()  # `interrupt` reaches a statement that runs; one about to start it would miss
        connection.connection.driver_connection.set_progress_handler(
            lambda: given_up() or time.monotonic() > ends, _PROGRESS_STEPS
        )

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


def _require_open(connection: Any, _record: object, _proxy: object) -> None:
    """Refuse to lend a connection that was closed while it was idle, by the server or by what stands between: it is not
    the source that is away. An idle connection on which something came was closed, or said so; asking costs no round
    trip."""
    held = getattr(connection, "pgconn", None) or getattr(connection, "_sock", None)
    place = getattr(held, "socket", None) if isinstance(getattr(held, "socket", None), int) else held
    if place is None:
        return
    ready = select.poll()
    try:
        ready.register(place, select.POLLIN)
        is_closed = bool(ready.poll(0))
    except (OSError, ValueError):  # it is no descriptor any more
        is_closed = True
    if is_closed:
        raise DisconnectionError("an idle connection was closed")


def _bound(engine: Engine, timeout: timedelta) -> Engine:
    """Ask PostgreSQL in transactions that cannot write and whose statements end; they end with the use of a connection.

    A connection that does not know a statement that was prepared, or whose plan no longer fits its table, goes on
    failing: it is given up, and the next is a new one.
    """
    milliseconds = _milliseconds(timeout)
    if _is_begun_by_us(engine.url):
        opening = f"BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}"
    else:  # one statement, for a driver that takes no two, after its own BEGIN
        limit = f"set_config('statement_timeout', '{milliseconds}', true)"
        opening = f"SELECT set_config('transaction_read_only', 'on', true), {limit}"

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(opening)

    def look(failed: ExceptionContext) -> None:
        if getattr(failed.original_exception, "sqlstate", None) in _OF_A_PLAN:
            failed.is_disconnect = True
            failed.invalidate_pool_on_disconnect = False

    event.listen(engine, "begin", begin)
    event.listen(engine, "handle_error", look)
    return engine


def _is_begun_by_us(url: URL) -> bool:
    """Say whether a driver takes BEGIN, with what is set beside it, in one round trip, and rolls back what we began."""
    return url.get_driver_name() == "psycopg"


def _milliseconds(timeout: timedelta) -> int:
    return max(1, round(timeout.total_seconds() * 1000))


def _connect_arguments(url: URL, timeout: timedelta) -> dict[str, Any]:
    seconds = timeout.total_seconds()
    if url.get_driver_name() == "psycopg":
        # libpq takes less than 2 for 2. A statement is prepared under a name of this side's counting: behind a pooler,
        # the session that is lent next may know another statement by it, and answer that one.
        return {"connect_timeout": max(2, round(seconds)), "prepare_threshold": None}
    if url.get_driver_name() == "pymysql":
        # The socket outlives the statement a little: the server's own timeout says more about what happened.
        return {"connect_timeout": max(1, round(seconds)), "read_timeout": seconds + 1, "write_timeout": seconds + 1}
    return {}


def _prepare(name: str, timeout: timedelta, zone: ZoneInfo, session: tuple[str, ...]) -> Callable[[Any, object], None]:
    milliseconds = _milliseconds(timeout)

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        try:
            if name in ("mysql", "mariadb"):
                for statement in _session(cursor, milliseconds):
                    cursor.execute(statement)
                _set_zone(cursor, zone)
            for statement in session:
                cursor.execute(statement)
        finally:
            cursor.close()
        connection.commit()

    return prepare


def _session(cursor: Any, milliseconds: int) -> Iterator[str]:
    """Give what makes a session of MariaDB or MySQL what we rely on, whatever the server or account is set to."""
    cursor.execute("SELECT VERSION()")
    is_mariadb = "mariadb" in str(cursor.fetchone()[0]).lower()
    limit = f"max_statement_time = {milliseconds / 1000}" if is_mariadb else f"max_execution_time = {milliseconds}"
    yield "SET SESSION TRANSACTION READ ONLY"
    yield "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
    yield f"SET SESSION {limit}"
    # Less would be a LIMIT in every statement, and so the NO_RECORD of those whose rows it cuts off.
    yield f"SET SESSION sql_select_limit = {_ALL_ROWS}"


def _set_zone(cursor: Any, zone: ZoneInfo) -> None:
    """Let moments (TIMESTAMP) come as they are in a zone; by its offset where the server was given no names of zones,
    and the offset never changed since 1992."""
    try:
        cursor.execute("SET SESSION time_zone = %s", (zone.key,))
    except Exception:
        moments = (datetime(year, month, 1, tzinfo=zone) for year in range(1992, 2038) for month in (1, 7))
        offsets = {moment.strftime("%z") for moment in moments}
        if len(offsets) != 1:
            raise
        (offset,) = offsets
        cursor.execute("SET SESSION time_zone = %s", (f"{offset[:3]}:{offset[3:]}",))


def failure(source: str, error: Exception) -> SourceUnavailable:
    """Name the condition behind a database error; its text is read here and never shown."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(error, PoolTimeout):
        return SourceUnavailable(source, Cause.OVERLOAD, "no connection became free in time")
    words = str(origin).lower()
    cause = _by_code(origin) or _by_text(error, words)
    is_connecting = cause is Cause.OUTAGE and isinstance(error, OSError)
    why = next((told for mark, told in _TOLD if cause is Cause.OUTAGE and re.search(mark, words)), "")
    detail = ", ".join(part for part in (type(origin).__name__, _code(origin), _kind(words)) if part)
    return SourceUnavailable(source, cause, detail, connecting=is_connecting, why=why)


def _kind(words: str) -> str:
    return next((told for mark, told in _KINDS if re.search(mark, words)), "")


def _code(error: BaseException) -> str:
    """Write the database's own code of an error, if it has one."""
    number = _number(error)  # before the state, which MySQL has only one of for many errors
    if number is not None:
        return f"error {number}"
    state: object = getattr(error, "sqlstate", None)
    return f"SQLSTATE {state}" if isinstance(state, str) and _STATE.fullmatch(state) else ""


def _number(error: BaseException) -> int | None:
    """Read the number that MySQL and MariaDB give an error."""
    number: object = error.args[0] if type(error).__module__.startswith("pymysql") and error.args else None
    return number if isinstance(number, int) else None


def _by_code(error: BaseException) -> Cause | None:
    """Name the condition by the database's own code, where it has one. What is neither of the server nor of the
    connection is of the question: a row that raises must not be taken for an outage."""
    name: str | None = getattr(error, "sqlite_errorname", None)
    if name is not None:
        return next((cause for mark, cause in _SQLITE.items() if name.startswith(f"SQLITE_{mark}")), Cause.GARBLED)
    number = _number(error)
    if number is not None:
        if number < 1000 or 2000 <= number < 3000:
            return Cause.TIMEOUT if "timed out" in str(error) else Cause.OUTAGE
        return _MYSQL.get(number, Cause.GARBLED)
    state: str | None = getattr(error, "sqlstate", None)
    if state is not None:
        return _POSTGRESQL.get(state, Cause.OUTAGE if state.startswith(_OF_POSTGRESQL) else Cause.GARBLED)
    return None


def _by_text(error: Exception, words: str) -> Cause:
    if any(mark in words for mark in _TIMED_OUT):
        return Cause.TIMEOUT
    if any(mark in words for mark in _FULL):
        return Cause.OVERLOAD
    if isinstance(error, OSError):
        return Cause.OUTAGE
    is_outage = isinstance(error, OperationalError | InterfaceError)
    return Cause.OUTAGE if is_outage and not any(mark in words for mark in _WRONG_SCHEMA) else Cause.GARBLED
