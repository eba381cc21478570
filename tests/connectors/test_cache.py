import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connectors.cache import Cache
from connectors.catalog import connect
from connectors.connector import Claim
from connectors.errors import SourceUnavailable, StanzaError
from connectors.outcome import AMBIGUOUS, MATCH, MISMATCH, NO_RECORD, NOT_HELD, STALE, Cause, Evidence, Kind, Outcome
from connectors.policy import Window
from connectors.resilience import Resilient
from connectors.telemetry import Counts
from tests.connectors.clockwork import FACT, Script, Written, about, play, says, wall, wrapped
from tests.connectors.people import NOW, now, question, sql_stanza

DAY = timedelta(days=1)


def dated(*outcomes: Outcome | Exception, age: timedelta | None = timedelta(0)) -> Script:
    """Answer call after call with the next outcome, on data of an age; the last stays."""

    async def answer(claims: Any, number: int) -> list[Evidence]:
        what = outcomes[min(number, len(outcomes)) - 1]
        if isinstance(what, Exception):
            raise what
        return says(claims, what, None if age is None else wall() - age)

    return answer


def caching(inner: Written, counts: Counts | None = None, **policy: Any) -> Resilient:
    return wrapped(inner, counts, cache=timedelta(minutes=10), retries=0, **policy)


async def twice(source: Resilient, pause: float = 60, first: Claim | None = None, **context: str) -> list[Evidence]:
    [one] = await source.check_many([first or about(1)], question(1e9))
    await asyncio.sleep(pause)
    [other] = await source.check_many([about(1)], question(1e9, **context))
    return [one, other]


def test_an_answer_that_agrees_is_given_again_and_says_so() -> None:
    inner, counts = Written(dated(MATCH, MISMATCH, age=timedelta(hours=3)), freshness=DAY), Counts()
    one, other = play(twice(caching(inner, counts), case="another"))
    assert len(inner.calls) == 1
    assert (one.cached, other.cached, one.attempts, other.attempts) == (False, True, 1, 0)
    assert other.as_of == one.as_of == NOW - timedelta(hours=3)
    assert (other.answered_at, other.raw_digest) == (one.answered_at, one.raw_digest)
    assert counts.counts["cached", "s", FACT] == 1
    assert counts.counts["answered", "s", FACT, "MATCH"] == 2


@pytest.mark.parametrize(
    "outcome",
    [
        MISMATCH,
        NO_RECORD,
        NOT_HELD,
        AMBIGUOUS,
        STALE,
        SourceUnavailable("s", Cause.OUTAGE),
        SourceUnavailable("s", Cause.GARBLED),
        Outcome(kind=Kind.REFUSED, rule="r"),
        Outcome(kind=Kind.NEEDS_ATTRIBUTE, attribute="a"),
    ],
)
def test_nothing_but_agreement_is_ever_kept(outcome: Outcome | Exception) -> None:
    inner = Written(dated(outcome), freshness=DAY)
    assert not any(one.cached for one in play(twice(caching(inner), pause=0.001)))
    assert len(inner.calls) == 2


@pytest.mark.parametrize(
    ("pause", "age", "freshness", "cached"),
    [
        (599, timedelta(0), DAY, True),
        (601, timedelta(0), DAY, False),
        (59, timedelta(hours=23, minutes=59), DAY, True),
        (61, timedelta(hours=23, minutes=59), DAY, False),
        (1, None, DAY, False),
        (1, timedelta(0), None, False),
    ],
)
def test_an_answer_is_kept_no_longer_than_the_sources_promise_holds(
    pause: float, age: timedelta | None, freshness: timedelta | None, cached: bool
) -> None:
    inner = Written(dated(MATCH, age=age), freshness=freshness)
    assert play(twice(caching(inner), pause))[1].cached is cached


def test_another_claim_another_type_and_another_purpose_ask_for_themselves() -> None:
    async def ask() -> list[bool]:
        source = caching(Written(dated(MATCH), freshness=DAY))
        found = []
        for claim, context in [
            (about(1, n=1), question()),
            (about(1, n=True), question()),
            (about(2, n=1), question()),
            (about(1), question()),
            (about(1, n=1), replace_unit("住建局")),
            (about(1, n=1), question(operator="clerk-9")),
        ]:
            found.append((await source.check_many([claim], context))[0].cached)
        return found

    def replace_unit(unit: str) -> Any:
        return replace(question(), unit=unit)

    assert play(ask()) == [False, False, False, False, False, True]


def test_nobody_is_given_what_the_source_told_another() -> None:
    cache = Cache(longest=timedelta(minutes=10), freshness=DAY, entries=10, salt=b"s")

    def told(minute: int) -> Evidence:
        at = NOW + timedelta(minutes=minute)
        return Evidence(source="s", fact_type=FACT, outcome=MATCH, asked_at=at, answered_at=at, as_of=at)

    def found(purpose: str, minute: int) -> datetime | None:
        held = cache.find("claim", purpose, NOW + timedelta(minutes=minute))
        return None if held is None else held.answered_at

    cache.note("claim", "one", told(0))
    cache.note("claim", "other", told(5))
    assert (found("one", 6), found("other", 6)) == (told(0).answered_at, told(5).answered_at)
    cache.note("claim", "other", told(11))
    assert (found("one", 12), found("other", 12)) == (None, told(11).answered_at)


def test_what_the_source_says_now_replaces_what_it_said() -> None:
    cache = Cache(longest=DAY, freshness=DAY, entries=10, salt=b"s")

    def said(outcome: Outcome) -> Evidence:
        return Evidence(source="s", fact_type=FACT, outcome=outcome, asked_at=NOW, answered_at=NOW, as_of=NOW)

    cache.note("claim", "one", said(MATCH))
    cache.note("claim", "other", said(MATCH))
    assert cache.find("claim", "one", NOW) is not None
    cache.note("claim", "other", said(Outcome(kind=Kind.UNAVAILABLE, cause=Cause.OUTAGE)))
    assert cache.find("claim", "one", NOW) is not None  # a failure says nothing of the claim
    cache.note("claim", "other", said(MISMATCH))
    assert cache.find("claim", "one", NOW) is None
    assert cache.find("claim", "other", NOW) is None


def test_a_clock_set_back_does_not_make_an_old_answer_young() -> None:
    cache = Cache(longest=DAY, freshness=DAY, entries=10, salt=b"s")
    evidence = Evidence(source="s", fact_type=FACT, outcome=MATCH, asked_at=NOW, answered_at=NOW, as_of=NOW)
    cache.note("claim", "p", evidence)
    assert cache.find("claim", "p", NOW - timedelta(seconds=1)) is None


def answered(outcome: Outcome, asked: int, after: int = 1) -> Evidence:
    at = NOW + timedelta(seconds=asked)
    return Evidence(
        source="s", fact_type=FACT, outcome=outcome, asked_at=at, answered_at=at + timedelta(seconds=after), as_of=at
    )


LATER = NOW + timedelta(minutes=1)


def test_an_answer_that_was_slow_in_coming_does_not_hide_what_the_source_said_since() -> None:
    cache = Cache(longest=DAY, freshness=DAY, entries=10, salt=b"s")
    cache.note("claim", "p", answered(MISMATCH, 2))
    for asked in (0, 2, 3):  # while it was being contradicted, too
        cache.note("claim", "p", answered(MATCH, asked, 5))
        assert cache.find("claim", "p", LATER) is None
    cache.note("claim", "p", answered(MATCH, 4))
    assert cache.find("claim", "p", LATER) is not None
    cache.note("claim", "other", answered(NO_RECORD, 1))
    assert cache.find("claim", "p", LATER) is not None
    cache.note("claim", "other", answered(NO_RECORD, 4))
    assert cache.find("claim", "p", LATER) is None


