"""A database that loses its newest entries while gateways run: they stop, and no history is signed twice."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from grpc import aio

from gateway.v1 import verification_pb2_grpc
from ledger.log.checkpoint import read_checkpoint
from tests import started
from tests.gateway.test_workers import Running, ask_all, running

pytestmark = pytest.mark.timeout(120)


def seen(place: Running) -> int:
    return read_checkpoint((place.house.home / "keys" / "checkpoint.seen").read_bytes()).size


async def ask_until_it_ends(place: Running) -> None:
    """Ask again and again, as callers do, until nobody answers any more."""
    (channel,) = place.channels(1)
    async with channel:
        stub = verification_pb2_grpc.VerificationServiceStub(channel)
        while place.parent.poll() is None:
            with suppress(aio.AioRpcError):
                await stub.Verify(place.question(), timeout=5)  # type: ignore[arg-type]
            await asyncio.sleep(0.05)


def require_refused(place: Running, acknowledged: int) -> None:
    """Require that everything ended with status 3, remembers what was acknowledged, and does not start again."""
    assert place.parent.wait(60) == 3
    assert seen(place) >= acknowledged
    again = started.run("serve", "--config", place.house.config)
    assert (again.returncode, again.stdout) == (3, "")
    assert "LogShrunk" in again.stderr


def copy(of: Path, to: Path) -> None:
    """Copy an SQLite database, into one that others have open as well."""
    with closing(sqlite3.connect(of)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_sqlite_file_restored_under_a_running_gateway_stops_it(tmp_path: Path, workers: int) -> None:
    with running(tmp_path, "sqlite:///ledger.sqlite3", workers) as place:
        database = place.house.home / "ledger.sqlite3"
        asyncio.run(ask_all(place, 4))
        copy(database, tmp_path / "backup")
        answers = asyncio.run(ask_all(place, 8))
        with closing(sqlite3.connect(database)) as opened:
            (acknowledged,) = opened.execute("SELECT published FROM head").fetchone()
        assert seen(place) < acknowledged
        copy(tmp_path / "backup", database)
        asyncio.run(asyncio.wait_for(ask_until_it_ends(place), 60))
        require_refused(place, acknowledged)
    assert len(answers) == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_an_sqlite_file_restored_under_an_idle_gateway_is_found_when_it_ends(tmp_path: Path, workers: int) -> None:
    with running(tmp_path, "sqlite:///ledger.sqlite3", workers) as place:
        database = place.house.home / "ledger.sqlite3"
        copy(database, tmp_path / "backup")
        asyncio.run(ask_all(place, 8))
        with closing(sqlite3.connect(database)) as opened:
            (acknowledged,) = opened.execute("SELECT published FROM head").fetchone()
        copy(tmp_path / "backup", database)
        place.parent.terminate()
        require_refused(place, acknowledged)


def lose(url: str, size: int) -> int:
    """Take a PostgreSQL ledger back to what it was when it had `size` entries, as a standby that lags is.

    The published checkpoint of that size must be there. Returns how many entries there were.
    """
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("BEGIN")
        head = connection.execute("SELECT published FROM head FOR UPDATE").fetchone()
        assert head is not None
        connection.execute(
            "UPDATE head SET size = c.size, published = c.size, root = c.root, note = c.note"
            " FROM checkpoint c WHERE c.size = %s",
            (size,),
        )
        connection.execute("UPDATE tile SET width = %s, data = substr(data, 1, %s)", (size, 32 * size))
        connection.execute("DELETE FROM entry WHERE idx >= %s", (size,))
        connection.execute("DELETE FROM checkpoint WHERE size > %s", (size,))
        connection.execute("DELETE FROM record WHERE first_idx >= %s", (size,))
        connection.execute("DELETE FROM idempotency WHERE first_idx >= %s", (size,))
        connection.execute("DELETE FROM uniqueness")
        for table in ("vault_document", "vault_key"):
            connection.execute(f"DELETE FROM {table} WHERE idx >= %s", (size,))  # type: ignore[arg-type]
        connection.execute("COMMIT")
    return int(head[0])


@pytest.mark.postgres
@pytest.mark.parametrize("workers", [1, 2])
def test_a_fail_over_that_lost_entries_stops_a_gateway_for_good(
    tmp_path: Path, postgres_url: str, workers: int
) -> None:
    with running(tmp_path, postgres_url, workers) as place:
        asyncio.run(ask_all(place, 12))
        before = seen(place)
        acknowledged = lose(postgres_url, before)
        assert before < acknowledged
        asyncio.run(asyncio.wait_for(ask_until_it_ends(place), 60))
        require_refused(place, acknowledged if workers == 1 else before + 1)
