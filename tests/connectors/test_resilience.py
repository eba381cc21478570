import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.breaker import Breaker
from connectors.catalog import SourcesMisconfigured, connect_all
from connectors.conformance.expectations import NonConforming, require_discretion, require_no_conclusion
from connectors.connector import Claim, Coverage, Health, Manifest, QueryContext
from connectors.coverage import Covered, covered
from connectors.errors import SourceRefused, SourceUnavailable
from connectors.outcome import MATCH, NO_RECORD, Cause, Evidence, Kind, Outcome
from connectors.policy import Policy, Window
from connectors.resilience import Resilient
from connectors.retry_budget import RetryBudget
from tests.connectors.people import LI, NOBODY, NOW, PERSONAL, ZHANG, claim, question, sql_stanza

FACT = "marriage-registration"
Script = Callable[[Sequence[Claim]], Awaitable[object]]


class Scripted:
    """A connector whose answers a test writes."""

    def __init__(self, script: Script, coverage: Coverage | None = None) -> None:
        self.manifest = Manifest(
            source="s",
            department="民政厅",
            fact_types=frozenset({FACT, "birth"}),
            coverage={} if coverage is None else {FACT: coverage},
        )
        self._script = script
        self.calls: list[list[Claim]] = []

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        self.calls.append(list(claims))
        return await self._script(claims)  # type: ignore[return-value]

    async def probe(self) -> Health:
        raise RuntimeError(ZHANG.id_number)

    async def aclose(self) -> None:
        pass


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def said(one: Claim, outcome: Outcome = MATCH) -> Evidence:
    return Evidence(source="s", fact_type=one.fact_type, outcome=outcome, asked_at=NOW, answered_at=NOW)


async def agree(claims: Sequence[Claim]) -> object:
    return [said(one) for one in claims]


def failing(error: Exception) -> Script:
    async def fail(_: Sequence[Claim]) -> object:
        raise error

    return fail


async def silence(_: Sequence[Claim]) -> object:
    await asyncio.Event().wait()
    return []


def wrap(inner: Scripted, clock: Clock | None = None, **policy: object) -> Resilient:
    settings = {"backoff": timedelta(milliseconds=1), **policy}
    return Resilient(inner, Policy(**settings), now=clock or Clock(), random=lambda: 1.0)  # type: ignore[arg-type]


