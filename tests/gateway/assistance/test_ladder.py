"""The ladder is climbed rung by rung: departments are asked, then the office checks, and only then is a commitment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from gateway.client import Selection, Step, Verdict, explain
from gateway.rules.clocks import CHINA
from gateway.v1 import assistance_pb2 as pb

from .hall import ADDRESS, FACT, LEASE, PEOPLE, TIMEOUT, Hall, hall, new_id, operator


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
    await house.answered(first.verification.record, "NO_RECORD", fact_type=LEASE)
    after = await house.ask()
    assert after.verification.next_step.kind is Step.OWN_OR_COMMISSIONED_CHECK
    await house.all_checked(after.verification.record, "NO_RECORD")

    last = await house.ask()

    assert last.verification.next_step.kind is Step.COMMITMENT
    assert last.verification.next_step.attempts == ("ASSISTANCE", "OWN_OR_COMMISSIONED_CHECK")


async def test_a_department_asked_about_one_fact_was_not_asked_about_the_other(house: Hall) -> None:
    first = await house.ask()
    await house.answered(first.verification.record, "NO_RECORD", fact_type=LEASE)

    after = (await house.ask()).verification

    assert (after.next_step.kind, after.next_step.attempts) == (Step.ASSISTANCE, ())
    with pytest.raises(grpc.RpcError) as refused:
        await house.check(after.record, "NO_RECORD")
    assert explain(refused.value)[0] == "STEP_NOT_CALLED_FOR"


async def test_a_check_of_one_fact_is_none_of_the_other(house: Hall) -> None:
    await house.all_answered((await house.ask()).verification.record, "NO_RECORD")
    await house.check((await house.ask()).verification.record, "NO_RECORD")

    after = (await house.ask()).verification

    assert after.next_step.kind is Step.OWN_OR_COMMISSIONED_CHECK
    assert after.next_step.attempts == ("ASSISTANCE",)


async def test_what_a_department_finds_establishes_the_claim(house: Hall) -> None:
    first = await house.ask()

    await house.answered(first.verification.record, "MATCH")

    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED


async def test_a_repeated_request_gets_its_first_answer(house: Hall) -> None:
    first = await house.ask()
    same = new_id()
    one = await house.send(first.verification.record, request_id=same)
    await house.receive(one.assistance.record)

    assert await house.send(first.verification.record, request_id=same) == one


async def test_whoever_watches_is_told_that_people_look_and_what_came_of_it(house: Hall) -> None:
    first = await house.ask()
    told: list[Step] = []

    async def watch() -> None:
        async for standing in house.village.client().watch(first.verification.record):
            told.append(standing.answer.verification.next_step.kind)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await house.answered(first.verification.record, "MATCH")

    async with asyncio.timeout(TIMEOUT):
        await watching
    assert told[-1] is Step.NONE
    assert set(told) <= {Step.ASSISTANCE, Step.WAIT, Step.NONE}


async def test_who_is_asked_sees_what_the_applicant_says_and_for_what(house: Hall) -> None:
    first = await house.ask()
    sent = await house.send(first.verification.record, note="请查阅2003年前的纸质档案")

    inquiry = (await house.receive(sent.assistance.record)).inquiry

    assert inquiry.subject.name == PEOPLE[0].name
    assert list(inquiry.said.values()) == [ADDRESS]
    assert (inquiry.purpose, inquiry.note) == ("办理行政许可", "请查阅2003年前的纸质档案")
    assert inquiry.sender == operator("clerk")


async def test_people_are_asked_about_one_type_of_fact_and_never_whether_the_whole_item_is_so(house: Hall) -> None:
    first = (await house.ask()).verification.record

    asked = {}
    for fact_type in (FACT, LEASE):
        record = (await house.send(first, fact_type=fact_type)).assistance.record
        asked[fact_type] = (await house.receive(record)).inquiry.meaning

    assert asked[FACT].startswith("请只就“不动产登记”这一类事实")
    assert asked[LEASE].startswith("请只就“房屋租赁备案”这一类事实")
    for meaning in asked.values():
        assert "其他事实另行核实" in meaning
        assert "住所证明" not in meaning


async def test_what_people_contradict_is_contradicted_and_never_a_commitment(house: Hall) -> None:
    first = await house.ask()

    second = operator("source-officer", "source-officer-02")
    await house.answered(first.verification.record, "MISMATCH", second_operator=second)

    last = (await house.ask()).verification
    # The other fact of the item is still open: nobody has been asked about that one.
    assert (last.verdict, last.next_step.kind) == (Verdict.UNDETERMINED, Step.ASSISTANCE)


async def test_nobody_answering_opens_no_commitment(house: Hall) -> None:
    first = await house.ask()
    for fact_type in (FACT, LEASE):
        await house.send(first.verification.record, fact_type=fact_type)
    house.clock.at += timedelta(days=40)

    late = (await house.ask()).verification
    assert late.next_step.kind is Step.OWN_OR_COMMISSIONED_CHECK
    await house.all_checked(late.record, "NO_RECORD")

    assert (await house.ask()).verification.next_step.kind is Step.NOT_ESTABLISHABLE


async def test_an_answer_that_comes_late_is_taken(house: Hall) -> None:
    first = await house.ask()
    record = (await house.send(first.verification.record)).assistance.record
    await house.receive(record)
    house.clock.at += timedelta(days=40)

    await house.answer(record, "MATCH")

    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED


async def test_a_misdirected_request_leaves_the_rung_open(house: Hall) -> None:
    first = await house.ask()
    record = (await house.send(first.verification.record)).assistance.record
    await house.receive(record)
    request = pb.ReturnAssistanceRequest(
        request_id=new_id(), record=record, operator=operator("source-officer"), forward_to="112300000000003030"
    )

    returned = await house.stub("source-officer").ReturnAssistance(request, timeout=TIMEOUT)

    assert returned.assistance.remark == "112300000000003030"
    again = await house.ask()
    assert again.verification.next_step.kind is Step.ASSISTANCE
    await house.send(again.verification.record)


async def test_a_refusal_of_people_is_listed_and_leads_on(house: Hall) -> None:
    first = await house.ask()
    await house.answered(first.verification.record, "NO_RECORD", fact_type=LEASE)
    record = (await house.send(first.verification.record)).assistance.record
    await house.receive(record)
    request = pb.RefuseAssistanceRequest(
        request_id=new_id(), record=record, operator=operator("source-officer"), reason="档案已移交"
    )
    await house.stub("source-officer").RefuseAssistance(request, timeout=TIMEOUT)

    last = (await house.ask()).verification

    assert "REFUSED" in last.reasons
    assert last.next_step.kind is Step.OWN_OR_COMMISSIONED_CHECK


async def test_several_candidates_found_by_people_never_lead_to_a_commitment(house: Hall) -> None:
    first = await house.ask()
    await house.all_answered(first.verification.record, "AMBIGUOUS")
    await house.all_checked((await house.ask()).verification.record, "NO_RECORD")

    assert (await house.ask()).verification.next_step.kind is Step.NOT_ESTABLISHABLE


async def test_what_was_asked_about_another_claim_tells_nothing_of_this_one(house: Hall) -> None:
    first = await house.ask()
    await house.answered(first.verification.record, "MATCH")

    other = (await house.ask(address="示例路8号")).verification

    assert (other.verdict, other.next_step.kind) == (Verdict.UNDETERMINED, Step.ASSISTANCE)


@pytest.mark.parametrize(
    "spelled", ["办2026－0001", "办２026-0001", "办 2026-0001", "办2026-0001 ", "办2026\u20110001"]
)
async def test_what_was_found_in_a_case_stands_in_every_spelling_of_its_number(house: Hall, spelled: str) -> None:
    first = (await house.ask()).verification
    for fact in ("home-ownership", "lease-filing"):
        record = (await house.send(first.record, fact_type=fact)).assistance.record
        await house.receive(record)
        second = operator("source-officer", "source-officer-02")
        await house.answer(record, "MISMATCH", second_operator=second)

    again = await house.ask(number=spelled)

    assert again.verification.verdict is Verdict.CONTRADICTED


async def test_what_was_asked_in_another_case_tells_nothing_of_this_one(house: Hall) -> None:
    first = await house.ask()
    await house.answered(first.verification.record, "MATCH")

    assert (await house.ask(number="办2026-0002")).verification.verdict is Verdict.UNDETERMINED


async def test_a_register_that_learned_it_needs_no_people(house: Hall) -> None:
    first = await house.ask()
    await house.send(first.verification.record)
    house.homes.values[PEOPLE[0].id_number] = ADDRESS

    assert (await house.ask()).verification.verdict is Verdict.ESTABLISHED


async def test_each_unit_lists_its_own_side(house: Hall) -> None:
    first = await house.ask()
    record = (await house.send(first.verification.record)).assistance.record

    async def listed(system: str, *, sent: bool = False) -> list[str]:
        answer = await house.stub(system).ListAssistance(pb.ListAssistanceRequest(sent=sent), timeout=TIMEOUT)
        return [one.record for one in answer.assistance]

    assert await listed("clerk") == []
    assert await listed("clerk", sent=True) == [record]
    assert await listed("source-officer") == [record]
    assert await listed("source-officer", sent=True) == []


async def test_a_page_goes_on_where_the_one_before_ended(house: Hall) -> None:
    sent = []
    for person in range(3):
        answer = await house.ask(person, f"办2026-1{person}")
        sent.append((await house.send(answer.verification.record)).assistance.record)
    found, token = [], ""
    while True:
        request = pb.ListAssistanceRequest(page_size=1, page_token=token)
        page = await house.stub("source-officer").ListAssistance(request, timeout=TIMEOUT)
        found += [one.record for one in page.assistance]
        token = page.next_page_token
        if not token:
            break

    assert found == sent[::-1]


async def test_what_is_due_when_is_counted_in_working_days(house: Hall) -> None:
    house.clock.at = datetime(2026, 4, 30, 2, tzinfo=UTC)  # a Thursday before the holidays of May
    first = await house.ask()

    sent = await house.send(first.verification.record, term=pb.ASSISTANCE_TERM_SIMPLE)

    due = sent.assistance.due_at.ToDatetime(tzinfo=CHINA)
    assert (due.month, due.day, due.hour) == (5, 8, 23)


async def test_the_newest_answer_knows_of_all_who_answered_at_once(house: Hall) -> None:
    first = await house.ask()
    records = []
    for fact in ("home-ownership", "lease-filing"):
        records.append((await house.send(first.verification.record, fact_type=fact)).assistance.record)
        await house.receive(records[-1])

    await asyncio.gather(*(house.answer(record, "NO_RECORD") for record in records))

    [newest, *_] = [one async for one in house.village.client().answers(Selection(item="business-premises"))]
    assert newest.next_step.kind is Step.OWN_OR_COMMISSIONED_CHECK


async def test_where_only_the_verdict_is_disclosed_who_asked_learns_no_outcome_of_people(tmp_path: Path) -> None:
    async with hall(tmp_path, verdict_only=True) as house:
        first = await house.ask()
        record = await house.answered(first.verification.record, "AMBIGUOUS")

        async def outcome(system: str) -> str:
            request = pb.GetAssistanceRequest(record=record)
            return (await house.stub(system).GetAssistance(request, timeout=TIMEOUT)).assistance.outcome

        assert (await outcome("source-officer"), await outcome("clerk"), await outcome("auditor")) == (
            "AMBIGUOUS", "", "",
        )  # fmt: skip
        again = (await house.ask()).verification
        assert (again.facts, "AMBIGUOUS" in again.reasons) == ((), False)


@pytest.mark.parametrize("spelled", ["示例路９号", "示例路9号 "])
async def test_another_spelling_is_no_other_claim(house: Hall, spelled: str) -> None:
    first = await house.ask()
    await house.send(first.verification.record)

    again = (await house.ask(address=spelled)).verification

    assert (again.verdict, again.next_step.kind) == (Verdict.PENDING, Step.WAIT)


async def test_who_found_it_untrue_is_not_asked_until_somebody_finds_nothing(house: Hall) -> None:
    second = operator("source-officer", "source-officer-02")
    first = await house.ask()
    for fact in ("home-ownership", "lease-filing"):
        await house.send(first.verification.record, fact_type=fact)
    listed = await house.stub("source-officer").ListAssistance(pb.ListAssistanceRequest(), timeout=TIMEOUT)
    lease, home = [one.record for one in listed.assistance]
    await house.receive(home)
    await house.answer(home, "MISMATCH", second_operator=second)

    with pytest.raises(grpc.RpcError) as refused:
        await house.send((await house.ask()).verification.record)

    assert explain(refused.value)[0] == "INVALID_REQUEST"
    await house.receive(lease)
    await house.answer(lease, "MISMATCH", second_operator=second)
    assert (await house.ask()).verification.verdict is Verdict.CONTRADICTED


async def test_a_colleague_can_look_too_and_each_look_is_recorded(house: Hall) -> None:
    first = await house.ask()
    record = (await house.send(first.verification.record)).assistance.record
    looks = [await house.receive(record) for _ in range(2)]
    claim = pb.ClaimAssistanceRequest(request_id=new_id(), record=record, operator=operator("source-officer"))
    await house.stub("source-officer").ClaimAssistance(claim, timeout=TIMEOUT)

    looks.append(await house.receive(record))

    assert len({one.receipt.index for one in looks}) == 3
    assert looks[-1].assistance.state == pb.ASSISTANCE_STATE_CLAIMED
    assert looks[0].inquiry == looks[-1].inquiry


async def test_people_who_find_a_record_free_past_borne_out_establish_it(house: Hall) -> None:
    """The item says that something is not so: whoever says that this is true does not say that there is a record."""
    told = await house.unmarried()
    assert told.verification.next_step.kind is Step.ASSISTANCE

    record = (await house.send(told.verification.record, fact_type="marriage-registration")).assistance.record
    received = await house.receive(record)
    await house.answer(record, "MATCH")

    assert "请只就“婚姻登记记录”这一类事实" in received.inquiry.meaning
    assert "申请人称并无此项事实:查明确实没有的,答“属实”;查明有此项事实的,答“不符”" in received.inquiry.meaning
    assert (await house.unmarried()).verification.verdict is Verdict.ESTABLISHED
