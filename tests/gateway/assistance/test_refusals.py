"""What is refused of requests for assistance and of checks: each by its reason, and nothing else changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from gateway.client import Selection, Step, Verdict, explain
from gateway.v1 import assistance_pb2 as pb
from ledger.v1 import ledger_pb2, ledger_pb2_grpc

from .hall import CIVIL, FACT, OWN, TIMEOUT, Hall, hall, new_id, operator


async def refused(call: Awaitable[object]) -> str:
    """Return the reason of a refusal."""
    with pytest.raises(grpc.RpcError) as caught:
        await call
    reason, chinese = explain(caught.value)
    assert chinese
    return reason


async def entries(house: Hall) -> int:
    stub = ledger_pb2_grpc.LedgerServiceStub(house.village.channel("ledger-auditor"))
    answer = await stub.GetCheckpoint(ledger_pb2.GetCheckpointRequest(), timeout=TIMEOUT)
    return int(answer.checkpoint.split(b"\n")[1])


async def open_request(house: Hall) -> tuple[str, str]:
    """Ask a department; returns the verification and the request."""
    verification = (await house.ask()).verification.record
    return verification, (await house.send(verification)).assistance.record


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"unit": "112300000000002028"}, "unit"),
        ({"unit": "11230000000000505H"}, "unit"),
        ({"unit": OWN}, "unit"),
        ({"fact_type": "marriage-registration"}, "fact_type"),
        ({"fact_type": ""}, "fact_type"),
        ({"term": 9}, "term"),
        ({"verification": "x"}, "verification"),
        ({"request_id": "1"}, "request_id"),
        ({"note": "x" * 5000}, "note"),
    ],
)
async def test_a_wrong_request_is_refused_with_its_field(house: Hall, changed: dict[str, object], field: str) -> None:
    verification = (await house.ask()).verification.record
    before = await entries(house)

    with pytest.raises(grpc.RpcError) as caught:
        await house.send(changed.pop("verification", verification), **changed)  # type: ignore[arg-type]

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (caught.value.details() or "")
    assert await entries(house) == before


async def test_every_mistake_is_named_at_once(house: Hall) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await house.send("x", unit="y", fact_type=" ", request_id="1", term=7)

    told = caught.value.details() or ""
    assert all(field in told for field in ("verification", "unit", "fact_type", "request_id", "term"))


async def test_a_unit_is_asked_once_about_the_same(house: Hall) -> None:
    verification, _ = await open_request(house)

    assert await refused(house.send(verification)) == "ASSISTANCE_OPEN"


async def test_nobody_is_asked_about_what_is_established(house: Hall) -> None:
    answer = await house.ask(30)
    assert answer.verification.verdict is Verdict.ESTABLISHED

    assert await refused(house.send(answer.verification.record)) == "STEP_NOT_CALLED_FOR"


async def test_nobody_is_asked_while_a_source_is_away(house: Hall) -> None:
    house.homes.answering.clear()
    answer = await house.ask()
    house.homes.answering.set()
    assert answer.verification.next_step.kind is Step.RETRY_AFTER

    assert await refused(house.send(answer.verification.record)) == "STEP_NOT_CALLED_FOR"


async def test_nobody_is_asked_where_the_register_has_learned_it_since_and_its_answer_is_recorded(
    house: Hall,
) -> None:  # fmt: skip
    first = (await house.ask()).verification
    house.homes.values[_number(0)] = "示例路9号"
    before = await entries(house)

    assert await refused(house.send(first.record)) == "STEP_NOT_CALLED_FOR"
    asked = house.homes.asked
    assert await refused(house.send(first.record)) == "STEP_NOT_CALLED_FOR"

    [newest, _] = [one async for one in house.village.client().answers(Selection(item="business-premises"))]
    assert (newest.verdict, newest.next_step.kind) == (Verdict.ESTABLISHED, Step.NONE)
    # The newest answer refuses the others: no register is asked without a trace.
    assert (await entries(house), house.homes.asked) == (before + 1, asked)


async def test_no_register_is_asked_for_a_request_that_is_open_or_about_a_fact_that_decides_nothing(
    house: Hall,
) -> None:
    verification, _ = await open_request(house)
    before = (await entries(house), house.homes.asked)

    assert await refused(house.send(verification)) == "ASSISTANCE_OPEN"
    assert await refused(house.send(verification, fact_type="death-record")) == "INVALID_REQUEST"
    assert (await entries(house), house.homes.asked) == before


async def test_a_check_comes_after_the_departments(house: Hall) -> None:
    verification = (await house.ask()).verification.record

    assert await refused(house.check(verification, "NO_RECORD")) == "STEP_NOT_CALLED_FOR"


async def test_another_units_verification_is_not_found(house: Hall) -> None:
    verification = (await house.ask()).verification.record
    stub = house.stub("civil-clerk")
    request = pb.SendAssistanceRequest(
        request_id=new_id(), verification=verification, unit=CIVIL, fact_type=FACT, operator=operator("civil-clerk")
    )

    assert await refused(stub.SendAssistance(request, timeout=TIMEOUT)) == "RECORD_NOT_FOUND"


async def test_who_was_not_asked_neither_sees_nor_answers(house: Hall) -> None:
    _, record = await open_request(house)
    receive = pb.ReceiveAssistanceRequest(request_id=new_id(), record=record, operator=operator("clerk"))
    get = pb.GetAssistanceRequest(record=record)

    assert await refused(house.stub("clerk").ReceiveAssistance(receive, timeout=TIMEOUT)) == "NOT_ENTITLED"
    # Nobody told the third unit that this record exists.
    assert await refused(house.stub("reviewer").GetAssistance(get, timeout=TIMEOUT)) == "NOT_ENTITLED"
    assert await refused(house.stub("source-officer").GetAssistance(pb.GetAssistanceRequest(record="0" * 32))) in (
        "RECORD_NOT_FOUND",
        "DEADLINE_REQUIRED",
    )


async def test_an_answer_without_having_seen_the_question_is_refused(house: Hall) -> None:
    _, record = await open_request(house)

    assert await refused(house.answer(record, "MATCH")) == "ASSISTANCE_UNSEEN"


def claiming(record: str, person: str, **more: bool) -> pb.ClaimAssistanceRequest:
    return pb.ClaimAssistanceRequest(
        request_id=new_id(), record=record, operator=operator("source-officer", person), **more
    )  # fmt: skip


async def test_who_did_not_see_what_is_asked_neither_claims_nor_answers_nor_refuses_nor_returns(house: Hall) -> None:
    _, record = await open_request(house)
    await house.receive(record, "a-01")
    stub, who = house.stub("source-officer"), operator("source-officer", "b-07")
    refuse = pb.RefuseAssistanceRequest(request_id=new_id(), record=record, operator=who, reason="档案已移交")
    back = pb.ReturnAssistanceRequest(request_id=new_id(), record=record, operator=who)

    assert await refused(house.answer(record, "MATCH", operator=who)) == "ASSISTANCE_UNSEEN"
    assert await refused(stub.RefuseAssistance(refuse, timeout=TIMEOUT)) == "ASSISTANCE_UNSEEN"
    assert await refused(stub.ReturnAssistance(back, timeout=TIMEOUT)) == "ASSISTANCE_UNSEEN"
    assert await refused(stub.ClaimAssistance(claiming(record, "b-07"), timeout=TIMEOUT)) == "ASSISTANCE_UNSEEN"


@pytest.mark.parametrize("outcome", ["MISMATCH", "MATCH"])
async def test_a_second_person_who_did_not_see_what_is_asked_finds_nothing(house: Hall, outcome: str) -> None:
    _, record = await open_request(house)
    await house.receive(record, "a-01")
    two = {
        "operator": operator("source-officer", "a-01"),
        "second_operator": operator("source-officer", "b-08"),
    }

    assert await refused(house.answer(record, outcome, **two)) == "ASSISTANCE_UNSEEN"
    await house.receive(record, "b-08")
    assert (await house.answer(record, outcome, **two)).assistance.outcome == outcome


async def test_what_a_colleague_has_claimed_is_not_claimed_but_taken_over(house: Hall) -> None:
    _, record = await open_request(house)
    await house.receive(record, "a-01", "b-07", "c-03")
    stub = house.stub("source-officer")
    await stub.ClaimAssistance(claiming(record, "a-01"), timeout=TIMEOUT)
    await stub.ClaimAssistance(claiming(record, " A-01"), timeout=TIMEOUT)

    assert await refused(stub.ClaimAssistance(claiming(record, "b-07"), timeout=TIMEOUT)) == "ASSISTANCE_HELD"
    not_by = operator("source-officer", "b-07")
    assert await refused(house.answer(record, "MATCH", operator=not_by)) == "ASSISTANCE_HELD"
    taken = await stub.ClaimAssistance(claiming(record, "b-07", take_over=True), timeout=TIMEOUT)

    assert taken.assistance.state == pb.ASSISTANCE_STATE_CLAIMED
    assert await refused(stub.ClaimAssistance(claiming(record, "a-01"), timeout=TIMEOUT)) == "ASSISTANCE_HELD"
    assert await refused(stub.ClaimAssistance(claiming(record, "c-03"), timeout=TIMEOUT)) == "ASSISTANCE_HELD"
    assert (await house.answer(record, "MATCH", operator=not_by)).assistance.outcome == "MATCH"


async def test_of_several_who_claim_at_once_one_does(house: Hall) -> None:
    _, record = await open_request(house)
    people = [f"p-{number}" for number in range(4)]
    await house.receive(record, *people)
    stub = house.stub("source-officer")

    async def claim(person: str) -> str:
        try:
            await stub.ClaimAssistance(claiming(record, person), timeout=TIMEOUT)
        except grpc.RpcError as error:
            return explain(error)[0]
        return "CLAIMED"

    told = await asyncio.gather(*map(claim, people))

    assert told.count("CLAIMED") == 1
    assert set(told) <= {"CLAIMED", "ASSISTANCE_HELD", "TRANSITION_REFUSED"}


async def test_an_answer_after_the_due_date_still_needs_the_question_seen(house: Hall) -> None:
    _, record = await open_request(house)
    house.clock.at += timedelta(days=60)

    assert await refused(house.answer(record, "MATCH")) == "ASSISTANCE_UNSEEN"


async def test_a_contradiction_needs_a_second_person(house: Hall) -> None:
    _, record = await open_request(house)
    await house.receive(record)
    same = operator("source-officer", "Source-Officer-01 ")

    assert await refused(house.answer(record, "MISMATCH")) == "SECOND_PERSON_REQUIRED"
    assert await refused(house.answer(record, "MISMATCH", second_operator=same)) == "SECOND_PERSON_REQUIRED"


async def test_a_second_person_of_another_unit_is_none(house: Hall) -> None:
    _, record = await open_request(house)
    await house.receive(record)

    assert await refused(house.answer(record, "MISMATCH", second_operator=operator("clerk"))) == "INVALID_REQUEST"


@pytest.mark.parametrize("outcome", ["", "match", "UNAVAILABLE", "PENDING", "CONFLICT"])
async def test_people_find_one_of_four_things(house: Hall, outcome: str) -> None:
    _, record = await open_request(house)
    await house.receive(record)

    assert await refused(house.answer(record, outcome)) == "INVALID_REQUEST"


async def test_an_answer_without_a_basis_is_refused(house: Hall) -> None:
    _, record = await open_request(house)
    await house.receive(record)

    assert await refused(house.answer(record, "MATCH", basis=" ")) == "INVALID_REQUEST"


async def test_an_attachment_has_a_title_and_a_digest(house: Hall) -> None:
    _, record = await open_request(house)
    await house.receive(record)
    wrong = [pb.Attachment(title="", digest=b"1")]

    assert await refused(house.answer(record, "MATCH", attachments=wrong)) == "INVALID_REQUEST"


async def test_what_is_answered_is_answered_once(house: Hall) -> None:
    verification = (await house.ask()).verification.record
    record = await house.answered(verification, "NO_RECORD")

    assert await refused(house.answer(record, "MATCH")) == "TRANSITION_REFUSED"


async def test_a_refusal_needs_its_reason(house: Hall) -> None:
    _, record = await open_request(house)
    await house.receive(record)
    request = pb.RefuseAssistanceRequest(request_id=new_id(), record=record, operator=operator("source-officer"))

    assert await refused(house.stub("source-officer").RefuseAssistance(request, timeout=TIMEOUT)) == "INVALID_REQUEST"


async def test_a_check_needs_two_people(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.all_answered(first, "NO_RECORD")
    verification = (await house.ask()).verification.record

    same = operator("clerk")
    assert await refused(house.check(verification, "MATCH", second_operator=same)) == "SECOND_PERSON_REQUIRED"
    assert await refused(house.check(verification, "MATCH", second_operator=None)) == "SECOND_PERSON_REQUIRED"


async def test_a_commission_names_contract_and_data_agreement(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.all_answered(first, "NO_RECORD")
    verification = (await house.ask()).verification.record

    with pytest.raises(grpc.RpcError) as caught:
        await house.check(verification, "MATCH", commission=pb.Commission(fee_fen=-1))

    told = caught.value.details() or ""
    assert all(f"commission.{part}" in told for part in ("contractor", "contract_number", "data_agreement", "fee_fen"))


async def test_a_check_of_a_fact_the_item_does_not_turn_on_is_refused(house: Hall) -> None:
    first = (await house.ask()).verification.record
    await house.all_answered(first, "NO_RECORD")
    verification = (await house.ask()).verification.record

    assert await refused(house.check(verification, "MATCH", fact_type="death-record")) == "INVALID_REQUEST"


async def test_where_only_the_verdict_is_disclosed_no_refusal_tells_which_fact_is_settled(tmp_path: Path) -> None:
    async with hall(tmp_path, verdict_only=True) as house:
        second = operator("source-officer", "source-officer-02")
        await house.answered((await house.ask()).verification.record, "MISMATCH", second_operator=second)
        still = (await house.ask()).verification
        assert still.next_step.kind is Step.ASSISTANCE

        settled = await house.send(still.record, fact_type="home-ownership")
        unsettled = await house.send(still.record, fact_type="lease-filing")

        assert settled.assistance.state == unsettled.assistance.state == pb.ASSISTANCE_STATE_SENT
        assert await refused(house.send(still.record, fact_type="death-record")) == "INVALID_REQUEST"


async def test_where_only_the_verdict_is_disclosed_each_fact_of_the_item_may_be_checked(tmp_path: Path) -> None:
    async with hall(tmp_path, verdict_only=True) as house:
        second = operator("source-officer", "source-officer-02")
        await house.answered((await house.ask()).verification.record, "MISMATCH", second_operator=second)
        last = (await house.ask()).verification.record
        lease = (await house.send(last, fact_type="lease-filing")).assistance.record
        await house.receive(lease)
        await house.answer(lease, "NO_RECORD")
        last = (await house.ask()).verification.record

        for fact_type in ("home-ownership", "lease-filing"):
            assert (await house.check(last, "NO_RECORD", fact_type=fact_type)).record


async def test_the_same_request_id_with_another_body_is_refused(house: Hall) -> None:
    verification = (await house.ask()).verification.record
    same = new_id()
    await house.send(verification, request_id=same)

    assert await refused(house.send(verification, request_id=same, note="另一说明")) == "REQUEST_ID_REUSED"


def _number(index: int) -> str:
    from tests.gateway.verification.village import PEOPLE

    return PEOPLE[index].id_number
