"""A session of the database ends, or a transaction fails: who had nothing to do with it does not notice."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from ledger import FileMasterKeys, Ledger, LedgerUnavailable, Level, Publishing, Signing
from ledger.appends import publishing
from ledger.appends.following import Follower
from ledger.appends.publishing import Publisher
from ledger.appends.waiting import Milestone
from ledger.log import schema
from ledger.log.store import Store, lock_head, open_store
from ledger.records.rebuild import rebuild_projections
from ledger.vault import Vault
from ledger.vault.master_keys import MasterKey, rotate_master_key
from ledger.vault.rewrapping import rewrap_keys
from tests.ledger.house import ORIGIN, answered, build, submission

pytestmark = pytest.mark.postgres
OFTEN = Publishing(signing=Signing.INTERVAL, interval=0.05)
NEVER = Publishing(signing=Signing.INTERVAL, interval=3600)


def end_sessions(url: str) -> None:
    """End every other session in the database, as a restart of the server does."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def once(act: Callable[[], object], then: Callable[..., Any]) -> Callable[..., Any]:
    """Give what does as `then`, and after the first time `act` too."""
    left = [act]

    def both(*arguments: object) -> Any:
        told = then(*arguments)
        if left:
            left.pop()()
        return told

    return both


def test_a_read_that_is_whole_when_its_session_ends_is_answered(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger, caplog.at_level(logging.WARNING):
        ledger.append_blocking(submission())
        with ledger._store.reading() as connection:
            assert connection.execute(schema.head.select()).one().size == 1
            end_sessions(postgres_url)
        assert ledger.size() == 1
    assert caplog.records == []  # the pool tells of what it could not end


def test_a_read_that_is_not_whole_is_refused_as_unavailable(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)

    def read(ledger: Ledger) -> None:
        with ledger._store.reading() as connection:
            end_sessions(postgres_url)
            connection.execute(schema.head.select())

    with house.open() as ledger, pytest.raises(LedgerUnavailable):
        read(ledger)


def test_a_session_that_ends_before_it_is_prepared_is_refused_as_unavailable(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        prepare = ledger._store.database.make_quick

        def ended(connection: Any) -> None:
            end_sessions(postgres_url)
            prepare(connection)

        monkeypatch.setattr(ledger._store.database, "make_quick", ended)
        with pytest.raises(LedgerUnavailable):
            ledger.lookup(bytes(16))


async def test_the_publisher_survives_the_end_of_its_session(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(postgres_url, tmp_path)
    stored = once(lambda: end_sessions(postgres_url), publishing._stored_note)
    monkeypatch.setattr(publishing, "_stored_note", stored)
    with house.open(publishing=OFTEN) as ledger:
        done = await asyncio.wait_for(ledger.append(submission(answered())), 20)
        assert done.size == 1


async def test_the_publisher_survives_whatever_is_raised(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(postgres_url, tmp_path)

    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(publishing, "_stored_note", once(fail, publishing._stored_note))
    with house.open(publishing=OFTEN) as ledger:
        assert (await asyncio.wait_for(ledger.append(submission(answered())), 20)).size == 1


async def test_a_follower_survives_whatever_is_raised(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        ledger.append_blocking(submission())

        def fail(_store: Store) -> Any:
            monkeypatch.undo()
            raise ZeroDivisionError

        monkeypatch.setattr(Store, "reading", fail)
        published = Milestone()
        follower = Follower(ledger._store, published, Milestone(), 0.01)
        follower.start()
        await asyncio.wait_for(published.wait(1), 20)
        follower.close()


def prepared(ledger: Ledger, key: bytes) -> None:
    """Have the driver prepare statements of its own, which it does of those that come again and again."""
    for _ in range(8):
        ledger.append_blocking(submission(answered(), key=key), Level.SEQUENCED)


def test_a_transaction_that_failed_costs_nobody_else_a_refusal(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    key = bytes.fromhex("019ab0c00000") + b"once"
    with house.open(publishing=NEVER) as ledger:
        publisher = ledger._progress
        assert isinstance(publisher, Publisher)
        prepared(ledger, key)
        twice = {"size": 0, "root": b"", "note": b"", "signed_at": ""}
        for turn in range(3):
            with pytest.raises(LedgerUnavailable):
                publisher._commit(lambda connection: connection.execute(schema.checkpoint.insert(), twice))
            done = ledger.append_blocking(submission(answered()), Level.SEQUENCED)
            assert done.entries[0].index == turn + 1
            prepared(ledger, key)


def test_a_write_whose_session_ends_is_refused_with_its_first_cause(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)

    def act(connection: Connection) -> None:
        lock_head(ledger._store.database, connection)
        end_sessions(postgres_url)
        connection.execute(schema.head.select())

    with house.open(publishing=NEVER) as ledger:
        publisher = ledger._progress
        assert isinstance(publisher, Publisher)
        with pytest.raises(LedgerUnavailable, match=r"\(AdminShutdown\)"):
            publisher._commit(act)
        assert ledger.append_blocking(submission(), Level.SEQUENCED).entries[0].index == 0


class EndingSessions(FileMasterKeys):
    """Master keys in whose reading every session of a database ends."""

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(path)
        self._url = url

    def key(self, version: int) -> MasterKey:
        end_sessions(self._url)
        return super().key(version)


@pytest.mark.parametrize("work", [rewrap_keys, rebuild_projections])
def test_work_on_the_vault_whose_session_ends_is_refused_with_its_first_cause(
    postgres_url: str, tmp_path: Path, work: Callable[[Store, Vault], object]
) -> None:
    house = build(postgres_url, tmp_path)
    with house.open() as ledger:
        ledger.append_blocking(submission(answered(a=1)))
    rotate_master_key(tmp_path / "master.keys", os.urandom)
    store = open_store(postgres_url, readers=1)
    store.start_writing()
    with pytest.raises(LedgerUnavailable, match=r"\(AdminShutdown\)"):
        work(store, Vault(EndingSessions(tmp_path / "master.keys", postgres_url), ORIGIN, os.urandom))
    work(store, Vault(FileMasterKeys(tmp_path / "master.keys"), ORIGIN, os.urandom))
    store.close()


def test_guards_that_a_lock_keeps_from_being_restored_are_told_as_unavailable(
    postgres_url: str, tmp_path: Path
) -> None:
    build(postgres_url, tmp_path)
    store = open_store(f"{postgres_url}{'&' if '?' in postgres_url else '?'}options=-clock_timeout%3D200", readers=1)
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("DROP TRIGGER head_no_retreat ON head")
        connection.commit()
        connection.execute("LOCK TABLE head IN ROW EXCLUSIVE MODE")
        with pytest.raises(LedgerUnavailable, match=r"could not be restored \(LockNotAvailable\)"):
            store.start_writing(restore=True)
    store.close()
