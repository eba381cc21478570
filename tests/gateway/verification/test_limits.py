"""Limits of each caller: refused with the time to come again; others are not slowed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.client import InvalidQuestion, NotNow
from gateway.config import load_settings
from gateway.errors import CallsTooFast, ConfigurationError, TooManyCalls
from gateway.founding import caller_id
from gateway.rpc.limits import CallerLimits, Limits
from gateway.rules.roles import Caller, Role

from .village import case, marital, premises, service, serving, settle, slow_source

ONE, TWO = (Caller(id=name, unit="u", roles=frozenset({Role.CLERK})) for name in ("one", "two"))
OWN = f"""
[[limits.callers]]
id = "{caller_id("officer")}"
concurrent_calls = 50
"""


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


async def test_a_caller_with_too_many_calls_under_way_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with service() as housing:
        house = settle(tmp_path, sources=slow_source(housing.port) + OWN,
                       tune={"concurrent_calls = 1024 ": "concurrent_calls = 3 "})  # fmt: skip
        async with serving(house) as village:
            housing.answering.clear()
            clerk = village.client()
            waiting = [asyncio.create_task(clerk.verify(premises(index, "某处"))) for index in range(3)]
            await housing.until(lambda: housing.asked == 3)

            with pytest.raises(NotNow) as caught:
                await clerk.verify(marital(0))
            own = [village.client("officer").verify(marital(index)) for index in range(5)]
            assert len(await asyncio.gather(*own)) == 5

            housing.answering.set()
            assert len(await asyncio.gather(*waiting)) == 3
            await clerk.verify(marital(0))
    assert caught.value.reason == "TOO_MANY_CALLS"
    assert caught.value.retry_after == timedelta(milliseconds=200)


async def test_a_caller_that_calls_too_fast_is_refused_but_a_stream_only_waits(tmp_path: Path) -> None:
    tune = {"calls_per_second = 10000 ": "calls_per_second = 20 "}
    async with serving(settle(tmp_path, tune=tune)) as village:
        client = village.client()
        answered = [one async for one in client.verify_many(marital(index) for index in range(100))]
        with pytest.raises(NotNow) as caught:
            await asyncio.gather(*(client.explain("230000-CIV-005", "marital-status") for _ in range(100)))

    assert all(one.answer for one in answered)
    assert caught.value.reason == "CALLS_TOO_FAST"
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > timedelta(0)


def test_a_rate_admits_its_burst_and_then_its_average() -> None:
    clock = Clock()
    limits = Limits(CallerLimits(calls=10, rate=10, burst=1.0), {}, clock=clock)

    def admitted(caller: Caller, tries: int) -> int:
        done = 0
        for _ in range(tries):
            with suppress(CallsTooFast), limits.call(caller):
                done += 1
        return done

    assert admitted(ONE, 100) == 10
    assert admitted(TWO, 5) == 5, "another caller is not slowed"
    clock.time += 0.5
    assert admitted(ONE, 100) == 5
    clock.time += 3600
    assert admitted(ONE, 100) == 10, "what was not used is not saved up"


def test_the_wait_that_is_told_is_enough() -> None:
    clock = Clock()
    limits = Limits(CallerLimits(calls=10, rate=3, burst=1.0), {}, clock=clock)
    for _ in range(50):
        try:
            with limits.call(ONE):
                pass
        except CallsTooFast as refusal:
            clock.time += refusal.retry_after.total_seconds()
            with limits.call(ONE):
                pass


def test_calls_that_ended_make_room_also_when_they_failed() -> None:
    limits = Limits(CallerLimits(calls=1, rate=1000), {"two": CallerLimits(calls=2, rate=1000)}, clock=Clock())

    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limits.call(ONE):
            raise ZeroDivisionError
    with limits.call(ONE), limits.call(TWO), limits.call(TWO):
        with pytest.raises(TooManyCalls), limits.call(ONE):
            pass
        with pytest.raises(TooManyCalls), limits.call(TWO):
            pass


def test_wrong_limits_are_all_named_at_once(tmp_path: Path) -> None:
    house = settle(tmp_path)
    text = house.config.read_text()
    wrong = '[[limits.callers]]\nid = "spiffe://nobody"\nconcurrent_calls = 0\nbogus = 1\n'
    text = text.replace("guess_budget = 5 ", "guess_budget = 0 ").replace("batch_items = 1000 ", 'batch_items = "x" ')
    house.config.write_text(text.replace("[commitments]", f"{wrong}[commitments]"))

    with pytest.raises(ConfigurationError) as caught:
        load_settings(house.config)

    told = "\n".join(caught.value.mistakes)
    for part in (
        "verification.guess_budget",
        "limits.batch_items",
        "limits.callers[0].id: is not one of the callers",
        "limits.callers[0].concurrent_calls",
        "limits.callers[0].bogus: is not known",
    ):
        assert part in told
    assert len(caught.value.mistakes) == 5


async def test_a_text_that_is_too_long_is_refused_by_field(tmp_path: Path) -> None:
    async with serving(settle(tmp_path)) as village:
        with pytest.raises(InvalidQuestion) as caught:
            await village.client().verify(marital(0, in_case=case("办" * 129)))

    assert [mistake.field for mistake in caught.value.mistakes] == ["context.case_id"]
