"""A marriage register in a real database, and what can be done to it from beside: locked, killed, filled, spoilt."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from connectors.conformance.proxy import Proxy, Streams
from connectors.conformance.scene import ROWS, ZHANG

GBK_NAME = ZHANG.name.encode("gbk")


class Register(Protocol):
    """One kind of database with the table `marriage`; all calls block until done."""

    def url(self, port: int | None = None) -> str:
        """Say where it is; through a proxy on a loopback port, if one is given."""
        ...

    def fill(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Replace the rows."""
        ...

    def spoil(self) -> None:
        """Write Zhang's name in GBK where Unicode was agreed."""
        ...

    def drop(self) -> None:
        """Drop the table."""
        ...

    def lock(self) -> Callable[[], None]:
        """Lock the table against readers; what is returned unlocks it."""
        ...

    def kill_waiting(self) -> int:
        """End the sessions that wait for the lock, as an administrator would; say how many there were."""
        ...

    def waiting(self) -> int:
        """Count the sessions that wait for the lock."""
        ...

    def one_seat(self) -> tuple[str, Callable[[], None]]:
        """Make a user who may connect once, and connect; give the user's URL, and what gives the seat up."""
        ...

    def close(self) -> None:
        """Remove everything."""
        ...


class SqliteRegister:
    """A register in a file. What only a server can suffer, it refuses to play."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "register.db"
        self.fill(ROWS)

    def url(self, port: int | None = None) -> str:
        """Say where the file is."""
        assert port is None, "no proxy stands before a file"
        return f"sqlite:///{self.path}"

    def _execute(self, *statements: tuple[str, Sequence[Sequence[object]]]) -> None:
        connection = sqlite3.connect(self.path)
        with connection:
            for statement, rows in statements:
                connection.executemany(statement, rows)
        connection.close()

    def fill(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Replace the rows."""
        self._execute(
            ("DROP TABLE IF EXISTS marriage", [()]),
            ("CREATE TABLE marriage (id_number, name, status)", [()]),
            ("INSERT INTO marriage VALUES (?, ?, ?)", rows),
        )

    def spoil(self) -> None:
        """Write Zhang's name in GBK where Unicode was agreed."""
        spoilt = "UPDATE marriage SET name = CAST(? AS TEXT) WHERE id_number = ?"
        self._execute((spoilt, [(GBK_NAME, ZHANG.id_number)]))

    def drop(self) -> None:
        """Drop the table."""
        self._execute(("DROP TABLE marriage", [()]))

    def lock(self) -> Callable[[], None]:
        """Lock the file against readers."""
        holder = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN EXCLUSIVE")
        return holder.close

    def close(self) -> None:
        """Remove nothing: the folder is removed by whoever made it."""


