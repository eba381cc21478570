"""A fail-over loses the newest checkpoint, or an entry that was not published: what was told of it is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from gateway.errors import NotYetPublished
from gateway.flows.await_receipts import answer_by, when_published
from gateway.flows.look_up import LookUp
from gateway.flows.once import Once
from ledger import BlindIndex, Ledger, LedgerDamaged, LedgerUnavailable, Level
from ledger.appends.publishing import Publisher
from tests.gateway.flows.test_once import body, request
from tests.ledger.house import START, House, answered, build, new_record, submission
from tests.ledger.test_publishing import NEVER
from tests.ledger.test_settling import ask, end_sessions, rename
from tests.postgres import OwnServer, copied, own_server

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

INDEX = BlindIndex(key=bytes(range(32)), version=1)
KEY = bytes.fromhex("019ab0c00000") + b"once"


@pytest.fixture
def server() -> Iterator[OwnServer]:
    with own_server() as server:
        ask(server, "CREATE DATABASE log")
        yield server


def founded(server: OwnServer, folder: Path) -> House:
    return build(server.url.set(database="log").render_as_string(hide_password=False), folder)


@contextmanager
def falling_over(server: OwnServer, house: House) -> Iterator[Callable[[], None]]:
    """Copy the log as a standby has it now; what is lent puts the copy in its place."""
    end_sessions(server)
    with copied(house.url) as standby:
        name = make_url(standby).database or ""

        def fall_over() -> None:
            end_sessions(server)
            rename(server, "log", "lost")
            rename(server, name, "log")

        try:
            yield fall_over
        finally:
            end_sessions(server)
            rename(server, "log", name)
            rename(server, "lost", "log")


def publish(ledger: Ledger) -> None:
    publisher = ledger._progress
    assert isinstance(publisher, Publisher)
    publisher.round()


async def test_what_was_published_before_a_fail_over_and_is_not_after_it_is_waited_for_as_if_it_never_was(
    server: OwnServer, tmp_path: Path
) -> None:
    house = founded(server, tmp_path)
    with house.open(publishing=NEVER) as ledger:
        asked = request(body())
        once, look_up = Once(ledger, INDEX), LookUp(ledger)
        making = asyncio.create_task(once.record(asked, [answered(new_record(), request=asked.body)], at=START))
        while ledger.size() == 0:
            await asyncio.sleep(0.005)
        with falling_over(server, house) as fall_over:
            await asyncio.to_thread(publish, ledger)
            first = await making
            fall_over()
            looks = 0

            async def look() -> bytes:
                nonlocal looks
                looks += 1
                return await ledger.read(lambda: ledger.receipt(0))

            reads: list[Callable[[], Awaitable[object]]] = [
                lambda: once.replay(asked),
                lambda: look_up.receipt(0),
                lambda: when_published(ledger, look),
                lambda: once.record(asked, [answered(new_record(), request=asked.body)], at=START),
            ]
            for read in reads:
                deadline = asyncio.get_running_loop().time() + 0.4
                answer_by(deadline)
                with pytest.raises(NotYetPublished):
                    await asyncio.wait_for(read(), 20)
            assert looks <= 3
            answer_by(asyncio.get_running_loop().time() + 20)
            waiting = [asyncio.ensure_future(read()) for read in reads]
            await asyncio.sleep(0.1)
            await asyncio.to_thread(publish, ledger)
            replayed, _, proof, again = await asyncio.gather(*waiting)
            assert proof == first.receipts[0]
            for one in (replayed, again):
                assert getattr(one, "receipts", None) == first.receipts


async def test_an_append_that_waits_for_a_checkpoint_waits_for_one_that_stays(
    server: OwnServer, tmp_path: Path
) -> None:
    house = founded(server, tmp_path)
    with house.open(publishing=NEVER) as ledger:
        await ledger.append(submission(answered(), key=KEY), Level.SEQUENCED)
        with falling_over(server, house) as fall_over:
            await asyncio.to_thread(publish, ledger)
            fall_over()
            waiting = [
                asyncio.create_task(repeated(ledger)),
                asyncio.create_task(asyncio.to_thread(blocking, ledger)),
            ]
            await asyncio.sleep(0.3)
            assert not any(one.done() for one in waiting)
            await asyncio.to_thread(publish, ledger)
            assert await asyncio.gather(*waiting) == [1, 1]


async def repeated(ledger: Ledger) -> int:
    while True:
        try:
            return (await ledger.append(submission(answered(), key=KEY))).size
        except LedgerUnavailable:  # the connection was lost
            await asyncio.sleep(0.01)


def blocking(ledger: Ledger) -> int:
    while True:
        try:
            return ledger.append_blocking(submission(answered(), key=KEY)).size
        except LedgerUnavailable:
            continue


async def test_nobody_is_given_the_receipt_of_another_entry_for_one_that_a_fail_over_lost(
    server: OwnServer, tmp_path: Path
) -> None:
    house = founded(server, tmp_path)
    with house.open(publishing=NEVER) as ledger, falling_over(server, house) as fall_over:
        waiting = asyncio.create_task(ledger.append(submission(answered())))
        while ledger.size() == 0:
            await asyncio.sleep(0.005)
        fall_over()
        with house.open(publishing=NEVER) as other:
            await other.append(submission(answered()), Level.SEQUENCED)
        await asyncio.to_thread(publish, ledger)
        with pytest.raises(LedgerUnavailable, match="lost what was recorded"):
            await waiting


async def test_a_checkpoint_that_is_not_kept_is_damage_and_not_waited_for(server: OwnServer, tmp_path: Path) -> None:
    house = founded(server, tmp_path)
    with house.open(publishing=NEVER) as ledger:
        await ledger.append(submission(answered()), Level.SEQUENCED)
        await asyncio.to_thread(publish, ledger)
        ledger.take_back(1)
        with psycopg.connect(make_url(house.url).set(drivername="postgresql").render_as_string()) as connection:
            connection.execute("ALTER TABLE checkpoint DISABLE TRIGGER USER")
            connection.execute("DELETE FROM checkpoint WHERE size = 1")
        with pytest.raises(LedgerDamaged):
            ledger.take_back(1)