def test_an_older_answer_does_not_replace_a_newer_one() -> None:
    cache = Cache(longest=DAY, freshness=DAY, entries=10, salt=b"s")
    cache.note("claim", "p", answered(MATCH, 5))
    cache.note("claim", "p", answered(MATCH, 1, 9))
    held = cache.find("claim", "p", LATER)
    assert held is not None
    assert held.asked_at == NOW + timedelta(seconds=5)


def test_however_many_claims_are_contradicted_no_older_answer_is_kept() -> None:
    cache = Cache(longest=DAY, freshness=DAY, entries=3, salt=b"s")
    for number in range(10):
        cache.note(number, "p", answered(MISMATCH, number))
    for number in range(10):
        cache.note(number, "p", answered(MATCH, number, 20))
    assert not any(cache.find(number, "p", LATER) for number in range(10))
    assert len(cache._otherwise) == 3


def test_a_slow_answer_of_a_source_is_not_given_again_after_a_contradiction() -> None:
    async def script(claims: Any, number: int) -> list[Evidence]:
        found = says(claims, MATCH if number == 1 else MISMATCH, wall())
        await asyncio.sleep(4 if number == 1 else 1)
        return [replace(one, answered_at=wall()) for one in found]

    async def ask() -> list[Evidence]:
        source = caching(Written(script, freshness=DAY))
        slow = asyncio.create_task(source.check_many([about(1)], question(60, case="slow")))
        await asyncio.sleep(1)
        [otherwise] = await source.check_many([about(1)], question(60, case="other"))
        [late] = await slow
        [last] = await source.check_many([about(1)], question(60, case="last"))
        return [otherwise, late, last]

    found = play(ask())
    assert [(one.outcome, one.cached) for one in found] == [(MISMATCH, False), (MATCH, False), (MISMATCH, False)]


def test_nothing_is_left_of_what_is_no_longer_kept() -> None:
    cache = Cache(longest=DAY, freshness=DAY, entries=3, salt=b"s")
    evidence = Evidence(source="s", fact_type=FACT, outcome=MATCH, asked_at=NOW, answered_at=NOW, as_of=NOW)
    for number in range(20):
        cache.note(number % 7, number % 3, evidence)
    assert sum(map(len, cache._purposes.values())) == len(cache._kept) == 3
    for key in range(7):
        cache.note(key, 0, replace(evidence, outcome=MISMATCH))
    assert not cache._kept
    assert not cache._purposes


@given(st.lists(st.integers(min_value=0, max_value=9), max_size=60))
def test_no_more_answers_are_kept_than_allowed_and_the_one_used_last_is_among_them(keys: list[int]) -> None:
    cache = Cache(longest=DAY, freshness=DAY, entries=3, salt=b"s")
    evidence = Evidence(source="s", fact_type=FACT, outcome=MATCH, asked_at=NOW, answered_at=NOW, as_of=NOW)
    for key in keys:
        cache.note(key, "p", evidence)
    held = [key for key in range(10) if cache.find(key, "p", NOW) is not None]
    assert len(held) == min(3, len(set(keys)))
    assert not keys or keys[-1] in held


def test_an_outage_and_a_window_do_not_hide_an_answer_that_still_holds() -> None:
    inner = Written(dated(MATCH, SourceUnavailable("s", Cause.OUTAGE)), freshness=DAY)
    one, other = play(twice(caching(inner, windows=(Window(start=NOW + timedelta(seconds=30), end=NOW + DAY),))))
    assert (one.outcome, other.outcome, other.cached) == (MATCH, MATCH, True)


def test_a_cache_without_a_promise_of_freshness_is_refused() -> None:
    with pytest.raises(StanzaError, match="freshness"):
        connect("s", sql_stanza("sqlite:////tmp/x.db", resilience={"cache": "10m"}), now=now)