async def one(source: Resilient, asked: Claim | None = None, seconds: float = 20.0) -> Evidence:
    [evidence] = await source.check_many([asked or claim()], question(seconds))
    return evidence


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns, not time, until a condition holds."""
    while not condition():
        await asyncio.sleep(0)


def answers(answer: object) -> Script:
    async def give(_: Sequence[Claim]) -> object:
        return answer

    return give


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (failing(SourceUnavailable("s", Cause.OVERLOAD)), Cause.OVERLOAD),
        (failing(SourceUnavailable("s", Cause.GARBLED)), Cause.GARBLED),
        (failing(ValueError(ZHANG.name)), Cause.GARBLED),
        (failing(KeyError(ZHANG.id_number)), Cause.GARBLED),
        (failing(TimeoutError()), Cause.TIMEOUT),
        (silence, Cause.TIMEOUT),
        (answers([]), Cause.GARBLED),
        (answers(None), Cause.GARBLED),
        (answers([said(claim()), said(claim())]), Cause.GARBLED),
        (answers([said(claim(fact_type="birth"))]), Cause.GARBLED),
        (answers([MATCH]), Cause.GARBLED),
        (answers({"0": "MATCH"}), Cause.GARBLED),
    ],
)
async def test_whatever_goes_wrong_becomes_unavailable_and_tells_nobody(
    script: Script, cause: Cause, discreet: list[str]
) -> None:
    source = wrap(Scripted(script), timeout=timedelta(milliseconds=30))
    evidence = await one(source)
    require_no_conclusion([evidence])
    assert evidence.outcome.cause is cause
    assert evidence.attempts == 1
    health = await source.probe()
    assert not health.ok
    discreet.append(health.detail)


async def test_a_refusal_is_told_with_its_rule_and_not_asked_again() -> None:
    inner = Scripted(failing(SourceRefused("s", "rule 7")))
    evidence = await one(wrap(inner))
    assert (evidence.outcome.kind, evidence.outcome.rule, len(inner.calls)) == (Kind.REFUSED, "rule 7", 1)


@pytest.mark.parametrize(
    ("cause", "connecting", "asked"),
    [
        (Cause.OUTAGE, False, 3),
        (Cause.TIMEOUT, True, 3),
        (Cause.TIMEOUT, False, 1),
        (Cause.OVERLOAD, False, 1),
        (Cause.GARBLED, False, 1),
    ],
)
async def test_only_faults_of_transport_are_tried_again(cause: Cause, connecting: bool, asked: int) -> None:
    inner = Scripted(failing(SourceUnavailable("s", cause, connecting=connecting)))
    evidence = await one(wrap(inner))
    assert (len(inner.calls), evidence.attempts) == (asked, asked)


async def test_retries_stay_within_their_share_of_calls() -> None:
    inner = Scripted(failing(SourceUnavailable("s", Cause.OUTAGE)))
    source = wrap(inner, breaker_failures=1000)
    for _ in range(100):
        await one(source)
    assert 100 + 10 <= len(inner.calls) <= 100 + 10 + 20


@given(st.lists(st.booleans(), max_size=300), st.floats(min_value=0, max_value=1))
def test_a_budget_never_gives_more_retries_than_its_share_and_what_it_began_with(
    events: list[bool], share: float
) -> None:
    budget, calls, retries = RetryBudget(share=share), 0, 0
    for is_call in events:
        if is_call:
            budget.called()
            calls += 1
        elif budget.take():
            retries += 1
    assert retries <= calls * share + 10 + 1e-6


async def test_the_callers_deadline_ends_the_wait_and_the_call() -> None:
    ended = asyncio.Event()

    async def wait(_: Sequence[Claim]) -> object:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return []

    source = wrap(Scripted(wait), timeout=timedelta(seconds=60))
    assert (await one(source, seconds=0.02)).outcome.cause is Cause.TIMEOUT
    await asyncio.wait_for(ended.wait(), 1)


async def test_identical_questions_at_once_are_asked_once() -> None:
    go = asyncio.Event()

    async def wait(claims: Sequence[Claim]) -> object:
        await go.wait()
        return [said(each) for each in claims]

    inner = Scripted(wait)
    source, context = wrap(inner), question()
    asking = [asyncio.create_task(source.check_many([claim(), claim(LI)], context)) for _ in range(5)]
    await until(lambda: bool(inner.calls))
    asking[0].cancel()
    other = asyncio.create_task(source.check_many([claim()], question(operator="clerk-8")))
    typed = asyncio.create_task(source.check_many([claim(status=1), claim(status=True)], context))
    await until(lambda: len(inner.calls) == 3)
    go.set()
    found = await asyncio.gather(*asking, other, typed, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert [len(call) for call in inner.calls] == [2, 1, 2]
    assert all(isinstance(each, list) and each[0].outcome is MATCH for each in found[1:])


async def test_when_nobody_waits_any_more_the_call_is_stopped_and_nobody_joins_it() -> None:
    inner = Scripted(silence)
    source, context = wrap(inner, timeout=timedelta(seconds=60)), question()
    asking = asyncio.create_task(source.check_many([claim()], context))
    await until(lambda: bool(inner.calls))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    inner._script = agree
    assert (await source.check_many([claim()], context))[0].outcome is MATCH


async def test_a_full_bulkhead_is_overload_at_once() -> None:
    inner = Scripted(silence)
    source = wrap(inner, concurrency=1, queue=1, timeout=timedelta(seconds=60))
    held = [asyncio.create_task(one(source, claim(subject))) for subject in (ZHANG, LI)]
    await until(lambda: bool(inner.calls) and source._bulkhead.waiting == 1)
    assert (await one(source, claim(NOBODY))).outcome.cause is Cause.OVERLOAD
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    await source.aclose()


async def test_a_breaker_leaves_a_dead_source_alone_tries_one_and_remembers() -> None:
    clock, inner = Clock(), Scripted(failing(SourceUnavailable("s", Cause.GARBLED)))
    source = wrap(inner, clock, breaker_failures=3)
    for _ in range(5):
        evidence = await one(source)
    assert len(inner.calls) == 3
    assert (evidence.outcome.cause, evidence.outcome.until, evidence.attempts) == (
        Cause.OUTAGE,
        NOW + timedelta(seconds=30),
        0,
    )
    assert (await one(source, claim(fact_type="birth"))).outcome.cause is Cause.GARBLED  # a breaker of its own
    clock.now += timedelta(seconds=31)
    await one(source)
    await one(source)
    assert len(inner.calls) == 5  # the one probe failed: it rests again
    clock.now += timedelta(seconds=31)
    inner._script = agree
    assert (await one(source)).outcome is MATCH
    [interval] = source.open_intervals
    assert (interval.opened_at, interval.closed_at) == (NOW, clock.now)


@given(st.lists(st.tuples(st.sampled_from("asfx"), st.integers(min_value=-100, max_value=100)), max_size=80))
def test_a_breaker_is_never_stuck_and_its_intervals_never_overlap(events: list[tuple[str, int]]) -> None:
    breaker, now = Breaker("s", "f", failures=2, rest=timedelta(seconds=30)), NOW
    for event, seconds in events:
        now += timedelta(seconds=seconds)
        if event == "a":
            breaker.closed_until(now)
        elif event == "s":
            breaker.succeeded(now)
        elif event == "f":
            breaker.failed(now, Cause.OUTAGE)
        else:
            breaker.abandoned()
    assert all(interval.closed_at is not None for interval in list(breaker.intervals)[:-1])
    breaker.abandoned()
    assert breaker.closed_until(now + timedelta(days=1)) is None


def harbin(written: str) -> time:
    return time.fromisoformat(written).replace(tzinfo=ZoneInfo("Asia/Shanghai"))


async def test_in_an_announced_window_nobody_is_asked() -> None:
    inner = Scripted(agree)  # NOW is 10:00 in Harbin
    source = wrap(inner, windows=(Window(start=harbin("09:00"), end=harbin("10:30")),))
    outcome = (await one(source)).outcome
    assert (outcome.cause, outcome.until, inner.calls) == (Cause.WINDOW, NOW + timedelta(minutes=30), [])


@pytest.mark.parametrize(
    ("start", "end", "days", "is_in"),
    [
        ("09:00", "10:00", range(7), False),
        ("10:00", "10:01", range(7), True),
        ("22:00", "10:01", range(7), True),
        ("22:00", "10:01", {0}, True),  # NOW is a Tuesday: the window began on Monday night
        ("22:00", "10:01", {1}, False),
        ("10:00", "10:01", {0}, False),
    ],
)
def test_a_window_belongs_to_the_day_on_which_it_starts(start: str, end: str, days: object, is_in: bool) -> None:
    window = Window(start=harbin(start), end=harbin(end), weekdays=frozenset(days))  # type: ignore[call-overload]
    assert (window.until(NOW) is not None) is is_in


SINCE = Coverage(places=("2301",), since=date(1985, 1, 1), until=date(2020, 12, 31))
IN, BEFORE, ACROSS = (
    (date(1990, 1, 1), date(1990, 12, 31)),
    (date(1970, 1, 1), date(1984, 12, 31)),
    (date(1984, 1, 1), date(1985, 6, 1)),
)


@pytest.mark.parametrize(
    ("place", "period", "extent"),
    [
        ("230103", IN, Covered.WHOLLY),
        ("230103", ACROSS, Covered.PARTLY),
        ("230103", None, Covered.PARTLY),
        ("230000", IN, Covered.PARTLY),
        ("", IN, Covered.PARTLY),
        ("230103", BEFORE, Covered.NOT),
        ("230200", IN, Covered.NOT),
        ("110101", None, Covered.NOT),
    ],
)
async def test_absence_counts_only_where_the_source_is_complete(
    place: str, period: tuple[date, date] | None, extent: Covered
) -> None:
    async def none(claims: Sequence[Claim]) -> object:
        return [said(each, NO_RECORD) for each in claims]

    inner = Scripted(none, SINCE)
    asked = Claim(fact_type=FACT, subject=ZHANG, place=place, period=period)
    assert covered(asked, SINCE) is extent
    evidence = await one(wrap(inner), asked)
    assert evidence.outcome.kind is (Kind.NO_RECORD if extent is Covered.WHOLLY else Kind.NOT_COVERED)
    assert len(inner.calls) == (0 if extent is Covered.NOT else 1)


@pytest.mark.parametrize(
    ("places", "place", "extent"),
    [
        (("2301",), "230110", Covered.WHOLLY),
        (("230111",), "230110", Covered.NOT),
        (("230111",), "230100", Covered.PARTLY),
        (("2311",), "231000", Covered.NOT),
        (("2310",), "231000", Covered.WHOLLY),
    ],
)
def test_a_code_stands_for_all_that_its_levels_name(places: tuple[str, ...], place: str, extent: Covered) -> None:
    assert covered(Claim(fact_type=FACT, subject=ZHANG, place=place), Coverage(places=places)) is extent


def test_every_mistake_of_every_source_is_told_at_once() -> None:
    stanzas = {"a": {"kind": "sql"}, "b": 5, "c": sql_stanza("sqlite:////tmp/x.db", resilience={"retries": -1})}
    with pytest.raises(SourcesMisconfigured) as refused:
        connect_all(stanzas, now=lambda: datetime.now(UTC))
    told = refused.value.mistakes
    assert {mistake.split(":")[0] for mistake in told} == {"a", "b", "c"}
    assert len([mistake for mistake in told if mistake.startswith("a:")]) == 3


def test_the_conformance_kit_refuses_conclusions_and_chatter() -> None:
    with pytest.raises(NonConforming):
        require_no_conclusion([said(claim(), NO_RECORD)])
    with pytest.raises(NonConforming) as refused:
        require_discretion([f"error for {ZHANG.name}"], PERSONAL)
    assert ZHANG.name not in str(refused.value)
