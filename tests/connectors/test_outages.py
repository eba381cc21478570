"""What a breaker proves of an outage, who is told, and what speaks against a source."""

import asyncio
from datetime import datetime, timedelta

import pytest

from connectors.breaker import OpenInterval, State
from connectors.connector import Claim
from connectors.errors import SourceUnavailable
from connectors.outcome import MATCH, Cause
from connectors.resilience import Resilient
from connectors.telemetry import UNKNOWN_FACT, Counts
from tests.connectors.clockwork import FACT, Written, about, after, play, wrapped
from tests.connectors.people import NOW, question

OUT = SourceUnavailable("s", Cause.OUTAGE)
MINUTE = timedelta(minutes=1)


async def ask(source: Resilient, number: int = 1, seconds: float = 100) -> Cause | None:
    [found] = await source.check_many([about(number)], question(seconds))
    return found.outcome.cause


async def outage(counts: Counts) -> Resilient:
    """Fail five times from NOW on, be tried in vain after a minute, and answer after another."""
    inner = Written(after(0, OUT, *[(0, OUT)] * 5, (0, MATCH)))
    source = wrapped(inner, counts, retries=0, breaker_rest=MINUTE)
    for number in range(5):
        await ask(source, number)
    assert source.breaker_state(FACT) is State.OPEN
    await asyncio.sleep(61)
    assert await ask(source) is Cause.OUTAGE
    await asyncio.sleep(61)
    assert await ask(source) is None
    return source


def test_an_outage_is_one_interval_from_the_failure_that_opened_it_to_the_answer_that_closed_it() -> None:
    counts = Counts()

    async def told() -> list[OpenInterval]:
        return (await outage(counts)).outages()

    expected = OpenInterval(
        source="s", fact_type=FACT, cause=Cause.OUTAGE, opened_at=NOW, closed_at=NOW + timedelta(seconds=122)
    )
    assert play(told()) == [expected]
    assert counts.intervals == [expected]
    moves = {names[-1]: number for names, number in counts.counts.items() if names[0] == "breaker"}
    assert moves == {"OPEN": 2, "HALF_OPEN": 2, "CLOSED": 1}


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        (None, None, True),
        (NOW, NOW + timedelta(hours=1), True),
        (NOW + MINUTE, NOW + 2 * MINUTE, True),
        (NOW - MINUTE, NOW, False),
        (NOW + timedelta(seconds=122), None, False),
        (None, NOW + timedelta(seconds=1), True),
    ],
)
def test_outages_are_found_by_time_and_fact(since: datetime | None, until: datetime | None, found: bool) -> None:
    async def told() -> tuple[int, int]:
        source = await outage(Counts())
        return len(source.outages(FACT, since=since, until=until)), len(source.outages("birth"))

    assert play(told()) == (int(found), 0)


def test_an_open_breaker_says_until_when_and_asks_nobody() -> None:
    async def told() -> None:
        inner = Written(after(0, OUT))
        source = wrapped(inner, retries=0, breaker_failures=1, breaker_rest=MINUTE)
        await ask(source)
        await asyncio.sleep(20)
        [found] = await source.check_many([about(1)], question())
        assert (found.outcome.cause, found.outcome.until) == (Cause.OUTAGE, NOW + MINUTE)
        assert (len(inner.calls), found.attempts) == (1, 0)
        assert source.outages()[0].closed_at is None

    play(told())


@pytest.mark.parametrize(("patience", "opens"), [(0.9, False), (1.1, True), (4.0, True)])
def test_callers_who_give_up_speak_against_a_source_only_if_it_was_silent_for_long(
    patience: float, opens: bool
) -> None:
    async def told() -> bool:
        source = wrapped(Written(after(60)), breaker_silence=timedelta(seconds=1))
        for number in range(5):
            assert await ask(source, number, patience) is Cause.TIMEOUT
        await asyncio.sleep(0.001)  # the call learns a turn later that nobody waits
        return bool(source.outages())

    assert play(told()) is opens


def test_a_question_that_is_turned_down_neither_opens_a_breaker_nor_closes_it_nor_counts_as_its_trial() -> None:
    turned_down = SourceUnavailable("s", Cause.GARBLED, of_question=True)

    async def told() -> None:
        inner = Written(after(0, turned_down, (0, OUT), (0, turned_down), (0, OUT), (0, turned_down), (0, MATCH)))
        source = wrapped(inner, retries=0, breaker_failures=2, breaker_rest=MINUTE)
        assert [await ask(source, number) for number in range(3)] == [Cause.GARBLED, Cause.OUTAGE, Cause.GARBLED]
        assert source.outages() == []
        await ask(source, 3)
        assert source.breaker_state(FACT) is State.OPEN
        await asyncio.sleep(61)
        assert await ask(source, 4) is Cause.GARBLED
        assert source.breaker_state(FACT) is State.OPEN
        assert await ask(source, 5) is None
        assert source.breaker_state(FACT) is State.CLOSED

    play(told())


def test_one_fact_that_is_down_leaves_the_others_open() -> None:
    async def told() -> None:
        async def answer(claims: object, number: int) -> object:
            if claims[0].fact_type == FACT:  # type: ignore[index]
                raise OUT
            return await after(0)(claims, number)  # type: ignore[arg-type]

        source = wrapped(Written(answer), retries=0, breaker_failures=1)  # type: ignore[arg-type]
        await ask(source)
        [found] = await source.check_many([Claim(fact_type="birth", subject=about(1).subject)], question())
        assert found.outcome is MATCH
        assert (source.breaker_state(FACT), source.breaker_state("birth")) == (State.OPEN, State.CLOSED)

    play(told())


def test_a_callers_text_never_becomes_a_label() -> None:
    async def told() -> Counts:
        counts = Counts()
        source = wrapped(Written(after(0)), counts)
        await source.check_many([Claim(fact_type="张小明 230103198507041236", subject=about(1).subject)], question())
        return counts

    assert play(told()).counts == {("answered", "s", UNKNOWN_FACT, "NOT_COVERED"): 1}


def test_latency_and_attempts_are_told_of_each_answer() -> None:
    told: list[tuple[float, int]] = []

    class Noting(Counts):
        def answered(self, *labels: object, seconds: float, attempts: int) -> None:  # type: ignore[override]
            told.append((seconds, attempts))

    async def played() -> None:
        source = wrapped(Written(after(0.5, OUT, (1.0, MATCH))), Noting())
        await ask(source)

    play(played())
    assert told == [(pytest.approx(1.501), 2)]
