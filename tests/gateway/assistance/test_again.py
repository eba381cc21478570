"""What people found by mistake can be taken back by who found it, where that is what stands against the applicant."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from gateway.client import Step, Verdict, explain
from gateway.client.refusals import GatewayRefusal

from .hall import ADDRESS, FACT, LEASE, PEOPLE, Hall, hall, new_id, operator

PERSON = PEOPLE[0].id_number
THIRD = {"operator": operator("clerk", "clerk-03")}


async def refused(call: object) -> str:
    with pytest.raises((grpc.RpcError, GatewayRefusal)) as caught:
        await call  # type: ignore[misc]
    if isinstance(caught.value, GatewayRefusal):
        return caught.value.reason
    return explain(caught.value)[0]  # type: ignore[arg-type]


async def disputed(house: Hall) -> str:
    """Have a department find both facts untrue; gives the answer that calls for a dispute."""
    first = (await house.ask()).verification.record
    for fact_type in (FACT, LEASE):
        await house.denied(first, fact_type)
    last = (await house.ask()).verification
    assert (last.verdict, last.next_step.kind) == (Verdict.CONTRADICTED, Step.DISPUTE)
    return last.record


async def test_a_unit_that_found_it_untrue_is_asked_again_and_its_newest_answer_stands(house: Hall) -> None:
    last = await disputed(house)

    sent = (await house.send(last)).assistance.record
    assert (await house.ask()).verification.next_step.kind is Step.DISPUTE, "what it found stands until it answers"
    await house.receive(sent)
    await house.answer(sent, "MATCH")

    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED


async def test_who_is_asked_again_and_finds_it_untrue_again_or_nothing_takes_nothing_back(house: Hall) -> None:
    last = await disputed(house)
    await house.denied(last)
    assert (await house.ask()).verification.next_step.kind is Step.DISPUTE
    await house.answered(last, "NO_RECORD")

    after = (await house.ask()).verification
    assert (after.verdict, after.next_step.kind) == (Verdict.CONTRADICTED, Step.DISPUTE)


async def test_a_unit_that_disagrees_with_a_register_is_asked_again(house: Hall) -> None:
    await disputed(house)
    house.homes.values[PERSON] = ADDRESS
    conflict = (await house.ask()).verification
    assert conflict.reasons == ("CONFLICT",)

    await house.answered(conflict.record, "MATCH")

    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED


async def test_a_unit_may_take_back_that_it_bore_the_claim_out(house: Hall) -> None:
    await house.answered((await house.ask()).verification.record, "MATCH")
    house.homes.values[PERSON] = "示例路404号"
    conflict = (await house.ask()).verification
    assert conflict.reasons == ("CONFLICT",)

    await house.denied(conflict.record)

    assert (await house.ask()).verification.verdict is Verdict.CONTRADICTED


async def test_an_own_check_is_looked_at_again_by_another_person(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.all_answered(first, "NO_RECORD")
    await house.all_checked(first, "MISMATCH")
    last = (await house.ask()).verification
    assert last.next_step.kind is Step.DISPUTE

    assert await refused(house.check(last.record, "MATCH")) == "CHECKED_BEFORE"
    for same in ("clerk-01", "clerk-02", "CLERK-02"):
        who = {"operator": operator("clerk", same), "second_operator": operator("clerk", "clerk-03")}
        assert await refused(house.check(last.record, "MATCH", **who)) == "CHECKED_BEFORE"
    assert await refused(house.check(last.record, "MATCH", **THIRD, second_operator=None)) == "SECOND_PERSON_REQUIRED"
    await house.check(last.record, "MATCH", **THIRD)

    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED


async def test_nobody_checks_for_the_first_time_what_is_for_the_applicant_to_dispute(house: Hall) -> None:
    assert await refused(house.check(await disputed(house), "MATCH")) == "STEP_NOT_CALLED_FOR"


async def test_nobody_is_asked_again_but_who_found_it_untrue(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.denied(first)
    await house.answered(first, "NO_RECORD", fact_type=LEASE)
    await house.check(first, "NO_RECORD", fact_type=LEASE)
    last = (await house.ask()).verification
    assert last.next_step.kind is Step.DISPUTE

    assert await refused(house.send(last.record, fact_type=LEASE)) == "STEP_NOT_CALLED_FOR"
    assert await refused(house.check(last.record, "MATCH", fact_type=LEASE, **THIRD)) == "STEP_NOT_CALLED_FOR"
    assert await refused(house.check(last.record, "MATCH", **THIRD)) == "STEP_NOT_CALLED_FOR"


async def test_nobody_is_asked_again_where_registers_alone_contradict(house: Hall) -> None:
    await house.all_answered((await house.ask()).verification.record, "NO_RECORD")
    house.homes.values[PERSON] = "示例路404号"
    last = (await house.ask()).verification
    assert last.next_step.kind is Step.DISPUTE

    assert await refused(house.send(last.record)) == "STEP_NOT_CALLED_FOR"


async def test_nobody_is_asked_again_once_the_claim_is_established(house: Hall) -> None:
    await house.answered((await house.ask()).verification.record, "MATCH")

    assert await refused(house.send((await house.ask()).verification.record)) == "STEP_NOT_CALLED_FOR"


async def test_nobody_is_asked_again_who_already_took_it_back(house: Hall) -> None:
    last = await disputed(house)
    await house.answered(last, "MATCH")

    assert await refused(house.send((await house.ask()).verification.record)) == "STEP_NOT_CALLED_FOR"


async def test_nobody_is_asked_again_where_registers_bear_the_claim_out_by_the_time(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.denied(first)
    await house.answered(first, "NO_RECORD", fact_type=LEASE)
    await house.check(first, "NO_RECORD", fact_type=LEASE)
    last = (await house.ask()).verification
    assert last.next_step.kind is Step.DISPUTE
    house.homes.values[PERSON] = ADDRESS  # the lease too: it bears the claim out

    assert await refused(house.send(last.record)) == "STEP_NOT_CALLED_FOR"
    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED


async def test_a_unit_is_asked_again_once_at_a_time(house: Hall) -> None:
    last = await disputed(house)
    await house.send(last)

    assert await refused(house.send(last)) == "ASSISTANCE_OPEN"


async def test_who_is_asked_again_finds_it_untrue_by_two_and_has_seen_what_is_asked(house: Hall) -> None:
    last = await disputed(house)
    sent = (await house.send(last)).assistance.record

    assert await refused(house.answer(sent, "MATCH")) == "ASSISTANCE_UNSEEN"
    await house.receive(sent)
    assert await refused(house.answer(sent, "MISMATCH")) == "SECOND_PERSON_REQUIRED"


async def test_a_request_that_asks_again_and_is_repeated_gets_its_first_answer(house: Hall) -> None:
    last, same = await disputed(house), new_id()
    one = await house.send(last, request_id=same)

    assert await house.send(last, request_id=same) == one


async def test_whoever_is_asked_again_and_late_holds_nothing_open(house: Hall) -> None:
    last = await disputed(house)
    await house.send(last)
    house.clock.at += timedelta(days=60)

    after = (await house.ask()).verification
    assert (after.verdict, after.next_step.kind) == (Verdict.CONTRADICTED, Step.DISPUTE)


async def test_another_case_stays_barred_until_all_that_was_found_untrue_is_taken_back(house: Hall) -> None:
    last = await disputed(house)
    await house.answered(last, "MATCH")
    other = (await house.ask(number="办-2")).verification.record
    await house.all_answered(other, "NO_RECORD")
    await house.all_checked(other, "NO_RECORD")
    assert (await house.ask(number="办-2")).verification.next_step.kind is Step.DISPUTE, "the lease is untrue still"

    await house.answered((await house.ask(number="办-3")).verification.record, "MATCH", fact_type=LEASE)

    assert (await house.ask(number="办-2")).verification.next_step.kind is Step.COMMITMENT


@pytest.mark.parametrize("denied", [FACT, LEASE])
async def test_where_only_the_verdict_is_told_whoever_answered_may_be_asked_again_whatever_they_found(
    tmp_path: Path, denied: str
) -> None:
    async with hall(tmp_path, verdict_only=True) as house:
        first = (await house.ask()).verification.record
        await house.denied(first, denied)
        for fact_type in {FACT, LEASE} - {denied}:
            await house.answered(first, "NO_RECORD", fact_type=fact_type)
        await house.all_checked(first, "NO_RECORD")
        last = (await house.ask()).verification
        assert last.next_step.kind is Step.DISPUTE

        for fact_type in (FACT, LEASE):
            assert (await house.send(last.record, fact_type=fact_type)).assistance.record


async def nothing_found(house: Hall, number: str) -> str:
    """Ask everybody in a case, who find nothing; gives the answer to that."""
    asked = (await house.ask(number=number)).verification.record
    await house.all_answered(asked, "NO_RECORD")
    await house.all_checked(asked, "NO_RECORD")
    last = (await house.ask(number=number)).verification
    assert last.next_step.kind is Step.DISPUTE
    return last.record


async def checked_untrue(house: Hall, number: str) -> None:
    """Have two of the office find a fact untrue in a case."""
    first = (await house.ask(number=number)).verification.record
    await house.all_answered(first, "NO_RECORD")
    await house.check(first, "MISMATCH")


async def test_who_checked_it_untrue_takes_nothing_back_under_another_number(house: Hall) -> None:
    await checked_untrue(house, "办-1")
    other = (await house.ask(number="办-2")).verification.record
    await house.all_answered(other, "NO_RECORD")

    assert await refused(house.check(other, "MATCH")) == "CHECKED_BEFORE"
    with_first = {"second_operator": operator("clerk", "clerk-03"), "operator": operator("clerk", "CLERK-02")}
    assert await refused(house.check(other, "MATCH", **with_first)) == "CHECKED_BEFORE"
    await house.all_checked(other, "NO_RECORD")
    assert (await house.ask(number="办-2")).verification.next_step.kind is Step.DISPUTE


async def test_a_third_person_checks_again_in_the_case_at_hand_what_was_checked_untrue_elsewhere(house: Hall) -> None:
    await checked_untrue(house, "办-1")
    last = await nothing_found(house, "办-2")

    assert await refused(house.check(last, "MATCH")) == "CHECKED_BEFORE"
    assert await refused(house.send(last)) == "STEP_NOT_CALLED_FOR", "it is not the unit's word that bars"
    await house.check(last, "MATCH", **THIRD)

    assert (await house.ask(number="办-2")).verification.verdict is Verdict.ESTABLISHED


async def test_a_unit_is_asked_again_in_the_case_at_hand_about_what_it_found_untrue_elsewhere(house: Hall) -> None:
    await house.denied((await house.ask(number="办-1")).verification.record)
    last = await nothing_found(house, "办-2")

    assert await refused(house.send(last, fact_type=LEASE)) == "STEP_NOT_CALLED_FOR", "of which it said nothing"
    await house.answered(last, "MATCH")

    assert (await house.ask(number="办-2")).verification.verdict is Verdict.ESTABLISHED
    assert (await house.ask(number="办-1")).verification.next_step.kind is not Step.COMMITMENT


async def test_a_third_person_who_finds_nothing_takes_nothing_back(house: Hall) -> None:
    await checked_untrue(house, "办-1")
    last = await nothing_found(house, "办-2")

    await house.check(last, "NO_RECORD", **THIRD)
    assert (await house.ask(number="办-2")).verification.next_step.kind is Step.DISPUTE, "it takes nothing back"
