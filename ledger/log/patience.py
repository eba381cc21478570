"""How long PostgreSQL is waited for: a server that vanished without a word must not be waited for for ever."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from psycopg import Connection, Error, OperationalError
from psycopg.errors import Diagnostic
from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

SHORT = 30.0
"""Seconds of silence after which a server that was asked for little, or to write a batch, is given up."""
LONG = 120.0
"""The same for any other question, which may cost the server a while."""
UNHURRIED = math.inf
"""The same for work on whole tables, which may take hours: the sockets notice a host that is gone (`_SOCKET`)."""
_LOCKS = "10s"
"""How long a writer waits for its turn: others hold the head for the time of a batch."""
_SOCKET: dict[str, int] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_INTERVAL = 0.1
_STANDBY_GIVEN_UP = "SyncRepWaitForLSN"


class PatientConnection(Connection[Any]):
    """A connection that gives a server up that is silent for too long."""

    patience = LONG
    _is_unconfirmed = False

    def heed_standbys(self) -> None:
        """Note where the server gives up waiting for a synchronous standby: the commit then succeeds all the same."""
        self.add_notice_handler(self._heed)

    def _heed(self, notice: Diagnostic) -> None:
        # By the function of the server that says so: its words are in the server's language, without a code.
        if notice.source_function == _STANDBY_GIVEN_UP:
            self._is_unconfirmed = True

    def require_confirmed(self) -> None:
        """Raise an error if the server gave up waiting for a standby: a fail-over may lose what was committed."""
        if self._is_unconfirmed:
            self._is_unconfirmed = False
            raise OperationalError("the server stopped waiting for its standby server")

    def wait(self, gen: Any, interval: float = _INTERVAL, timeout: float | None = None) -> Any:
        """Wait as the driver does, but not for ever."""
        bounded = self._bounded(gen)
        return super().wait(bounded, interval) if timeout is None else super().wait(bounded, interval, timeout)

    def _bounded(self, gen: Generator[Any, int, Any]) -> Generator[Any, int, Any]:
        """Pass on what the driver's generator and its loop, which wakes up now and then, tell each other."""
        try:
            asked = next(gen)
            while True:
                until = time.monotonic() + self.patience
                while not (ready := (yield asked)):
                    if time.monotonic() > until:
                        raise self.given_up()
                    asked = gen.send(ready)
                asked = gen.send(ready)
        except StopIteration as done:
            return done.value

    def given_up(self) -> Error:
        """Close the connection, on which nothing can be asked before the answer came; makes the error that tells."""
        self.close()
        return OperationalError("the server is silent")


class Open:
    """The open connections of some engines, so that all of them can be ended from another thread."""

    def __init__(self) -> None:
        self._connections: WeakSet[Connection[Any]] = WeakSet()
        self._guard = threading.Lock()

    def watch(self, engine: Engine, patience: float) -> None:
        """Make an engine connect with this patience, and know what it opens."""

        def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> PatientConnection:
            connection = PatientConnection.connect(*arguments, **options)
            connection.patience = patience
            return connection

        event.listen(engine, "do_connect", connect)
        event.listen(engine, "connect", self._opened)

    def _opened(self, driver: Any, _record: object) -> None:
        with self._guard:
            self._connections.add(driver)

    def end(self) -> None:
        """End every connection: whoever waits for an answer gets an error now."""
        with self._guard:
            connections = list(self._connections)
        for connection in connections:
            # Not closed, for it belongs to the thread that waits; its socket wakes that thread.
            with suppress(Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as handle:
                handle.shutdown(socket.SHUT_RDWR)


def socket_options(url: URL) -> dict[str, int]:
    """Give the options by which the sockets notice a server that is not there, unless the URL has its own."""
    return {name: value for name, value in _SOCKET.items() if name not in url.query}


def wait_briefly_for_locks(driver: Any) -> None:
    """Let a writing connection not wait long for a lock; a shorter setting is left as it is.

    Whoever waits for the lock of a whole table makes everybody wait who comes later, so this holds for long work too.
    """
    driver.execute("SELECT set_config('lock_timeout', %s, false) WHERE current_setting('lock_timeout') = '0'", [_LOCKS])
    driver.commit()
