import asyncio
from datetime import timedelta

import pytest

from connectors.errors import SourceRefused, SourceUnavailable
from connectors.latency import Latencies
from connectors.outcome import MATCH, MISMATCH, NO_RECORD, Cause, Kind, unavailable
from connectors.telemetry import Counts
from tests.connectors.clockwork import FACT, Script, Written, about, after, play, seconds, wrapped
from tests.connectors.people import question

OUT = SourceUnavailable("s", Cause.OUTAGE)
SOON = timedelta(milliseconds=300)


async def asked(inner: Written, counts: Counts, **policy: object) -> tuple[object, float, int]:
    source = wrapped(inner, counts, **{"hedge": SOON, "retries": 0, **policy})
    [evidence] = await source.check_many([about(1)], question())
    when = seconds()
    assert not {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    return evidence.outcome, when, evidence.attempts


@pytest.mark.parametrize(
    ("script", "outcome", "when", "calls", "cancelled"),
    [
        (after(0.2), MATCH, 0.2, 1, []),
        (after(3, MATCH, (0.1, MATCH)), MATCH, 0.4, 2, [1]),
        (after(0.5, MATCH, (3, MATCH)), MATCH, 0.5, 2, [2]),
        (after(0.5, MISMATCH, (3, MATCH)), MISMATCH, 0.5, 2, [2]),
        (after(0.5, NO_RECORD, (3, MATCH)), NO_RECORD, 0.5, 2, [2]),
        (after(0.5, OUT, (1, MATCH)), MATCH, 1.3, 2, []),
        (after(1, MATCH, (0.1, OUT)), MATCH, 1.0, 2, []),
        (after(1, MATCH, (0.1, SourceRefused("s", "r"))), MATCH, 1.0, 2, []),
        (after(1, OUT, (0.1, SourceUnavailable("s", Cause.OVERLOAD))), unavailable(Cause.OUTAGE), 1.0, 2, []),
        (after(0.1, OUT, (0, MATCH)), unavailable(Cause.OUTAGE), 0.1, 1, []),
        (after(90, MATCH, (90, MATCH)), unavailable(Cause.TIMEOUT), 5.0, 2, [1, 2]),
    ],
)
def test_the_first_good_answer_of_two_wins_and_the_other_call_is_stopped(
    script: Script, outcome: object, when: float, calls: int, cancelled: list[int]
) -> None:
    inner, counts = Written(script), Counts()
    found = play(asked(inner, counts))
    assert found == (outcome, pytest.approx(when), calls)
    assert (len(inner.calls), inner.cancelled) == (calls, cancelled)
    assert counts.counts["hedged", "s", FACT] == calls - 1


def test_what_may_be_asked_only_once_is_not_hedged_and_not_tried_again() -> None:
    slow = Written(after(2), asked_once=frozenset({FACT}))
    assert play(asked(slow, Counts())) == (MATCH, pytest.approx(2), 1)
    down = Written(after(0, OUT), asked_once=frozenset({FACT}))
    assert play(asked(down, Counts(), retries=3))[2] == 1
    unreached = Written(after(0, SourceUnavailable("s", Cause.OUTAGE, connecting=True)), asked_once=frozenset({FACT}))
    assert play(asked(unreached, Counts(), retries=3))[2] == 4


def test_without_a_setting_nothing_is_hedged() -> None:
    inner = Written(after(4))
    assert play(asked(inner, Counts(), hedge=None))[0] is MATCH
    assert len(inner.calls) == 1


async def many(inner: Written, counts: Counts, **policy: object) -> None:
    source = wrapped(inner, counts, breaker_failures=1000, **policy)
    for number in range(100):
        await source.check_many([about(number)], question())


def test_hedges_stay_within_the_retry_budget() -> None:
    inner, counts = Written(after(1)), Counts()
    play(many(inner, counts, hedge=SOON))
    assert 20 <= counts.counts["hedged", "s", FACT] <= 10 + 20


def test_a_percentile_is_that_of_the_answers_so_far() -> None:
    async def answer(claims: object, number: int) -> object:
        return await after(0.1 if number <= 50 else 2.0)(claims, number)  # type: ignore[arg-type]

    inner, counts = Written(answer), Counts()  # type: ignore[arg-type]
    play(many(inner, counts, hedge=0.95, retry_share=1.0))
    assert counts.counts["hedged", "s", FACT] > 0
    assert len(inner.calls) == 100 + counts.counts["hedged", "s", FACT]


def test_a_percentile_of_few_is_unknown() -> None:
    latencies = Latencies()
    for _ in range(19):
        latencies.add(1.0)
    assert latencies.percentile(0.5) is None
    latencies.add(1.0)
    assert latencies.percentile(0.99) == 1.0


def test_a_caller_that_goes_away_stops_both_calls() -> None:
    async def leave() -> list[int]:
        inner = Written(after(60, MATCH, (60, MATCH)))
        source = wrapped(inner, hedge=SOON)
        asking = asyncio.create_task(source.check_many([about(1)], question()))
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await source.aclose()
        return inner.cancelled

    assert play(leave()) == [1, 2]


def test_a_hedged_answer_that_is_unavailable_in_part_is_not_good() -> None:
    script = after(1, unavailable(Cause.GARBLED), (0.5, MATCH))
    assert play(asked(Written(script), Counts()))[0] is MATCH
    assert play(asked(Written(after(1, unavailable(Cause.GARBLED))), Counts()))[0].kind is Kind.UNAVAILABLE  # type: ignore[attr-defined]
