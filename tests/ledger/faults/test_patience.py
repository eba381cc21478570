"""A database that does not answer: callers are refused, and closing comes to an end."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from ledger import FileMasterKeys, Ledger, LedgerUnavailable, Level, Publishing, RemnantsLeft, Signing, service
from ledger.commands import rebuild
from ledger.log import patience, schema
from ledger.log.databases import Database
from ledger.log.store import open_store
from ledger.vault import Vault
from ledger.vault.master_keys import rotate_master_key
from ledger.vault.remnants import clear_remnants
from ledger.vault.rewrapping import rewrap_keys
from tests.ledger.faults.test_session_ended import end_sessions
from tests.ledger.house import ORIGIN, House, answered, build, submission

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]


def test_the_first_append_after_a_session_that_ended_idle_is_not_refused(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        for size in range(3):
            assert ledger.append_blocking(submission()).entries[0].index == size
            end_sessions(postgres_url)
        assert ledger.lookup(bytes(16)) is None
        assert ledger.size() == 3


@contextmanager
def head_locked(url: str) -> Iterator[None]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("SELECT 1 FROM head FOR UPDATE")
        yield


def test_who_waits_too_long_for_the_head_is_refused(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_LOCKS", "200ms")
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        with head_locked(postgres_url), pytest.raises(LedgerUnavailable, match="LockNotAvailable"):
            ledger.append_blocking(submission())
        assert ledger.append_blocking(submission()).entries[0].index == 0


@pytest.mark.parametrize("signing", list(Signing))
def test_closing_comes_to_an_end_while_another_holds_the_head(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signing: Signing
) -> None:
    monkeypatch.setattr(service, "_LAST_WAIT", 0.3)
    house = build(postgres_url, tmp_path)
    ledger = house.open(publishing=Publishing(signing=signing, interval=0.05))
    ledger.append_blocking(submission(), Level.SEQUENCED)
    with head_locked(postgres_url), ThreadPoolExecutor() as pool:
        waiting = [pool.submit(ledger.append_blocking, submission(), Level.SEQUENCED) for _ in range(3)]
        time.sleep(0.2)
        before = time.monotonic()
        ledger.close()
        assert time.monotonic() - before < 8  # the head is waited for longer
        for one in waiting:
            assert isinstance(one.exception(), LedgerUnavailable)


class Proxy:
    """Stands before the server, and can fall silent without closing anything."""

    def __init__(self, url: str) -> None:
        self._to = make_url(url)
        self._silent = threading.Event()
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        port = self._listener.getsockname()[1]
        query = {key: value for key, value in self._to.query.items() if key != "host"}
        self.url = self._to.set(host="127.0.0.1", port=port, query=query).render_as_string(hide_password=False)

    def silence(self) -> None:
        self._silent.set()

    def end(self) -> None:
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._pass_on, args=(self._listener.accept()[0],), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        port = self._to.port or 5432
        where = self._to.query.get("host")
        if where:
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{where}/.s.PGSQL.{port}")
        else:
            server = socket.create_connection((str(self._to.host), port))
        other = {client: server, server: client}
        with client, server:
            while not self._ended.is_set():
                for ready in select.select(list(other), [], [], 0.05)[0]:
                    if self._silent.is_set():
                        time.sleep(0.05)
                    elif data := ready.recv(1 << 16):
                        other[ready].sendall(data)
                    else:
                        return


def test_a_server_that_falls_silent_is_given_up(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "SHORT", 0.5)
    monkeypatch.setattr(patience, "LONG", 0.5)
    monkeypatch.setitem(patience._SOCKET, "connect_timeout", 2)
    monkeypatch.setattr(service, "_LAST_WAIT", 1)
    house = build(postgres_url, tmp_path)
    proxy = Proxy(postgres_url)
    through = House(url=proxy.url, signer=house.signer, master_keys=house.master_keys, directory=tmp_path)
    ledger = through.open()
    ledger.append_blocking(submission())
    asked: tuple[Callable[[Ledger], object], ...] = (
        lambda ledger: ledger.append_blocking(submission()),
        lambda ledger: ledger.size(),
        lambda ledger: ledger.receipt(0),
        lambda ledger: ledger.lookup(bytes(16)),
    )
    for ask in asked:
        ask(ledger)
    proxy.silence()
    with ThreadPoolExecutor() as pool:
        waiting: list[Future[object]] = [pool.submit(ask, ledger) for ask in asked]
        for one in waiting:
            assert isinstance(one.exception(20), LedgerUnavailable)
        pool.submit(ledger.close).result(20)
    proxy.end()


@contextmanager
def tables_locked(url: str, *tables: str, seconds: float) -> Iterator[None]:
    """Keep whoever writes these tables waiting, as a server does that is long at work on them, and says nothing."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection, ThreadPoolExecutor() as pool:
        connection.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE MODE")
        released = pool.submit(lambda: (time.sleep(seconds), connection.rollback()))
        yield
        released.result()


def rewrap(house: House) -> object:
    rotate_master_key(house.directory / "master.keys", os.urandom)
    store = open_store(house.url, readers=1, unhurried=True)
    try:
        store.start_writing()
        return rewrap_keys(store, Vault(FileMasterKeys(house.directory / "master.keys"), ORIGIN, os.urandom))
    finally:
        store.close()


@pytest.mark.parametrize(
    "chore",
    [
        lambda house: clear_remnants(house.url),
        lambda house: clear_remnants(house.url, rewrite="all"),
        lambda house: rebuild(house.url, origin=ORIGIN, master_keys=house.master_keys),
        rewrap,
    ],
    ids=["clear", "clear-all", "rebuild", "rewrap"],
)
def test_work_on_whole_tables_is_not_given_up_while_the_server_is_at_it(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chore: Callable[[House], object]
) -> None:
    monkeypatch.setattr(patience, "SHORT", 0.2)
    monkeypatch.setattr(patience, "LONG", 0.2)
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        ledger.append_blocking(submission(answered(a=1)))
    with tables_locked(postgres_url, "record", "vault_key", "idempotency", seconds=1):
        chore(house)


def insert_through_sqlalchemy(_database: Database, connection: Connection) -> None:
    connection.execute(schema.meta.insert().values(key="a", value="b"))


def insert_through_the_pipeline(database: Database, connection: Connection) -> None:
    with database.writing(connection) as writes:
        writes.insert(schema.meta, [("a", "b")])


@pytest.mark.parametrize("insert", [insert_through_sqlalchemy, insert_through_the_pipeline])
def test_a_connection_on_which_the_server_was_given_up_is_not_used_again(
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    insert: Callable[[Database, Connection], None],
) -> None:
    monkeypatch.setattr(patience, "SHORT", 0.2)
    build(postgres_url, tmp_path)
    store = open_store(postgres_url, readers=1)
    store.start_writing()
    with (
        tables_locked(postgres_url, "meta", seconds=1),
        pytest.raises((DBAPIError, psycopg.Error), match="silent"),
        store.writing() as connection,
    ):
        insert(store.database, connection)
    with store.writing() as connection:
        insert(store.database, connection)
    store.close()
    assert caplog.records == []  # the pool tells of what it could not end


def test_a_lock_that_is_held_too_long_ends_work_on_whole_tables_too(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(patience, "_LOCKS", "200ms")
    house = build(postgres_url, tmp_path)
    with tables_locked(postgres_url, "vault_key", seconds=1), pytest.raises(RemnantsLeft, match="LockNotAvailable"):
        clear_remnants(house.url)
    clear_remnants(house.url)
    assert caplog.records == []
