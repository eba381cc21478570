"""What people found is weighed beside what registers say, whichever came first: neither overrides the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.client import Step, Verdict, Verification

from .hall import ADDRESS, FACT, LEASE, PEOPLE, Hall, hall

ELSEWHERE = "示例路404号"
PERSON = PEOPLE[0].id_number


def said(answer: Verification, fact_type: str = FACT) -> list[str]:
    return [fact.outcome for fact in answer.facts if fact.fact_type == fact_type]


async def test_a_register_never_overrides_people_silently(house: Hall) -> None:
    first = (await house.ask()).verification.record
    for fact_type in (FACT, LEASE):
        await house.denied(first, fact_type)
    assert (await house.ask()).verification.verdict is Verdict.CONTRADICTED
    house.homes.values[PERSON] = ADDRESS

    last = (await house.ask()).verification

    assert (last.verdict, last.reasons) == (Verdict.UNDETERMINED, ("CONFLICT",))
    assert said(last) == said(last, LEASE) == ["MATCH", "MISMATCH"]
    assert last.next_step.kind is not Step.COMMITMENT


async def test_people_never_override_a_register_that_contradicts_later(house: Hall) -> None:
    await house.answered((await house.ask()).verification.record, "MATCH")
    house.homes.values[PERSON] = ELSEWHERE

    last = (await house.ask()).verification

    assert (last.verdict, last.reasons) == (Verdict.UNDETERMINED, ("CONFLICT",))
    assert said(last) == ["MISMATCH", "MATCH"]
    assert last.next_step.kind is not Step.COMMITMENT


async def test_a_register_that_agrees_with_people_establishes_and_both_are_told(house: Hall) -> None:
    await house.answered((await house.ask()).verification.record, "MATCH")
    house.homes.values[PERSON] = ADDRESS

    last = (await house.ask()).verification

    assert (last.verdict, said(last)) == (Verdict.ESTABLISHED, ["MATCH", "MATCH"])


@pytest.mark.parametrize("outcome", ["NO_RECORD", "AMBIGUOUS"])
async def test_that_people_decided_nothing_keeps_no_register_from_deciding(house: Hall, outcome: str) -> None:
    await house.answered((await house.ask()).verification.record, outcome)
    house.homes.values[PERSON] = ADDRESS

    last = (await house.ask()).verification

    assert (last.verdict, said(last)) == (Verdict.ESTABLISHED, ["MATCH", outcome])


async def test_a_fact_that_was_spared_is_asked_once_people_disagree_with_what_spared_it(tmp_path: Path) -> None:
    async with hall(tmp_path, in_turn=True) as house:
        await house.denied((await house.ask()).verification.record)
        house.homes.values[PERSON] = ADDRESS

        last = (await house.ask()).verification

        # Not NOT_ASKED, which would be waited for: the second register was asked after all, and bears the claim out.
        assert (said(last), said(last, LEASE)) == (["MATCH", "MISMATCH"], ["MATCH"])
        assert last.verdict is Verdict.ESTABLISHED
