"""Wake a thread that waits for a database, from another thread, so that a question given up holds no thread.

A driver blocks in the operating system: the one thing that reaches it there is the end of its connection. SQLite waits
for no connection and has a call of its own for this.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, event

_here = threading.local()


class Interrupted(Exception):
    """The question was given up while a thread worked on it."""


class Use:
    """One use of a database by a thread; `interrupt`, called from any other, ends it as soon as can be."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None
        self.is_interrupted = False
        self.opened: Any = None
        """A driver's connection that was opened in this use and is not the pool's yet."""

    def interrupt(self) -> None:
        """End the use: the thread gets an error from its driver, or `Interrupted` before it starts to wait."""
        with self._lock:  # the connection cannot be given back, and so ended under somebody else, meanwhile
            self.is_interrupted = True
            if self._end is not None:
                self._end()

    def hold(self, end: Callable[[], None] | None) -> None:
        """Say what ends the waits from now on; None where only the driver's own timeout does.

        Raises:
            Interrupted: it was interrupted before.
        """
        with self._lock:
            if self.is_interrupted:
                raise Interrupted
            self._end = end

    def release(self) -> None:
        """Say that the connection held is about to be given back."""
        with self._lock:
            self._end = None

    @contextmanager
    def here(self) -> Iterator[None]:
        """Let connections opened by this thread within be held by this use before they are used for anything."""
        _here.use = self
        try:
            yield
        finally:
            _here.use = None


def is_given_up() -> Callable[[], bool]:
    """Give a test of whether the use that this thread works in has been interrupted; it may be asked from anywhere."""
    use: Use | None = getattr(_here, "use", None)
    return lambda: use is not None and use.is_interrupted


class Endings:
    """Lends connections of one engine so that waits on them can be ended from outside."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        event.listen(engine, "do_connect", self._connect)

    @contextmanager
    def connected(self, use: Use) -> Iterator[Connection]:
        """Lend a connection for a use; one that was interrupted is given to nobody else afterwards.

        Raises:
            Interrupted: the use was interrupted before there was a connection.
            SQLAlchemyError: there is none.
        """
        with use.here():
            try:
                connection = self._engine.connect()
            except BaseException:
                if (
                    use.opened is not None
                ):  # the pool closes only what it has, and a first look at a server comes before
                    with suppress(Exception):
                        use.opened.close()
                raise
            finally:
                use.opened = None
            with connection:
                try:
                    use.hold(self._of(connection.connection.driver_connection))
                    yield connection
                finally:
                    use.release()
                    if use.is_interrupted:
                        connection.invalidate()

    def _of(self, connection: Any) -> Callable[[], None] | None:
        """Say how a wait on a driver's connection is ended; None where it shows neither a call nor its socket."""
        if isinstance(connection, sqlite3.Connection):
            return connection.interrupt
        if connection in self._numbers:
            # The closure keeps the connection, and so its descriptor: a number that was reused would be a stranger's.
            return lambda kept=connection: _shut(self._numbers[kept])  # type: ignore[misc]
        if callable(getattr(connection, "fileno", None)):
            return lambda: _shut_of(connection)
        return None

    def _connect(self, dialect: Any, _record: object, arguments: Any, keywords: Any) -> Any:
        use: Use | None = getattr(_here, "use", None)
        if dialect.driver == "pymysql" and not keywords.get("unix_socket"):
            return self._connect_pymysql(dialect.loaded_dbapi.connect, use, keywords)
        connection = dialect.connect(*arguments, **keywords)
        if use is not None:
            use.opened = connection
            use.hold(self._of(connection))
        return connection

    def _connect_pymysql(self, connect: Callable[..., Any], use: Use | None, keywords: Any) -> Any:
        """Connect on a socket of our own: the driver bounds each read, and a byte a second would never end."""
        connection = connect(**keywords, defer_connect=True)
        wire = socket.create_connection((connection.host, connection.port), connection.connect_timeout)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        number = self._numbers[connection] = os.dup(wire.fileno())  # outlives the wrapping of the socket for TLS
        weakref.finalize(connection, os.close, number)
        try:
            if use is not None:
                use.opened = connection
                use.hold(self._of(connection))
            connection.connect(wire)
        except BaseException:
            wire.close()
            raise
        return connection


def _shut_of(connection: Any) -> None:
    with suppress(Exception):  # one that is closed already has no descriptor, and each driver its own error for that
        _shut(connection.fileno())


def _shut(number: int) -> None:
    """Shut a connection down under whoever reads from it; the descriptor stays open, and theirs to close."""
    with suppress(OSError), socket.socket(fileno=os.dup(number)) as wire:
        wire.shutdown(socket.SHUT_RDWR)
