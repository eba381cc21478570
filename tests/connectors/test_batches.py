import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.connector import Claim
from connectors.errors import SourceUnavailable
from connectors.outcome import MATCH, Cause, Evidence, Kind
from connectors.resilience import Resilient
from connectors.telemetry import Counts
from tests.connectors.clockwork import FACT, Written, about, after, play, says, seconds, wrapped
from tests.connectors.people import question

BATCH = {"batch": 100, "lanes": 1}


def garbled_by(*bad: int) -> object:
    """Answer, unless one of some people is among those asked about."""

    async def answer(claims: Sequence[Claim], _number: int) -> list[Evidence]:
        if {one.subject for one in claims} & {about(number).subject for number in bad}:
            raise SourceUnavailable("s", Cause.GARBLED)
        return says(claims)

    return answer


def test_a_thousand_questions_at_once_become_ten_calls() -> None:
    async def ask() -> list[int]:
        inner = Written(after(0.1), **BATCH)
        source = wrapped(inner)
        found = await asyncio.gather(
            *(source.check_many([about(n)], question(operator=f"clerk-{n}")) for n in range(1000))
        )
        assert all(one[0].outcome is MATCH for one in found)
        return [len(call) for call in inner.calls]

    assert play(ask()) == [100] * 10


def test_an_idle_source_is_asked_at_once_and_a_busy_one_when_it_is_free() -> None:
    async def ask() -> tuple[list[int], float]:
        inner = Written(after(1), **BATCH)
        source = wrapped(inner)
        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(source.check_many([about(number)], question())))
            await asyncio.sleep(0.1)
        await asyncio.gather(*tasks)
        return [len(call) for call in inner.calls], seconds()

    assert play(ask()) == ([1, 4], pytest.approx(2.0))


def test_a_source_that_is_told_who_asks_gets_no_questions_of_two_callers_in_one_call() -> None:
    async def ask() -> list[int]:
        inner = Written(after(0.1))
        source = wrapped(inner)
        await asyncio.gather(*(source.check_many([about(n), about(n + 9)], question(case=f"{n}")) for n in range(3)))
        return [len(call) for call in inner.calls]

    assert play(ask()) == [2, 2, 2]


def test_each_caller_of_a_batch_keeps_its_own_deadline() -> None:
    async def ask() -> list[tuple[Kind, float]]:
        source = wrapped(Written(after(2), **BATCH))

        async def one(number: int, deadline: float) -> tuple[Kind, float]:
            [evidence] = await source.check_many([about(number)], question(deadline))
            return evidence.outcome.kind, seconds()

        return await asyncio.gather(one(1, 0.5), one(2, 10), one(3, 1.5))

    assert play(ask()) == [(Kind.UNAVAILABLE, 0.5), (Kind.MATCH, 2.0), (Kind.UNAVAILABLE, 1.5)]


def test_a_caller_that_goes_away_takes_nobody_along_and_the_last_one_stops_the_call() -> None:
    async def ask() -> tuple[list[int], list[int], list[int]]:
        inner = Written(after(2), **BATCH)
        source = wrapped(inner)
        tasks = [asyncio.create_task(source.check_many([about(n)], question())) for n in range(3)]
        await asyncio.sleep(1)
        tasks[0].cancel()
        await asyncio.sleep(0)
        stopped_by_one = list(inner.cancelled)
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await source.check_many([about(1)], question())  # the lane is free again
        return stopped_by_one, inner.cancelled, [len(call) for call in inner.calls]

    assert play(ask()) == ([], [1], [3, 1])


def test_those_who_gave_up_while_they_waited_are_not_asked_about() -> None:
    async def ask() -> list[int]:
        inner = Written(after(1), **BATCH)
        source = wrapped(inner)
        first = asyncio.create_task(source.check_many([about(0)], question()))
        await asyncio.sleep(0.1)
        waiting = [asyncio.create_task(source.check_many([about(n)], question(0.5))) for n in range(1, 9)]
        late = asyncio.create_task(source.check_many([about(9)], question()))
        await asyncio.gather(first, *waiting, late)
        return [len(call) for call in inner.calls]

    assert play(ask()) == [1, 1]


