"""Claims of a batch go to a source together where they may; the source here notes each call that it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from connectors.connector import Claim, Health, Manifest, QueryContext, Subject
from connectors.outcome import MATCH, Cause, Evidence, Kind
from gateway.flows.verification.together import Together

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Noting:
    """A source that notes its calls and answers when it may; `running` is how many calls it works on."""

    def __init__(self, *, batch: int = 1) -> None:
        self.manifest = Manifest(source="s", department="d", fact_types=frozenset({"f"}), batch=batch)
        self.calls: list[tuple[str, int]] = []
        self.running = self.most = self.stopped = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
        self.calls.append((context.case, len(claims)))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.answering.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        finally:
            self.running -= 1
        return [
            Evidence(source="s", fact_type="f", outcome=MATCH, asked_at=NOW, answered_at=NOW,
                     raw_digest=one.subject.id_number.encode())
            for one in claims
        ]  # fmt: skip

    async def probe(self) -> Health:
        return Health(ok=True, detail="", probed_at=NOW)

    async def aclose(self) -> None:
        return


def claim(number: int) -> Claim:
    return Claim(fact_type="f", subject=Subject(id_type="resident-id", id_number=str(number), name="示例"))


def context(case: str = "案", *, seconds: float = 20) -> QueryContext:
    deadline = asyncio.get_running_loop().time() + seconds
    return QueryContext(matter="m", case=case, item="i", operator="o", unit="u", reason="r", deadline=deadline)


async def ask(source: Together, number: int, asked: QueryContext) -> str:
    [evidence] = await source.check_many([claim(number)], asked)
    return evidence.raw_digest.decode()


async def test_claims_for_one_purpose_share_a_call_and_each_gets_its_own_answer() -> None:
    source = Noting()
    together = Together(source, lanes=4, now=lambda: NOW)

    answers = await asyncio.gather(*(ask(together, number, context(seconds=20 + number)) for number in range(30)))

    assert answers == [str(number) for number in range(30)]
    assert source.calls == [("案", 30)]


async def test_claims_for_different_purposes_never_share_a_call() -> None:
    source = Noting()
    together = Together(source, lanes=4, now=lambda: NOW)

    await asyncio.gather(*(ask(together, number, context(f"案{number % 3}")) for number in range(9)))

    assert sorted(source.calls) == [("案0", 3), ("案1", 3), ("案2", 3)]


async def test_one_call_carries_no_more_than_it_may() -> None:
    source = Noting()
    together = Together(source, lanes=4, now=lambda: NOW, most=10)

    answers = await asyncio.gather(*(ask(together, number, context()) for number in range(25)))

    assert answers == [str(number) for number in range(25)]
    assert sorted(count for _, count in source.calls) == [5, 10, 10]


async def test_no_more_calls_than_lanes_are_at_the_source_and_the_others_board_what_waits() -> None:
    source = Noting()
    together = Together(source, lanes=2, now=lambda: NOW)
    source.answering.clear()
    first = [asyncio.create_task(ask(together, number, context(f"案{number}"))) for number in range(5)]
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(ask(together, 9, context("案4"))) for _ in range(3)]
    await asyncio.sleep(0.01)

    source.answering.set()
    await asyncio.gather(*first, *later)

    assert source.most == 2
    assert ("案4", 4) in source.calls, "a call that waits for its lane still takes in what asks the same"


async def test_a_source_that_joins_callers_by_itself_has_room_for_more_of_them() -> None:
    source = Noting(batch=10)
    together = Together(source, lanes=2, now=lambda: NOW)
    source.answering.clear()
    asking = [asyncio.create_task(ask(together, number, context(f"案{number}"))) for number in range(30)]
    await asyncio.sleep(0.01)

    assert source.running == 20

    source.answering.set()
    await asyncio.gather(*asking)


async def test_who_gives_up_leaves_the_call_to_the_others_and_the_last_one_stops_it() -> None:
    source = Noting()
    together = Together(source, lanes=1, now=lambda: NOW)
    source.answering.clear()
    asking = [asyncio.create_task(ask(together, number, context())) for number in range(3)]
    await asyncio.sleep(0.01)
    asking[0].cancel()
    await asyncio.sleep(0.01)
    assert (source.running, source.stopped) == (1, 0)

    for task in asking[1:]:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await asyncio.sleep(0.01)

    assert (source.running, source.stopped) == (0, 1)
    source.answering.set()
    assert await ask(together, 7, context()) == "7", "the lane is free again"


async def test_who_boards_as_the_last_one_gives_a_waiting_call_up_gets_a_call_of_its_own() -> None:
    source = Noting()
    together = Together(source, lanes=1, now=lambda: NOW)
    source.answering.clear()
    ahead = asyncio.create_task(ask(together, 1, context("案1")))
    await asyncio.sleep(0.01)
    last = asyncio.create_task(ask(together, 2, context("案2")))
    await asyncio.sleep(0.01)
    last.cancel()
    next_one = asyncio.create_task(ask(together, 3, context("案2")))
    await asyncio.gather(last, return_exceptions=True)
    source.answering.set()

    assert (await ahead, await next_one) == ("1", "3")
    assert last.cancelled()
    assert source.calls == [("案1", 1), ("案2", 1)]


async def test_a_call_that_somebody_else_gives_up_leaves_its_claims_unanswered_and_no_more() -> None:
    class GivenUp(Noting):
        async def check_many(self, claims: Sequence[Claim], context: QueryContext) -> list[Evidence]:
            raise asyncio.CancelledError

    together = Together(GivenUp(), lanes=1, now=lambda: NOW)
    [evidence] = await together.check_many([claim(1)], context())
    assert (evidence.outcome.kind, evidence.outcome.cause, evidence.attempts) == (Kind.UNAVAILABLE, Cause.TIMEOUT, 1)


async def test_a_deadline_is_each_callers_own_and_says_whether_the_source_was_asked() -> None:
    source = Noting()
    together = Together(source, lanes=1, now=lambda: NOW)
    source.answering.clear()
    patient = asyncio.create_task(ask(together, 0, context("案1")))
    [hasty] = await together.check_many([claim(1)], context("案1", seconds=0.05))
    [waiting] = await together.check_many([claim(2)], context("案2", seconds=0.05))

    assert (hasty.outcome.kind, hasty.outcome.cause, hasty.attempts) == (Kind.UNAVAILABLE, Cause.TIMEOUT, 1)
    assert (waiting.outcome.kind, waiting.outcome.cause, waiting.attempts) == (Kind.UNAVAILABLE, Cause.OVERLOAD, 0)
    source.answering.set()
    assert await patient == "0"
    assert [case for case, _ in source.calls] == ["案1"], "nobody was asked for somebody who had gone"
