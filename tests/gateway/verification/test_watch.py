"""WatchVerification: how it stands now, then each change, until nothing further is awaited or its client goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.client import (
    GatewayRefusal,
    InvalidQuestion,
    NotFound,
    Retries,
    Standing,
    Step,
    Verdict,
    new_request_id,
)

from .village import (
    PEOPLE,
    TIMEOUT,
    Service,
    Village,
    marital,
    premises,
    process,
    service,
    serving,
    settle,
    slow_source,
)

RIGHT = "示例路1号"


@pytest.fixture
async def housing() -> AsyncIterator[Service]:
    async with service({PEOPLE[0].id_number: RIGHT}) as here:
        yield here


@pytest.fixture
async def village(tmp_path: Path, housing: Service) -> AsyncIterator[Village]:
    async with serving(settle(tmp_path, sources=slow_source(housing.port))) as here:
        yield here


async def temporary(village: Village, housing: Service) -> str:
    """Ask while the source does not answer; returns the record of the answer, which says to ask again."""
    housing.answering.clear()
    answer = await village.client().verify(premises(0, RIGHT), timeout=1)
    assert answer.verification.next_step.kind is Step.RETRY_AFTER
    housing.answering.set()
    return answer.verification.record


async def all_of(standings: AsyncIterator[Standing]) -> list[Standing]:
    async with asyncio.timeout(TIMEOUT):
        return [one async for one in standings]


async def test_a_final_answer_is_told_and_ends_the_watch(village: Village) -> None:
    answer = await village.client().verify(premises(0, RIGHT))

    [standing] = await all_of(village.client().watch(answer.verification.record))

    assert (standing.final, standing.answer.verification) == (True, answer.verification)
    assert standing.answer.receipt.index == answer.receipt.index


async def test_a_later_asking_is_told_to_who_watches_the_first(village: Village, housing: Service) -> None:
    record = await temporary(village, housing)
    watching = village.client().watch(record)
    first = await anext(watching)
    unrelated = await village.client().verify(premises(1, RIGHT))

    again = await village.client().verify(premises(0, RIGHT))
    [second] = await all_of(watching)

    assert (first.final, first.answer.verification.record) == (False, record)
    assert (second.final, second.answer.verification) == (True, again.verification)
    assert second.answer.verification.record != unrelated.verification.record


async def test_another_claim_about_the_same_person_in_the_same_case_is_not_told(
    village: Village, housing: Service
) -> None:
    record = await temporary(village, housing)
    watching = village.client().watch(record)
    await anext(watching)
    mine = premises(0, RIGHT)
    other = await village.client().verify(replace(mine, parameters={"address": "别处"}, request_id=new_request_id()))
    again = await village.client().verify(mine)

    [second] = await all_of(watching)
    [late] = await all_of(village.client().watch(record))

    assert other.verification.verdict is not again.verification.verdict
    assert second.answer.verification == late.answer.verification == again.verification


async def test_a_watch_goes_on_from_its_cursor(village: Village, housing: Service) -> None:
    record = await temporary(village, housing)
    first = await anext(village.client().watch(record))
    again = await village.client().verify(premises(0, RIGHT))

    [second] = await all_of(village.client().watch(record, first.cursor))

    assert second.answer.verification == again.verification


async def test_a_watch_begun_late_starts_with_the_current_state(village: Village, housing: Service) -> None:
    record = await temporary(village, housing)
    again = await village.client().verify(premises(0, RIGHT))

    [standing] = await all_of(village.client().watch(record))

    assert standing.answer.verification == again.verification


async def test_another_case_about_the_same_person_is_not_told(village: Village, housing: Service) -> None:
    record = await temporary(village, housing)
    watching = village.client().watch(record)
    await anext(watching)
    other = premises(0, RIGHT)
    await village.client().verify(premises(0, RIGHT, in_case=replace(other.case, case_id="别案")))
    mine = await village.client().verify(other)

    [second] = await all_of(watching)

    assert second.answer.verification == mine.verification


async def test_many_watchers_are_all_told(village: Village, housing: Service) -> None:
    record = await temporary(village, housing)
    watches = [village.client().watch(record) for _ in range(20)]
    for watch in watches:
        await anext(watch)

    again = await village.client().verify(premises(0, RIGHT))

    for found in await asyncio.gather(*(all_of(watch) for watch in watches)):
        assert [one.answer.verification for one in found] == [again.verification]


async def test_a_watch_survives_the_stop_of_its_gateway(tmp_path: Path, housing: Service) -> None:
    house = settle(tmp_path, sources=slow_source(housing.port))
    text = house.config.read_text()
    with process(house) as running:
        record = await temporary(running.village, housing)
        port = running.village.port
        watching = running.village.client(retries=Retries(most=50, first=0.1, longest=0.5)).watch(record)
        await anext(watching)
        rest = asyncio.create_task(all_of(watching))
        await asyncio.to_thread(running.process.terminate)
        await asyncio.to_thread(running.process.wait, 10)
        house.config.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        with process(house) as second:
            again = await second.village.client().verify(premises(0, RIGHT))
            found = await rest
            await second.village.close()
        await running.village.close()

    assert [one.answer.verification for one in found] == [again.verification]
    assert running.process.returncode == 0


@pytest.mark.parametrize(("record", "kind"), [("0" * 32, NotFound), ("zz", InvalidQuestion)])
async def test_what_cannot_be_watched_is_refused(village: Village, record: str, kind: type[GatewayRefusal]) -> None:
    with pytest.raises(kind):
        await all_of(village.client().watch(record))


async def test_a_cursor_that_no_watch_gave_is_refused(village: Village) -> None:
    answer = await village.client().verify(marital(0))

    for cursor in ("x", "9" * 30, "١"):
        with pytest.raises(InvalidQuestion):
            await all_of(village.client().watch(answer.verification.record, cursor))


async def test_another_units_verification_is_not_found(village: Village) -> None:
    answer = await village.client().verify(marital(0))

    with pytest.raises(NotFound):
        await all_of(village.client("civil-clerk").watch(answer.verification.record))
    [standing] = await all_of(village.client("auditor").watch(answer.verification.record))
    assert standing.answer.verification.verdict is not Verdict.UNKNOWN
