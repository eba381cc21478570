"""What people found is weighed beside what registers say, whichever came first: neither overrides the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.client import Question, Step, Verdict, Verification
from gateway.client.proofs import ReceiptRefused
from gateway.client.recorded import require_recorded
from gateway.rules.kept import rows, table
from tests.gateway.verification.village import case, marital, premises

from .hall import ADDRESS, CIVIL, FACT, LEASE, PEOPLE, SINGLE, Hall, hall, in_case, new_id, operator

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


async def test_the_newest_check_counts_though_the_clock_was_set_back_before_it(house: Hall) -> None:
    asked = (await house.ask()).verification.record
    await house.all_answered(asked, "NO_RECORD")
    await house.all_checked(asked, "NO_RECORD")
    assert (await house.ask()).verification.next_step.kind is Step.COMMITMENT

    house.clock.at -= timedelta(minutes=10)
    await house.check(asked, "AMBIGUOUS")
    house.clock.at += timedelta(minutes=30)

    last = (await house.ask()).verification
    assert "AMBIGUOUS" in last.reasons
    assert last.next_step.kind is not Step.COMMITMENT


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


async def test_what_people_found_untrue_of_one_fact_leads_to_no_commitment_for_want_of_the_other(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.denied(first)
    other = (await house.ask()).verification
    assert (other.reasons, other.next_step.kind) == (("DISPROVED", "NO_RECORD"), Step.ASSISTANCE)
    await house.answered(first, "NO_RECORD", fact_type=LEASE)
    assert (await house.ask()).verification.next_step.kind is Step.OWN_OR_COMMISSIONED_CHECK
    await house.check(first, "NO_RECORD", fact_type=LEASE)

    last = (await house.ask()).verification

    assert (last.verdict, last.reasons) == (Verdict.UNDETERMINED, ("DISPROVED", "NO_RECORD"))
    assert last.next_step.kind is Step.DISPUTE
    assert "不得以承诺代替" in last.next_step.explanation


async def test_what_an_own_check_found_untrue_leads_to_no_commitment(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.all_answered(first, "NO_RECORD")
    await house.check(first, "MISMATCH")
    await house.check(first, "NO_RECORD", fact_type=LEASE)

    assert (await house.ask()).verification.next_step.kind is Step.DISPUTE


async def test_a_register_that_finds_it_untrue_too_opens_nothing_either(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.denied(first)
    await house.answered(first, "NO_RECORD", fact_type=LEASE)
    await house.check(first, "NO_RECORD", fact_type=LEASE)
    house.homes.values[PERSON] = ELSEWHERE

    last = (await house.ask()).verification

    assert last.next_step.kind is Step.DISPUTE
    assert said(last) == said(last)


async def test_another_fact_may_still_bear_out_what_people_found_untrue_of_one(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.denied(first)
    await house.answered(first, "MATCH", fact_type=LEASE)

    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED


async def test_people_who_disagree_about_one_fact_are_a_conflict(house: Hall) -> None:
    first = (await house.ask()).verification.record
    home, _ = [(await house.send(first, fact_type=fact_type)).assistance.record for fact_type in (FACT, LEASE)]
    await house.receive(home)
    house.clock.at += timedelta(days=40)
    await house.check((await house.ask()).verification.record, "MATCH")
    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED

    await house.answer(home, "MISMATCH", second_operator=operator("source-officer", "source-officer-02"))

    last = (await house.ask()).verification
    assert (last.verdict, "CONFLICT" in last.reasons) == (Verdict.UNDETERMINED, True)
    assert sorted(said(last)) == ["MATCH", "MISMATCH", "NO_RECORD"]


async def test_what_people_found_is_told_as_about_the_statement_and_what_a_register_says_is_not(house: Hall) -> None:
    first = (await house.unmarried()).verification.record
    await house.answered(first, "MATCH", fact_type="marriage-registration")

    last = await house.unmarried()  # the client has compared each fact with what was recorded

    told = [(fact.source, fact.outcome, fact.about_statement) for fact in last.verification.facts]
    assert told == [("civil-affairs", "NOT_COVERED", False), (f"assistance/{CIVIL}", "MATCH", True)]
    kept = [table(fact) for fact in rows(last.receipt.opened["answer"].value["facts"])]
    assert ["about_statement" in fact for fact in kept] == [False, True]


async def test_a_finding_that_is_told_as_a_registers_is_not_believed(house: Hall) -> None:
    await house.answered((await house.ask()).verification.record, "MATCH")
    answer = await house.ask()
    facts = tuple(replace(fact, about_statement=False) for fact in answer.verification.facts)

    with pytest.raises(ReceiptRefused):
        require_recorded(replace(answer.verification, facts=facts), answer.receipt)


async def nothing_found(house: Hall, number: str) -> Verification:
    """Ask everybody in a case, who find nothing; gives the answer to that."""
    asked = (await house.ask(number=number)).verification.record
    await house.all_answered(asked, "NO_RECORD")
    await house.all_checked(asked, "NO_RECORD")
    return (await house.ask(number=number)).verification


async def test_what_people_found_untrue_in_one_case_leads_to_no_commitment_in_another(house: Hall) -> None:
    await house.denied((await house.ask(number="办-1")).verification.record)

    fresh = (await house.ask(number="办-2")).verification
    assert ("DISPROVED" in fresh.reasons, fresh.next_step.kind) == (True, Step.ASSISTANCE)
    assert said(fresh) == ["NO_RECORD"], "what was found elsewhere is weighed where it was found"
    last = await nothing_found(house, "办-2")
    assert (last.verdict, last.next_step.kind) == (Verdict.UNDETERMINED, Step.DISPUTE)


async def test_what_an_own_check_found_untrue_leads_to_no_commitment_in_another_case(house: Hall) -> None:
    first = (await house.ask(number="办-1")).verification.record
    await house.all_answered(first, "NO_RECORD")
    await house.check(first, "MISMATCH")

    assert (await nothing_found(house, "办-2")).next_step.kind is Step.DISPUTE


async def test_what_was_found_untrue_of_another_claim_or_person_closes_nothing(house: Hall) -> None:
    await house.denied((await house.ask(number="办-1", address=ELSEWHERE)).verification.record)
    await house.denied((await house.ask(1, number="办-1")).verification.record)

    assert (await nothing_found(house, "办-2")).next_step.kind is Step.COMMITMENT


async def test_a_unit_that_bears_out_later_in_another_case_what_it_found_untrue_closes_nothing_any_more(
    house: Hall,
) -> None:
    await house.denied((await house.ask(number="办-1")).verification.record)
    await house.answered((await house.ask(number="办-2")).verification.record, "MATCH")

    assert (await nothing_found(house, "办-3")).next_step.kind is Step.COMMITMENT


async def test_a_register_may_bear_out_in_another_case_what_people_found_untrue(house: Hall) -> None:
    await house.denied((await house.ask(number="办-1")).verification.record)
    house.homes.values[PERSON] = ADDRESS

    assert (await house.ask(number="办-2")).verification.verdict is Verdict.ESTABLISHED


def unmarried(**more: str) -> Question:
    """Say that one is unmarried, in one case, with more parameters."""
    asked = marital(SINGLE, "UNMARRIED", in_case=case("办-1"))
    return replace(asked, parameters={**asked.parameters, **more}, request_id=new_id())


async def test_a_parameter_that_decides_nothing_is_no_way_around_what_people_found_untrue(house: Hall) -> None:
    client, fact = house.village.client(), "marriage-registration"
    await house.denied((await client.verify(unmarried())).verification.record, fact)
    more = (await client.verify(unmarried(judgment_number="1"))).verification.record
    await house.answered(more, "NO_RECORD", fact_type=fact)
    await house.check(more, "NO_RECORD", fact_type=fact)

    last = (await client.verify(unmarried(judgment_number="1"))).verification

    assert (last.verdict, last.next_step.kind) == (Verdict.UNDETERMINED, Step.DISPUTE)


async def test_another_name_beside_the_same_number_is_no_way_around_what_people_found_untrue(house: Hall) -> None:
    first = (await house.ask(number="办-1")).verification.record
    for fact_type in (FACT, LEASE):
        await house.denied(first, fact_type)
    asked = premises(0, ADDRESS, in_case=in_case("办-1"))

    def renamed() -> Question:
        named = replace(asked.subject, name=f"{asked.subject.name}甲")
        return replace(asked, subject=named, request_id=new_id())

    more = (await house.village.client().verify(renamed())).verification.record
    await house.all_answered(more, "NO_RECORD")
    await house.all_checked(more, "NO_RECORD")

    last = (await house.village.client().verify(renamed())).verification
    assert (last.verdict, last.next_step.kind) == (Verdict.UNDETERMINED, Step.DISPUTE)


async def test_more_said_of_a_fact_is_no_way_around_what_people_found_untrue(house: Hall) -> None:
    client, fact = house.village.client(), "marriage-registration"
    married = replace(unmarried(), parameters={"status": "MARRIED"})

    def to(spouse: int) -> Question:
        return replace(
            married, parameters={"status": "MARRIED", "spouse": premises(spouse, "").subject}, request_id=new_id()
        )

    await house.denied((await client.verify(married)).verification.record, fact)
    more = (await client.verify(to(1))).verification
    assert "DISPROVED" in more.reasons

    await house.answered((await client.verify(replace(married, case=case("办-2"), request_id=new_id())))
                         .verification.record, "MATCH", fact_type=fact)  # fmt: skip
    assert "DISPROVED" not in (await client.verify(to(1))).verification.reasons, "it was taken back"

    await house.denied((await client.verify(to(1))).verification.record, fact)
    await house.answered((await client.verify(replace(married, case=case("办-3"), request_id=new_id())))
                         .verification.record, "MATCH", fact_type=fact)  # fmt: skip
    assert (await client.verify(to(1))).verification.next_step.kind is Step.DISPUTE, "to be married is less"
    assert "DISPROVED" not in (await client.verify(to(2))).verification.reasons
