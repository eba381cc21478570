"""Turns: of the processes that share a ledger, one at a time does what should be done once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from ledger import Ledger, LedgerUnavailable
from tests.ledger.house import House, build
from tests.postgres import own_server


@pytest.fixture
def postgres_house(tmp_path: Path, postgres_url: str) -> House:
    return build(postgres_url, tmp_path)


async def test_who_asks_alone_has_the_turn_each_time(opened: Ledger) -> None:
    for _ in range(3):
        async with opened.turn("a chore") as mine:
            assert mine


@pytest.mark.postgres
async def test_a_second_process_is_told_that_another_has_it_and_does_not_wait(postgres_house: House) -> None:
    with postgres_house.open() as one, postgres_house.open() as other:
        async with one.turn("a chore") as mine:
            assert mine
            async with other.turn("a chore") as theirs:
                assert not theirs
            async with other.turn("a chore") as still:
                assert not still, "who was refused has ended nothing"
        async with other.turn("a chore") as theirs:
            assert theirs


@pytest.mark.postgres
async def test_turns_at_different_things_are_apart(postgres_house: House) -> None:
    with postgres_house.open() as one, postgres_house.open() as other:
        async with one.turn("a chore") as mine, other.turn("another") as theirs:
            assert mine
            assert theirs


@pytest.mark.postgres
async def test_a_turn_that_fails_ends(postgres_house: House) -> None:
    with postgres_house.open() as one, postgres_house.open() as other:
        with pytest.raises(ZeroDivisionError):
            async with one.turn("a chore"):
                raise ZeroDivisionError
        async with other.turn("a chore") as theirs:
            assert theirs


@pytest.mark.postgres
async def test_who_is_cancelled_before_the_answer_leaves_no_turn_taken(postgres_house: House) -> None:
    async def take(ledger: Ledger) -> None:
        async with ledger.turn("a chore"):
            await asyncio.sleep(60)

    with postgres_house.open() as one, postgres_house.open() as other:
        for _ in range(10):
            task = asyncio.create_task(take(one))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with other.turn("a chore") as theirs:
                assert theirs


@pytest.mark.postgres
async def test_a_turn_ends_with_the_connection_that_holds_it(postgres_house: House) -> None:
    plain = make_url(postgres_house.url).set(drivername="postgresql").render_as_string(hide_password=False)
    with postgres_house.open() as one, postgres_house.open() as other:
        async with one.turn("a chore") as mine:
            assert mine
            with psycopg.connect(plain, autocommit=True) as administrator:
                administrator.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            async with other.turn("a chore") as theirs:
                assert theirs
        async with one.turn("a chore") as again:
            assert again, "and who lost it goes on"


@pytest.mark.postgres
async def test_no_turn_is_taken_while_the_database_is_away(tmp_path: Path) -> None:
    with own_server() as own, build(own.url.render_as_string(hide_password=False), tmp_path).open() as ledger:
        own.kill()
        with pytest.raises(LedgerUnavailable):
            async with ledger.turn("a chore"):
                pytest.fail("nobody can know whose turn it is")
        own.start()
