"""With a synchronous standby, nothing is told of an entry that a fail-over may still lose: real servers, killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import LiteralString

import psycopg
import psycopg.sql
import pytest
from sqlalchemy.engine import make_url

from ledger import Ledger, LedgerUnavailable, LogShrunk, Publishing, verify_receipt
from ledger.log.checkpoint import open_checkpoint
from ledger.log.remembered import Remembered
from tests.ledger.house import ORIGIN, START, House, answered, build, submission
from tests.ledger.test_publishing import OneWitness
from tests.postgres import OwnServer, copied, own_server

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

KEY = bytes.fromhex("019ab0c00000") + b"once"
LATER = bytes.fromhex("019ab0c00001") + b"once"


@pytest.fixture
def server() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


def ask(server: OwnServer, *statements: LiteralString) -> list[tuple[object, ...]]:
    plain = server.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def standby_is_away(server: OwnServer) -> None:
    """Let every commit wait for a standby, of which there is none; the server says so after a crash as well."""
    ask(server, "ALTER ROLE postgres SET synchronous_commit = 'on'")
    ask(server, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")


def standby_is_back(server: OwnServer) -> None:
    ask(server, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")


_CUT_SHORT: LiteralString = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


async def cut_short(server: OwnServer, ledger: Ledger, key: bytes) -> None:
    """Append an entry that no standby has, and let the primary crash while it waits: then it is there to be read."""
    waiting = asyncio.create_task(ledger.append(submission(answered(), key=key)))
    while not ask(server, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"):
        await asyncio.sleep(0.02)
    server.kill()
    server.start()
    with pytest.raises(LedgerUnavailable):
        await waiting


def end_sessions(server: OwnServer) -> None:
    ask(server, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'log'")


def rename(server: OwnServer, database: str, name: str) -> None:
    rename = psycopg.sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with psycopg.connect(server.url.set(drivername="postgresql").render_as_string(), autocommit=True) as connection:
        connection.execute(rename.format(psycopg.sql.Identifier(database), psycopg.sql.Identifier(name)))


async def append(ledger: Ledger) -> None:
    """Append, again where the connection was lost."""
    while True:
        with suppress(LedgerUnavailable):
            await ledger.append(submission(answered()))
            return


def wal(server: OwnServer) -> object:
    return ask(server, "SELECT pg_current_wal_insert_lsn()")[0][0]


def opened(house: House, seen: Remembered | None = None) -> Ledger:
    return Ledger.open(
        house.url, origin=ORIGIN, signer=house.signer, verifiers=[house.signer.verifier],
        master_keys=house.master_keys, now=lambda: START, seen=seen,
    )  # fmt: skip


async def test_what_a_standby_may_not_have_is_not_told_before_it_has_it(server: OwnServer, tmp_path: Path) -> None:
    house = build(server.url.render_as_string(hide_password=False), tmp_path)
    with house.open() as ledger:
        first = await ledger.append(submission(answered(), key=KEY))
        standby_is_away(server)
        await cut_short(server, ledger, LATER)
        seen = await ledger.find(LATER)
        assert seen is not None
        refused: list[Callable[[], object]] = [
            lambda: ledger.replay(seen),
            lambda: ledger.receipt(1),
            lambda: ledger.receipt(0, 2),
            ledger.checkpoint,
            lambda: ledger.publication().get("checkpoint"),
        ]
        for telling in refused:
            with pytest.raises(LedgerUnavailable):
                await ledger.read(telling)
        # What was acknowledged is told all the same.
        known = await ledger.find(KEY)
        assert known is not None
        assert ledger.replay(known).receipts == first.receipts
        assert verify_receipt(ledger.receipt(0), [house.signer.verifier], ORIGIN).size == 1
        standby_is_back(server)
        told = await ledger.append(submission(answered(), key=LATER))
        assert (told.replayed, told.entries[0].index) == (True, 1)
        assert ledger.replay(seen).receipts == told.receipts
        assert open_checkpoint(ledger.checkpoint(), [house.signer.verifier], ORIGIN).size == 2


async def test_a_start_tells_and_remembers_nothing_that_a_standby_may_not_have(
    server: OwnServer, tmp_path: Path
) -> None:
    house = build(server.url.render_as_string(hide_password=False), tmp_path)
    remembered = tmp_path / "checkpoint.seen"
    with opened(house, Remembered(remembered)) as ledger:
        standby_is_away(server)
        await cut_short(server, ledger, KEY)
    before = remembered.read_bytes()
    with pytest.raises(LedgerUnavailable):
        opened(house, Remembered(remembered))
    assert remembered.read_bytes() == before
    with opened(house) as ledger:
        seen = ledger.lookup(KEY)
        assert seen is not None
        with pytest.raises(LedgerUnavailable):
            ledger.replay(seen)
        standby_is_back(server)
        while True:  # what began to be committed meanwhile comes to its end
            try:
                assert ledger.replay(seen).entries[0].index == 0
            except LedgerUnavailable:
                continue
            break
    opened(house, Remembered(remembered)).close()
    assert remembered.read_bytes() != before


async def test_no_witness_is_shown_what_a_standby_may_not_have(server: OwnServer, tmp_path: Path) -> None:
    house = build(server.url.render_as_string(hide_password=False), tmp_path)
    with house.open() as ledger:
        standby_is_away(server)
        await cut_short(server, ledger, KEY)
    witness = OneWitness(house)
    with house.open(publishing=Publishing(interval=0.02, cosigners=witness)) as ledger:
        await asyncio.sleep(0.5)
        assert witness.asked == []
        standby_is_back(server)
        while not witness.asked:
            await asyncio.sleep(0.02)
        assert witness.asked[0] == 1


async def test_a_commit_whose_wait_for_a_standby_was_cut_short_is_not_acknowledged(
    server: OwnServer, tmp_path: Path
) -> None:
    house = build(server.url.render_as_string(hide_password=False), tmp_path)
    with house.open() as ledger:
        await ledger.append(submission(answered()))
        standby_is_away(server)
        appending = asyncio.create_task(ledger.append(submission(answered(), key=KEY)))
        while not ask(server, _CUT_SHORT):
            await asyncio.sleep(0.02)
        with pytest.raises(LedgerUnavailable):
            await appending
        assert ledger.size() == 2  # the server said that it was done, and warned
        seen = ledger.lookup(KEY)
        assert seen is not None
        with pytest.raises(LedgerUnavailable):
            ledger.replay(seen)
        standby_is_back(server)
        assert (await ledger.append(submission(answered(), key=KEY))).replayed


async def test_what_another_process_appended_is_told_after_one_commit_and_what_this_one_did_without_any(
    server: OwnServer, tmp_path: Path
) -> None:
    house = build(server.url.render_as_string(hide_password=False), tmp_path)
    with house.open() as ours, house.open() as theirs:
        await ours.append(submission(answered(), key=KEY))
        seen = ours.lookup(KEY)
        assert seen is not None
        before = wal(server)
        own = ours.replay(seen)
        assert (ours.receipts([0]), wal(server)) == ([*own.receipts], before)
        await theirs.append(submission(answered(), key=LATER))
        before = wal(server)
        # A receipt of an older entry needs none either: it is made against what is known to stay.
        assert (ours.receipts([0]), wal(server)) == ([*own.receipts], before)
        seen = ours.lookup(LATER)
        assert seen is not None
        assert ours.replay(seen).size == 2
        after = wal(server)
        assert after != before
        assert verify_receipt(ours.receipt(0), [house.signer.verifier], ORIGIN).size == 2
        assert ours.replay(seen).receipts == (ours.receipt(1),)
        assert wal(server) == after


async def test_a_process_that_gave_out_a_receipt_of_another_s_entry_signs_nothing_that_contradicts_it(
    server: OwnServer, tmp_path: Path
) -> None:
    ask(server, "CREATE DATABASE log")
    url = server.url.set(database="log").render_as_string(hide_password=False)
    house = build(url, tmp_path)
    with copied(url) as older:
        with house.open() as theirs:
            await theirs.append(submission(answered(), key=KEY))
        remembered = tmp_path / "checkpoint.seen"
        with opened(house, seen := Remembered(remembered)) as ours:
            found = ours.lookup(KEY)
            assert found is not None
            told = ours.replay(found)
            assert verify_receipt(told.receipts[0], [house.signer.verifier], ORIGIN).size == 1
            end_sessions(server)
            rename(server, "log", "lost")
            rename(server, make_url(older).database or "", "log")
            with pytest.raises(LogShrunk):
                await append(ours)
        assert seen.recall() == told.receipts[0].split(b"\n\n", 1)[1]
        rename(server, "log", make_url(older).database or "")
