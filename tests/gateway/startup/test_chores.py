"""What a gateway does by the clock fails without hindering it, and stops it only for damage."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.bootstrap.chores import Chore, Chores
from gateway.errors import NotYetPublished
from ledger import AnchorUnavailable, LogShrunk
from tests.ledger.house import START, answered, build, submission
from tests.ledger.test_publishing import NEVER as NEVER_PUBLISHED

NOW, NEVER = timedelta(0), timedelta(days=1)


def chore(act: object, *, retry: timedelta = NOW, every: timedelta = NEVER, at_close: bool = False) -> Chore:
    return Chore(name="test", act=act, every=every, first=NOW, retry=retry, at_close=at_close)  # type: ignore[arg-type]


async def test_a_failed_chore_is_tried_again_until_it_succeeds() -> None:
    loop, done, tries = asyncio.get_running_loop(), asyncio.Event(), []

    def act() -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            raise AnchorUnavailable("down")
        if len(tries) == 2:
            raise OSError("full")
        if len(tries) == 3:
            raise ZeroDivisionError
        loop.call_soon_threadsafe(done.set)

    stop = asyncio.Event()
    async with Chores([chore(act)], stop):
        await done.wait()
    assert tries == [0, 1, 2, 3]
    assert not stop.is_set()


async def test_damage_stops_the_gateway_and_ends_it_as_an_error() -> None:
    def act() -> None:
        raise LogShrunk("fewer entries than before")

    stop = asyncio.Event()
    with pytest.raises(LogShrunk, match="fewer"):
        async with Chores([chore(act)], stop):
            await stop.wait()


async def test_an_error_of_the_gateway_itself_is_not_hidden_by_damage() -> None:
    def act() -> None:
        raise LogShrunk("fewer entries than before")

    async def serve() -> None:
        stop = asyncio.Event()
        async with Chores([chore(act)], stop):
            await stop.wait()
            raise KeyError

    with pytest.raises(KeyError):
        await serve()


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with-an-owner"])
async def test_chores_that_wait_for_publication_end_with_the_gateway(tmp_path: Path, *, shared: bool) -> None:
    house = build(f"sqlite:///{tmp_path}/ledger.db", tmp_path)
    with house.shared(NEVER_PUBLISHED) if shared else house.open(publishing=NEVER_PUBLISHED) as ledger:

        async def sweep() -> None:
            await ledger.append(submission(answered()))

        chores = [chore(sweep), chore(lambda: ledger.commit_index(START))]
        async with asyncio.timeout(20), Chores(chores, asyncio.Event()):
            while ledger.size() < 2:
                await asyncio.sleep(0.01)
            ledger.hurry()


async def test_a_chore_whose_entry_is_not_published_yet_is_no_fault_and_says_why() -> None:
    done = asyncio.Event()

    async def act() -> None:
        done.set()
        raise NotYetPublished

    with capture_logs() as said:
        async with Chores([chore(act, retry=NEVER)], asyncio.Event()):
            await done.wait()
    assert [(one["log_level"], one["error"]) for one in said] == [("warning", "NotYetPublished")]
    assert "published" in said[0]["reason"]


async def test_a_chore_may_be_done_once_more_at_the_end() -> None:
    tries: list[int] = []
    asked = Chore(
        name="test", act=lambda: tries.append(1), every=NEVER, first=NEVER, retry=NEVER, at_close=True
    )  # fmt: skip
    async with Chores([asked], asyncio.Event()):
        assert tries == []
    assert tries == [1]


async def test_a_coroutine_function_is_awaited_on_the_loop_and_its_failure_hinders_nothing() -> None:
    loop, done, tries = asyncio.get_running_loop(), asyncio.Event(), []

    async def act() -> None:
        assert asyncio.get_running_loop() is loop
        tries.append(len(tries))
        if len(tries) < 3:
            raise AnchorUnavailable("down")
        done.set()

    stop = asyncio.Event()
    async with Chores([chore(act)], stop):
        await done.wait()
    assert tries == [0, 1, 2]
    assert not stop.is_set()