@settings(deadline=None, max_examples=40)
@given(st.sets(st.integers(min_value=0, max_value=63), max_size=4))
def test_a_record_that_cannot_be_read_spoils_its_own_answer_only(bad: set[int]) -> None:
    async def ask() -> set[int]:
        source = wrapped(Written(garbled_by(*bad), **BATCH), breaker_failures=100)  # type: ignore[arg-type]
        found = await source.check_many([about(n) for n in range(64)], question())
        assert all(one.outcome.kind in (Kind.MATCH, Kind.UNAVAILABLE) for one in found)
        return {index for index, one in enumerate(found) if one.outcome.cause is Cause.GARBLED}

    assert play(ask()) == bad


@pytest.mark.parametrize("bad", [0, 50, 77, 99])
def test_one_bad_record_neither_opens_the_breaker_nor_costs_many_calls(bad: int) -> None:
    async def ask() -> tuple[int, int, int]:
        inner = Written(garbled_by(bad), **BATCH)  # type: ignore[arg-type]
        source = wrapped(inner)
        for _ in range(3):
            found = await source.check_many([about(n) for n in range(100)], question())
        garbled = [one for one in found if one.outcome.cause is Cause.GARBLED]
        return len(garbled), len(inner.calls), len(source.outages())

    garbled, calls, outages = play(ask())
    assert (garbled, outages) == (1, 0)
    assert calls <= 3 * (1 + 2 * 7)


@pytest.mark.parametrize("bad", [0, 99])
def test_a_source_that_came_back_is_well_though_one_of_the_records_first_asked_for_cannot_be_read(bad: int) -> None:
    async def ask() -> tuple[list[Kind], bool]:
        spoilt = garbled_by(bad)

        async def answer(claims: Sequence[Claim], number: int) -> list[Evidence]:
            if number <= 5:
                raise SourceUnavailable("s", Cause.OUTAGE)
            return await spoilt(claims, number)  # type: ignore[no-any-return, operator]

        source = wrapped(Written(answer, **BATCH), retries=0)
        for _ in range(5):
            await source.check_many([about(0)], question())
        await asyncio.sleep(31)
        found = await source.check_many([about(n) for n in range(100)], question())
        [outage] = source.outages()
        return [one.outcome.kind for one in found], outage.closed_at is not None

    kinds, is_over = play(ask())
    assert [index for index, kind in enumerate(kinds) if kind is not Kind.MATCH] == [bad]
    assert is_over


def test_a_source_of_which_nothing_can_be_read_is_soon_left_alone() -> None:
    async def ask() -> tuple[int, list[int], set[Kind], int]:
        inner = Written(garbled_by(*range(100)), **BATCH)  # type: ignore[arg-type]
        source = wrapped(inner)
        found = await source.check_many([about(n) for n in range(100)], question())
        first = len(inner.calls)
        await asyncio.sleep(31)
        await source.check_many([about(n) for n in range(100)], question())
        singles = [len(call) for call in inner.calls].count(1)
        return first, [singles], {one.outcome.kind for one in found}, len(source.outages())

    assert play(ask()) == (15, [10], {Kind.UNAVAILABLE}, 1)


def test_more_calls_waiting_than_allowed_are_overload_for_all_claims_or_none() -> None:
    async def ask() -> list[set[Cause | None]]:
        source = wrapped(Written(after(1), batch=10, lanes=1), queue=1)
        tasks = [
            asyncio.create_task(source.check_many([about(n * 100 + m) for m in range(size)], question()))
            for n, size in enumerate((10, 11, 6, 4, 1))
        ]
        return [{one.outcome.cause for one in await task} for task in tasks]

    # Ten take the lane; eleven are one call too many; six and four fill the one that waits; one more has no room.
    assert play(ask()) == [{None}, {Cause.OVERLOAD}, {None}, {None}, {Cause.OVERLOAD}]


def test_waiting_and_running_together_end_by_the_timeout() -> None:
    async def ask() -> list[tuple[Cause | None, int, float]]:
        source = wrapped(Written(after(60)), concurrency=1, timeout=timedelta(seconds=5))

        async def one(number: int) -> tuple[Cause | None, int, float]:
            await asyncio.sleep(number)
            [evidence] = await source.check_many([about(number)], question(1000, case=str(number)))
            return evidence.outcome.cause, evidence.attempts, seconds()

        return await asyncio.gather(one(0), one(3))

    assert play(ask()) == [(Cause.TIMEOUT, 1, 5.0), (Cause.TIMEOUT, 1, 8.0)]