class ServerRegister:
    """What the registers on servers have in common but the dialect's words: see its two instances."""

    def __init__(self, url: str, *, words: Words) -> None:
        self._words = words
        self._server = make_url(url)
        self._name = f"f_{secrets.token_hex(6)}"
        self._user = f"u_{secrets.token_hex(6)}"
        self._run(self._server, words.create_database.format(name=self._name))
        self._own = self._server.set(database=self._name).update_query_dict(words.query)
        self._engine: Engine = create_engine(self._own, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self.fill(ROWS)

    @staticmethod
    def _run(url: URL, *statements: str) -> None:
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def url(self, port: int | None = None) -> str:
        """Say where the database is."""
        url = self._own
        if port is not None:
            url = url.set(host="127.0.0.1", port=port).difference_update_query(["host", "port"])
        return url.render_as_string(hide_password=False)

    async def reach(self) -> Streams:
        """Connect to the server as a proxy does."""
        host = self._server.query.get("host") or self._server.host or "127.0.0.1"
        port = self._server.port or self._words.port
        if isinstance(host, str) and host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(str(host), port)

    def fill(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Replace the rows."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("DROP TABLE IF EXISTS marriage")
            connection.exec_driver_sql(self._words.create_table)
            insert = text("INSERT INTO marriage VALUES (:a, :b, :c)")
            for row in rows:
                connection.execute(insert, dict(zip("abc", row, strict=True)))

    def spoil(self) -> None:
        """Write Zhang's name in GBK where Unicode was agreed."""
        with self._engine.connect() as connection:
            connection.execute(text(self._words.spoil), {"hex": GBK_NAME.hex(), "who": ZHANG.id_number})

    def drop(self) -> None:
        """Drop the table."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("DROP TABLE marriage")

    def lock(self) -> Callable[[], None]:
        """Lock the table against readers."""
        holder = create_engine(self._own, poolclass=NullPool).connect()
        holder.exec_driver_sql(self._words.lock)
        return holder.close

    def waiting(self) -> int:
        """Count the sessions that wait for the lock."""
        with self._engine.connect() as connection:
            return len(self._waiting(connection))

    def _waiting(self, connection: Connection) -> Sequence[Any]:
        return connection.execute(text(self._words.waiting), {"name": self._name}).all()

    def kill_waiting(self) -> int:
        """End the sessions that wait for the lock."""
        with self._engine.connect() as connection:
            found = self._waiting(connection)
            for [number] in found:
                connection.exec_driver_sql(self._words.kill.format(number=number))
            return len(found)

    def one_seat(self) -> tuple[str, Callable[[], None]]:
        """Make a user who may connect once, and connect."""
        self._run(
            self._own, *(statement.format(user=self._user, name=self._name) for statement in self._words.one_seat)
        )
        url = self._own.set(username=self._user, password=self._words.password)
        seat = create_engine(url, poolclass=NullPool).connect()

        def give_up() -> None:
            seat.close()
            while self._is_seated():  # a server takes its time to notice
                time.sleep(0.01)

        return url.render_as_string(hide_password=False), give_up

    def _is_seated(self) -> bool:
        with self._engine.connect() as connection:
            return bool(connection.execute(text(self._words.seated), {"user": self._user}).all())

    def close(self) -> None:
        """Drop the database, and the user if there is one."""
        self._run(
            self._server, *(statement.format(user=self._user, name=self._name) for statement in self._words.remove)
        )


class Words:
    """How one dialect says what is done to a register."""

    def __init__(
        self,
        *,
        port: int,
        create_database: str,
        create_table: str,
        spoil: str,
        lock: str,
        waiting: str,
        kill: str,
        one_seat: tuple[str, ...],
        seated: str,
        password: str | None,
        query: Mapping[str, str],
        remove: tuple[str, ...],
    ) -> None:
        self.port = port
        self.create_database = create_database
        self.create_table = create_table
        self.spoil = spoil
        self.lock = lock
        self.waiting = waiting
        self.kill = kill
        self.one_seat = one_seat
        self.seated = seated
        self.password = password
        self.query = query
        self.remove = remove


POSTGRESQL = Words(
    port=5432,
    # A database that checks no character set, as old ones do not.
    create_database="CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    create_table="CREATE TABLE marriage (id_number CHAR(18), name VARCHAR(80), status INT)",
    spoil="UPDATE marriage SET name = convert_from(decode(:hex, 'hex'), 'SQL_ASCII') WHERE id_number = :who",
    lock="LOCK TABLE marriage IN ACCESS EXCLUSIVE MODE",
    waiting="SELECT pid FROM pg_stat_activity WHERE datname = :name AND wait_event_type = 'Lock'",
    kill="SELECT pg_terminate_backend({number})",
    one_seat=("CREATE ROLE {user} LOGIN CONNECTION LIMIT 1", "GRANT SELECT ON marriage TO {user}"),
    seated="SELECT 1 FROM pg_stat_activity WHERE usename = :user",
    password=None,
    query={"client_encoding": "utf8"},  # without it the driver gives bytes of such a database
    remove=("DROP DATABASE {name} WITH (FORCE)", "DROP ROLE IF EXISTS {user}"),
)
MARIADB = Words(
    port=3306,
    create_database="CREATE DATABASE {name} CHARACTER SET utf8mb4",
    create_table="CREATE TABLE marriage (id_number CHAR(18), name VARCHAR(80), status INT) ENGINE=InnoDB",
    # The column is declared Latin-1, and the Chinese bytes go in as they are: the classic wrong set-up.
    spoil="UPDATE marriage SET name = CONVERT(UNHEX(:hex) USING latin1) WHERE id_number = :who",
    lock="LOCK TABLES marriage WRITE",
    waiting="SELECT id FROM information_schema.processlist"
    " WHERE db = :name AND state = 'Waiting for table metadata lock'",
    kill="KILL {number}",
    one_seat=(
        "CREATE USER '{user}'@'%%' IDENTIFIED BY 'seat' WITH MAX_USER_CONNECTIONS 1",
        "GRANT SELECT ON {name}.* TO '{user}'@'%%'",
    ),
    seated="SELECT 1 FROM information_schema.processlist WHERE user = :user",
    password="seat",  # noqa: S106 (of a user who lives as long as one fault)
    query={},
    remove=("DROP DATABASE {name}", "DROP USER IF EXISTS '{user}'@'%%'"),
)


@asynccontextmanager
async def opened(make: Callable[[], Any]) -> AsyncIterator[Any]:
    """Make a register without blocking the loop, and remove it afterwards."""
    register = await asyncio.to_thread(make)
    try:
        yield register
    finally:
        await asyncio.to_thread(register.close)


@asynccontextmanager
async def behind_proxy(register: ServerRegister) -> AsyncIterator[Proxy]:
    """Put a proxy in front of a register."""
    async with Proxy(register.reach) as proxy:
        yield proxy
