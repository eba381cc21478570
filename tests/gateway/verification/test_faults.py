"""Faults at the gateway, each with real processes: nothing is told that is not durable, nothing durable is lost."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import psycopg
import pytest
from grpc import aio
from sqlalchemy.engine import make_url

from gateway.client import Answer, GatewayClient, LogKeys, Question, Retries, Selection, Unavailable, Verdict

from .village import PEOPLE, Process, Village, marital, premises, process, service, settle, slow_source

ONCE = Retries(most=0)
RIGHT = "示例路1号"


def plain(url: str, database: str | None = None) -> str:
    made = make_url(url).set(drivername="postgresql")
    return (made if database is None else made.set(database=database)).render_as_string(hide_password=False)


@contextmanager
def shut(url: str) -> Iterator[None]:
    """Take a database away: no connection stays, none is let in."""
    name = make_url(url).database
    with psycopg.connect(plain(url, "postgres"), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


async def refused(village: Village, question: Question, *, within: float = 5) -> Unavailable:
    """Ask once, and give the refusal that says to come again."""
    with pytest.raises(Unavailable) as caught:
        await village.client(retries=ONCE).verify(question, timeout=within)
    refusal = caught.value
    assert refusal.reason == "LEDGER_UNAVAILABLE"
    assert refusal.retry_after is not None
    assert refusal.retry_after > timedelta(0)
    assert refusal.chinese
    return refusal


async def refused_in_batch(village: Village, question: Question) -> None:
    [outcome] = [one async for one in village.client(retries=ONCE).verify_many([question])]
    assert isinstance(outcome.refusal, Unavailable)
    assert outcome.refusal.retry_after is not None


async def answered(village: Village) -> set[str]:
    return {one.record async for one in village.client().answers(Selection())}


@pytest.mark.postgres
async def test_without_its_database_nothing_is_answered_and_all_goes_on_when_it_is_back(
    tmp_path: Path, postgres_url: str
) -> None:
    with process(settle(tmp_path, url=postgres_url)) as running:
        village = running.village
        before = await village.client().verify(marital(0))
        with shut(postgres_url):
            await refused(village, marital(1))
            await refused_in_batch(village, marital(2))

        patient = Retries(most=50, first=0.1, longest=0.5)
        after = await village.client(retries=patient).verify(marital(3))
        assert await answered(village) == {before.verification.record, after.verification.record}
        await village.close()


@pytest.mark.postgres
async def test_a_slow_database_is_told_before_the_deadline_and_the_repetition_gets_what_was_recorded(
    tmp_path: Path, postgres_url: str
) -> None:
    with process(settle(tmp_path, url=postgres_url)) as running:
        village = running.village
        await village.client().verify(marital(0))
        question = marital(1)
        with psycopg.connect(plain(postgres_url)) as blocker:
            blocker.execute("SELECT * FROM head FOR UPDATE")
            await refused(village, question, within=2)
            blocker.rollback()

        answer = await village.client().verify(question)
        again = await village.client().verify(question)
        assert again == answer
        assert len(await answered(village)) == 2
        await village.close()


async def test_a_full_disk_answers_nothing_and_loses_nothing(tmp_path: Path) -> None:
    house = settle(tmp_path)
    with process(house) as running:
        village = running.village
        first = await village.client().verify(marital(0))
        with full_disk(running, house.home / "ledger.sqlite3-wal"):
            for index in range(1, 4):
                await refused(village, marital(index))
            await refused_in_batch(village, marital(4))

        second = await village.client().verify(marital(5))
        assert await answered(village) == {first.verification.record, second.verification.record}
        await village.close()


@contextmanager
def full_disk(running: Process, file: Path) -> Iterator[None]:
    """Let no file of a process grow beyond what one of them holds now: writing further fails as on a full disk."""
    free = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (file.stat().st_size, free[1]))
    try:
        yield
    finally:
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, free)


@asynccontextmanager
async def crowd(village: Village, count: int) -> AsyncIterator[list[GatewayClient]]:
    """Connect many clients, each with a connection of its own."""
    certificate, key = village.house.pair("clerk")
    credentials = grpc.ssl_channel_credentials(
        village.house.authority.read_bytes(), key.read_bytes(), certificate.read_bytes()
    )
    keys = LogKeys.read(village.house.vkey)
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [aio.secure_channel(f"127.0.0.1:{village.port}", credentials, options=options) for _ in range(count)]
    try:
        yield [GatewayClient(channel, keys=keys, timeout=100) for channel in channels]
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def test_a_thousand_clients_at_once_are_all_answered(tmp_path: Path) -> None:
    with process(settle(tmp_path)) as running:
        async with crowd(running.village, 1000) as clients:
            answers: list[Answer] = await asyncio.gather(
                *(client.verify(marital(index)) for index, client in enumerate(clients))
            )
    assert len({answer.receipt.index for answer in answers}) == 1000
    married = [PEOPLE[index % len(PEOPLE)].marital == "married" for index in range(1000)]
    # Whoever the source could not take in is told so, never that there is no record.
    told = {Verdict.ESTABLISHED, Verdict.CONTRADICTED, Verdict.UNDETERMINED}
    assert {answer.verification.verdict for answer in answers} <= told
    established = [answer.verification.verdict is Verdict.ESTABLISHED for answer in answers]
    assert all(wed for wed, is_established in zip(married, established, strict=True) if is_established)


async def test_a_client_killed_in_mid_call_stops_the_source_and_leaves_no_trace(tmp_path: Path) -> None:
    async with service({PEOPLE[0].id_number: RIGHT}) as housing:
        with process(settle(tmp_path, sources=slow_source(housing.port))) as running:
            housing.answering.clear()
            asking = asyncio.create_task(running.village.client().verify(premises(0, RIGHT)))
            await housing.until(lambda: housing.asked == 1)

            asking.cancel()
            await running.village.close()

            await housing.until(lambda: housing.left == 1)
            assert await answered(running.village) == set()
            await running.village.close()