Told = tuple[Cause | None, float]


async def told(source: Resilient, number: int, at: float, deadline: float = 1000) -> Told:
    """Ask about somebody at a time; say what came, and when."""
    await asyncio.sleep(at)
    [evidence] = await source.check_many([about(number)], question(deadline))
    return evidence.outcome.cause, seconds()


def test_who_joined_a_call_that_runs_out_of_time_asks_again_within_his_own() -> None:
    async def ask() -> tuple[list[Told], int]:
        inner = Written(after(60, MATCH, (0.1, MATCH)))
        source = wrapped(inner)
        found = await asyncio.gather(*(told(source, 1, at) for at in (0, 4.5, 4.6)), told(source, 1, 4.7, 0.2))
        return found, len(inner.calls)

    found, calls = play(ask())
    assert found == [
        (Cause.TIMEOUT, 5.0), (None, pytest.approx(5.1)), (None, pytest.approx(5.1)), (Cause.TIMEOUT, 4.9)
    ]  # fmt: skip
    assert calls == 2


def test_who_boarded_a_call_late_is_not_ended_by_the_time_that_it_waited_before() -> None:
    async def ask() -> list[Told]:
        source = wrapped(Written(after(60, MATCH, (1, MATCH)), **BATCH))
        return await asyncio.gather(told(source, 0, 0), told(source, 1, 0.1), told(source, 2, 4.9))

    assert play(ask()) == [(Cause.TIMEOUT, 5.0), (Cause.TIMEOUT, 5.1), (None, pytest.approx(6.1))]


def test_a_source_that_stays_silent_is_asked_once_again_and_nobody_waits_longer_than_the_timeout() -> None:
    async def ask() -> tuple[list[Told], int]:
        inner = Written(after(60))
        source = wrapped(inner)
        return await asyncio.gather(*(told(source, 1, at) for at in (0, 4.5, 4.6))), len(inner.calls)

    assert play(ask()) == ([(Cause.TIMEOUT, 5.0), (Cause.TIMEOUT, 9.5), (Cause.TIMEOUT, pytest.approx(9.6))], 2)


def test_what_may_be_asked_once_only_is_not_asked_again_for_who_joined() -> None:
    async def ask() -> tuple[list[Told], int]:
        inner = Written(after(60, MATCH, (0.1, MATCH)), asked_once=frozenset({FACT}))
        source = wrapped(inner)
        return await asyncio.gather(*(told(source, 1, at) for at in (0, 4.5))), len(inner.calls)

    assert play(ask()) == ([(Cause.TIMEOUT, 5.0)] * 2, 1)


def test_a_deadline_that_is_past_asks_nobody() -> None:
    async def ask() -> tuple[Cause | None, int, int]:
        inner = Written(after(0))
        [evidence] = await wrapped(inner).check_many([about(1)], question(-1))
        return evidence.outcome.cause, evidence.attempts, len(inner.calls)

    assert play(ask()) == (Cause.TIMEOUT, 0, 0)


def test_facts_do_not_mix_in_a_call_and_no_answers_are_swapped() -> None:
    async def ask() -> None:
        inner = Written(after(0.1), **BATCH)
        claims = [Claim(fact_type=FACT if n % 2 else "birth", subject=about(n).subject) for n in range(10)]
        found = await wrapped(inner).check_many(claims, question())
        assert [one.fact_type for one in found] == [one.fact_type for one in claims]
        assert all(len({one.fact_type for one in call}) == 1 for call in inner.calls)

    play(ask())


def test_telemetry_counts_calls_and_claims_apart() -> None:
    async def ask() -> Counts:
        counts = Counts()
        await wrapped(Written(after(0.1), **BATCH), counts).check_many([about(n) for n in range(7)], question())
        return counts

    counts = play(ask())
    assert counts.counts["attempted", "s", FACT, "answered"] == 1
    assert counts.counts["answered", "s", FACT, "MATCH"] == 7
    assert counts.claims_of_calls == [7]
    assert counts.under_way["s", FACT] == 0
