"""Deadlines: split over sources, kept by the monotonic clock, and the end of everything behind them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client import DeadlinePassed, Retries, Selection, Step, Verdict
from gateway.client.messages import question_message
from gateway.rpc.translate import raw_question
from gateway.rules.plan import AllOf, AnyOf, Leaf, Node, Plan
from gateway.rules.time_share import time_share

from .test_batch import CLERK
from .village import PEOPLE, inside, premises, service, serving, settle, slow_source

RIGHT = "示例路1号"


async def test_a_source_that_never_answers_leaves_time_for_the_next(tmp_path: Path) -> None:
    async with service() as dead, service({PEOPLE[0].id_number: RIGHT}) as alive:
        dead.answering.clear()
        sources = slow_source(dead.port, name="housing-1") + slow_source(alive.port, name="housing-2")
        async with serving(settle(tmp_path, sources=sources)) as village:
            answer = await village.client().verify(premises(0, RIGHT), timeout=4)
        await dead.until(lambda: dead.left == 1)

    assert answer.verification.verdict is Verdict.ESTABLISHED
    said = [(fact.source, fact.outcome, fact.cause) for fact in answer.verification.facts if "housing" in fact.source]
    assert said == [("housing-1", "UNAVAILABLE", "TIMEOUT"), ("housing-2", "MATCH", "")]


async def test_a_cancelled_call_stops_its_source_and_leaves_no_trace(tmp_path: Path) -> None:
    async with service() as housing, serving(settle(tmp_path, sources=slow_source(housing.port))) as village:
        housing.answering.clear()
        call = village.stub().Verify(question_message(premises(0, RIGHT)), timeout=20)
        await housing.until(lambda: housing.asked == 1)

        call.cancel()

        await housing.until(lambda: housing.left == 1)
        assert [one async for one in village.client().answers(Selection())] == []


async def test_a_deadline_stops_the_source_and_is_answered_as_temporary(tmp_path: Path) -> None:
    async with service() as housing, serving(settle(tmp_path, sources=slow_source(housing.port))) as village:
        housing.answering.clear()

        answer = await village.client().verify(premises(0, RIGHT), timeout=2)

        await housing.until(lambda: housing.left == 1)
    assert (answer.verification.verdict, answer.verification.next_step.kind) == (Verdict.UNDETERMINED, Step.RETRY_AFTER)
    assert "UNAVAILABLE(TIMEOUT)" in answer.verification.reasons


async def test_a_deadline_that_has_passed_asks_nobody(tmp_path: Path) -> None:
    async with service() as housing:
        house = settle(tmp_path, sources=slow_source(housing.port))
        async with inside(house) as here:
            size = here.ledger.size()
            raw = raw_question(question_message(premises(0, RIGHT)))
            with pytest.raises(TimeoutError):
                await here.flows.verify(raw, CLERK, asyncio.get_running_loop().time() - 1)
            assert here.ledger.size() == size
        async with serving(house) as village:
            with pytest.raises(DeadlinePassed):
                await village.client(retries=Retries(most=0)).verify(premises(0, RIGHT), timeout=0)
    assert housing.asked == 0


async def test_a_deadline_too_short_for_anything_is_not_blamed_on_the_ledger(tmp_path: Path) -> None:
    outcomes = []
    async with service() as housing, inside(settle(tmp_path, sources=slow_source(housing.port))) as here:
        housing.answering.clear()
        for tenths in range(1, 80, 2):
            raw = raw_question(question_message(premises(tenths, RIGHT)))
            deadline = asyncio.get_running_loop().time() + tenths / 10_000
            try:
                answered = await here.flows.verify(raw, CLERK, deadline)
                outcomes.append(str(answered.answer["verdict"]))
            except TimeoutError:
                outcomes.append("DEADLINE_EXCEEDED")

    assert "DEADLINE_EXCEEDED" in outcomes
    assert set(outcomes) <= {"DEADLINE_EXCEEDED", "UNDETERMINED"}


@pytest.mark.parametrize("jump", [timedelta(minutes=10), timedelta(minutes=-10)])
async def test_a_clock_that_jumps_moves_no_deadline(tmp_path: Path, jump: timedelta) -> None:
    ahead = timedelta(0)

    def now() -> datetime:
        return datetime.now(UTC) + ahead

    async with (
        service({PEOPLE[0].id_number: RIGHT}) as housing,
        serving(settle(tmp_path, sources=slow_source(housing.port)), now=now) as village,
    ):
        housing.answering.clear()
        question = premises(0, RIGHT)
        asking = asyncio.create_task(village.client().verify(question))
        await housing.until(lambda: housing.asked == 1)
        ahead = jump
        housing.answering.set()
        answer = await asking
        again = await village.client().verify(question)
        later = await village.client().verify(premises(0, RIGHT))

    assert answer.verification.verdict is Verdict.ESTABLISHED
    assert abs(answer.verification.answered_at - now()) < timedelta(minutes=1)
    assert again.receipt.proof == answer.receipt.proof
    assert later.verification.verdict is Verdict.ESTABLISHED


LEAVES = [f"f{n}" for n in range(1, 6)]
NODES = st.recursive(
    st.sampled_from(LEAVES).map(lambda name: Leaf(id=name)),
    lambda inner: st.builds(
        lambda kind, of, ordered: kind(of=tuple(of), ordered=ordered),
        st.sampled_from([AnyOf, AllOf]),
        st.lists(inner, min_size=1, max_size=3),
        st.booleans(),
    ),
    max_leaves=6,
)
ROUNDS = st.fixed_dictionaries({name: st.integers(1, 4) for name in LEAVES})


def below(node: Node) -> set[str]:
    return {node.id} if isinstance(node, Leaf) else set().union(*(below(one) for one in node.of))  # type: ignore[union-attr]


@given(NODES, ROUNDS)
def test_what_runs_one_after_the_other_never_has_more_time_than_there_is(node: Node, rounds: dict[str, int]) -> None:
    plan = Plan(root=node, checks={})

    shares = {name: time_share(plan, {}, rounds, name) for name in below(node)}

    assert all(0 < share <= 1 / rounds[name] for name, share in shares.items())


@given(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=5, unique=True), ROUNDS)
def test_facts_asked_in_order_share_the_time_by_their_rounds(names: list[str], rounds: dict[str, int]) -> None:
    plan = Plan(root=AnyOf(of=tuple(Leaf(id=name) for name in names), ordered=True), checks={})
    total = sum(rounds[name] for name in names)

    shares = time_share(plan, {}, rounds, names[0]), time_share(plan, {}, rounds, names[-1])

    assert shares[0] == pytest.approx(1 / total)
    assert shares[1] == pytest.approx(1 / rounds[names[-1]])
