"""The ladder is climbed rung by rung: departments are asked, then the office checks, and only then is a commitment."""

from __future__ import annotations

from gateway.client import Step, Verdict

from .hall import Hall


async def test_data_that_are_missing_lead_to_people_first(house: Hall) -> None:
    answer = await house.ask()

    assert (answer.verification.verdict, answer.verification.next_step.kind) == (Verdict.UNDETERMINED, Step.ASSISTANCE)


async def test_the_ladder_is_climbed_to_the_commitment(house: Hall) -> None:
    first = await house.ask()
    sent = await house.send(first.verification.record)
    waiting = await house.ask()
    assert (waiting.verification.verdict, waiting.verification.next_step.kind) == (Verdict.PENDING, Step.WAIT)
    await house.receive(sent.assistance.record)
    await house.answer(sent.assistance.record, "NO_RECORD")
    after = await house.ask()
    assert after.verification.next_step.kind is Step.OWN_OR_COMMISSIONED_CHECK
    await house.check(after.verification.record, "NO_RECORD")

    last = await house.ask()

    assert last.verification.next_step.kind is Step.COMMITMENT
    assert last.verification.next_step.attempts == ("ASSISTANCE", "OWN_OR_COMMISSIONED_CHECK")


async def test_what_a_department_finds_establishes_the_claim(house: Hall) -> None:
    first = await house.ask()

    await house.answered(first.verification.record, "MATCH")

    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED
