"""Where only the verdict is disclosed, nothing that follows from asking people tells which fact of an item is settled.

A register has settled the ownership, and the lease is open. What a clerk sees of acts about the one and about
the other is compared, each in a case of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from gateway.client import Selection, Step, Verdict, Verification, explain

from .hall import ADDRESS, FACT, LEASE, PEOPLE, Hall, hall

SETTLED, OPEN = FACT, LEASE


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Hall]:
    async with hall(tmp_path, verdict_only=True) as here:
        yield here


async def half_settled(house: Hall, number: str) -> str:
    """Have the register of homes contradict one of the two facts; returns a verification that is still open."""
    house.homes.values[PEOPLE[0].id_number] = "示例路1号"
    still = (await house.ask(number=number)).verification
    assert (still.verdict, still.next_step.kind) == (Verdict.UNDETERMINED, Step.ASSISTANCE)
    return still.record


async def told(house: Hall, number: str) -> tuple[object, ...]:
    """What a clerk is told: by asking again, and by the newest answer in the list."""
    asked = (await house.ask(number=number)).verification
    listed = [one async for one in house.village.client().answers(Selection(item="business-premises"))]
    newest = next(one for one in listed if one.record == asked.record)
    return seen(asked), seen(newest)


def seen(one: Verification) -> tuple[object, ...]:
    step = one.next_step
    return one.verdict, one.reasons, one.facts, step.kind, step.until, step.attempts, step.since, step.explanation


async def test_a_request_is_waited_for_whichever_fact_it_is_about(house: Hall) -> None:
    answers = []
    for number, fact_type in (("办-1", SETTLED), ("办-2", OPEN)):
        still = await half_settled(house, number)
        sent = await house.send(still, fact_type=fact_type)
        [with_it] = [
            one
            async for one in house.village.client().answers(Selection(item="business-premises"))
            if one.record == sent.verification
        ]
        answers.append((seen(with_it), await told(house, number)))

    assert answers[0] == answers[1]
    assert answers[0][0][3] is answers[0][1][0][3] is Step.WAIT  # type: ignore[index]


async def test_a_request_that_is_overdue_is_whichever_fact_it_is_about(house: Hall) -> None:
    answers = []
    for number, fact_type in (("办-1", SETTLED), ("办-2", OPEN)):
        await house.send(await half_settled(house, number), fact_type=fact_type)
    house.clock.at += timedelta(days=60)
    for number in ("办-1", "办-2"):
        answers.append(await told(house, number))

    assert answers[0] == answers[1]
    assert "TEMPORARY" in answers[0][0][1]  # type: ignore[operator]


@pytest.mark.parametrize("outcome", ["NO_RECORD", "AMBIGUOUS"])
async def test_what_people_could_not_find_tells_the_same_of_either_fact(house: Hall, outcome: str) -> None:
    answers = []
    for number, fact_type in (("办-1", SETTLED), ("办-2", OPEN)):
        await house.answered(await half_settled(house, number), outcome, fact_type=fact_type)
        answers.append(await told(house, number))

    assert answers[0] == answers[1]


async def test_a_rung_counts_once_each_fact_of_the_item_was_asked_about_settled_or_not(house: Hall) -> None:
    first = await half_settled(house, "办2026-0001")
    await house.answered(first, "NO_RECORD", fact_type=OPEN)
    assert (await house.ask()).verification.next_step.kind is Step.ASSISTANCE

    await house.answered(first, "NO_RECORD", fact_type=SETTLED)

    after = (await house.ask()).verification.next_step
    assert (after.kind, after.attempts) == (Step.OWN_OR_COMMISSIONED_CHECK, ("ASSISTANCE",))


async def test_nobody_is_asked_about_either_fact_where_the_verdict_is_given(house: Hall) -> None:
    still = await half_settled(house, "办-1")
    house.homes.values[PEOPLE[0].id_number] = ADDRESS

    for fact_type in (SETTLED, OPEN):
        with pytest.raises(grpc.RpcError) as refused:
            await house.send(still, fact_type=fact_type)
        assert explain(refused.value)[0] == "STEP_NOT_CALLED_FOR"


async def test_what_people_found_untrue_in_another_case_tells_the_same_of_either_fact(house: Hall) -> None:
    answers = []
    for person, fact_type in ((0, SETTLED), (1, OPEN)):
        house.homes.values[PEOPLE[person].id_number] = "示例路1号"
        await house.denied((await house.ask(person, number="办-1")).verification.record, fact_type)
        answers.append(seen((await house.ask(person, number="办-2")).verification))

    assert answers[0] == answers[1]
    assert answers[0][:3] == (Verdict.UNDETERMINED, ("DISPROVED", "MISSING"), ())
