"""With `sign_after = standby`, what was signed survives the loss of the primary: two real servers."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from ledger import Level, Publishing, SignAfter, Signing
from ledger.appends.publishing import _STANDBYS
from ledger.log.checkpoint import open_checkpoint
from ledger.merkle import verify_consistency
from tests.ledger.house import ORIGIN, House, answered, build, submission
from tests.postgres import OwnServer, own_server

PUBLISHING = Publishing(signing=Signing.INTERVAL, sign_after=SignAfter.STANDBY, interval=0.05)
_A_WHILE = timedelta(seconds=0.5).total_seconds()
"""Ten rounds of the publisher: long enough to sign if it were going to."""


def at(server: OwnServer, house: House) -> House:
    url = server.url.render_as_string(hide_password=False)
    return House(url=url, signer=house.signer, master_keys=house.master_keys, directory=house.directory)


def streaming(server: OwnServer) -> bool:
    plain = server.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").fetchone()
    return row is not None and row[0] == 1


@pytest.mark.postgres
@pytest.mark.timeout(120)
async def test_nothing_is_signed_that_no_standby_has_and_a_fail_over_loses_nothing_signed(tmp_path: Path) -> None:
    with own_server() as primary:
        house = build(primary.url.render_as_string(hide_password=False), tmp_path)
        with own_server(primary) as standby:
            with house.open(publishing=PUBLISHING) as ledger:
                while not streaming(primary):
                    await asyncio.sleep(0.05)
                signed = await ledger.append(submission(answered()))
                standby.kill()
                await ledger.append(submission(answered()), Level.SEQUENCED)
                waiting = asyncio.create_task(ledger.append(submission(answered())))
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(waiting), _A_WHILE)
                assert not waiting.done()
                assert open_checkpoint(ledger.checkpoint(), [house.signer.verifier], ORIGIN).size == signed.size
                standby.start()
                later = await waiting
                note = ledger.checkpoint()
            primary.kill()
            standby.promote()
            with at(standby, house).open() as after:
                published = open_checkpoint(note, [house.signer.verifier], ORIGIN)
                assert published.size >= later.size
                assert after.size() >= published.size
                again = await after.append(submission(answered()))
                newest = open_checkpoint(after.checkpoint(), [house.signer.verifier], ORIGIN)
                proof = after.consistency(published.size, newest.size)
                verify_consistency(published.size, newest.size, proof, published.root, newest.root)
                assert again.size == newest.size
            primary.start()


@pytest.mark.postgres
@pytest.mark.timeout(120)
async def test_no_receipt_leaves_whose_checkpoint_no_standby_has_so_that_a_repeat_after_a_fail_over_is_the_same(
    tmp_path: Path,
) -> None:
    key = bytes.fromhex("019ab0c00000") + b"once"
    with own_server() as primary:
        house = build(primary.url.render_as_string(hide_password=False), tmp_path)
        plain = primary.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with own_server(primary) as standby:
            with (
                house.open(publishing=replace(PUBLISHING, interval=0.5)) as ledger,
                psycopg.connect(plain) as other,
                psycopg.connect(plain, autocommit=True) as looking,
            ):
                while not streaming(primary):
                    await asyncio.sleep(0.05)
                waiting = asyncio.create_task(ledger.append(submission(answered(), key=key)))
                while ledger.size() == 0:
                    await asyncio.sleep(0.005)
                other.execute("SELECT FROM head FOR UPDATE")  # the publisher has its entry confirmed, and waits here
                while not looking.execute("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall():
                    await asyncio.sleep(0.01)
                standby.kill()
                other.rollback()
                while not looking.execute("SELECT FROM checkpoint WHERE size = 1").fetchall():
                    await asyncio.sleep(0.01)
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(waiting), _A_WHILE)
                assert not waiting.done()
                standby.start()
                told = await waiting
            primary.kill()
            standby.promote()
            with at(standby, house).open() as after:
                await after.append(submission(answered()))
                again = await after.append(submission(answered(), key=key))
                assert (again.receipts, again.size) == (told.receipts, 1)
            primary.start()


@pytest.mark.postgres
async def test_whoever_waits_for_a_standby_that_is_not_there_says_so_once(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    with capture_logs() as said, house.open(publishing=PUBLISHING) as ledger:
        await ledger.append(submission(answered()), Level.SEQUENCED)
        while not said:
            await asyncio.sleep(0.02)
        await asyncio.sleep(_A_WHILE)
        assert [(one["log_level"], one["reason"]) for one in said] == [("warning", "no standby streams")]


@pytest.mark.postgres
@pytest.mark.timeout(120)
def test_a_role_that_may_not_see_standbys_is_told_apart_from_one_without_any() -> None:
    with own_server() as primary, own_server(primary):
        plain = primary.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not streaming(primary):
            time.sleep(0.05)
        with psycopg.connect(plain) as connection:
            connection.execute("CREATE ROLE clerk")
            connection.execute("SET ROLE clerk")
            assert standbys(connection) == (0, 0, 1)
            assert standbys(connection, "s1") == (0, 0, 1)
            connection.execute("RESET ROLE")
            connection.execute("GRANT pg_monitor TO clerk")
            connection.execute("SET ROLE clerk")
            assert standbys(connection) == (1, 1, 0)


def standbys(connection: psycopg.Connection[Any], *names: str) -> tuple[object, ...] | None:
    question = _STANDBYS.text.replace(":lsn", "'0/0'").replace(":names", f"'{{{','.join(names)}}}'")
    return connection.execute(question).fetchone()


@pytest.mark.postgres
@pytest.mark.timeout(120)
def test_only_a_server_that_can_be_promoted_and_is_named_counts_as_a_standby(tmp_path: Path) -> None:
    with own_server() as primary:
        plain = primary.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET wal_level = 'logical'")
        primary.kill()
        primary.start()
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute("CREATE PUBLICATION changes FOR ALL TABLES")
            connection.execute("SELECT pg_create_logical_replication_slot('changes', 'pgoutput')")
            options = ("-o", "proto_version=1", "-o", "publication_names=changes")
            with (
                primary.streaming("pg_recvlogical", "-d", "postgres", "-S", "changes", "--start", *options, "-f-"),
                primary.streaming("pg_receivewal", "-D", ".", "--synchronous"),
            ):
                while streamers(connection) < 2:
                    time.sleep(0.05)
                assert standbys(connection) == (0, 0, 0)
                with own_server(primary):
                    while streamers(connection) < 3:
                        time.sleep(0.05)
                    assert standbys(connection) == (1, 1, 0)
                    assert standbys(connection, "elsewhere", "walreceiver") == (1, 1, 0)
                    assert standbys(connection, "elsewhere") == (0, 0, 0)


def streamers(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.postgres
async def test_who_waits_for_the_standbys_that_are_named_says_which(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    named = replace(PUBLISHING, standbys=("s1", "s2"))
    with capture_logs() as said, house.open(publishing=named) as ledger:
        await ledger.append(submission(answered()), Level.SEQUENCED)
        while not said:
            await asyncio.sleep(0.02)
        assert said[0]["reason"] == "none of the standbys s1, s2 streams"
