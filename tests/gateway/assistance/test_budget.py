"""Asking people is no way around the guess budget: whatever is asked anew is counted, or refused, as in Verify."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from gateway.client import NotNow, Selection, Step, Verdict, explain
from gateway.v1 import assistance_pb2 as pb
from ledger import decode_entry
from ledger.v1 import ledger_pb2, ledger_pb2_grpc

from .hall import PEOPLE, TIMEOUT, Hall, new_id, operator

BUDGET = 5
TRUE = "示例路12号"
TRIED = [f"示例路{number}号" for number in range(1, 11)]


async def asked_while_nothing_is_known(house: Hall) -> dict[str, str]:
    """Ask about ten addresses; returns the answers' records. Then the register learns the true one."""
    return {address: (await house.ask(address=address)).verification.record for address in TRIED}


def learn(house: Hall) -> None:
    house.homes.values[PEOPLE[0].id_number] = TRUE


async def kinds(house: Hall) -> list[str]:
    stub = ledger_pb2_grpc.LedgerServiceStub(house.village.channel("ledger-auditor"))
    answer = await stub.GetCheckpoint(ledger_pb2.GetCheckpointRequest(), timeout=TIMEOUT)
    size = int(answer.checkpoint.split(b"\n")[1])
    entries = [await stub.GetEntry(ledger_pb2.GetEntryRequest(index=index), timeout=TIMEOUT) for index in range(size)]
    return [decode_entry(one.entry).kind for one in entries]


async def reason(house: Hall, verification: str, **changed: object) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        await house.send(verification, **changed)
    return explain(caught.value)[0]


async def test_an_address_cannot_be_read_by_asking_for_assistance(house: Hall) -> None:
    records = await asked_while_nothing_is_known(house)
    learn(house)

    told = [await reason(house, record) for record in records.values()]

    assert told == ["STEP_NOT_CALLED_FOR"] * BUDGET + ["GUESS_BUDGET_SPENT"] * (len(TRIED) - BUDGET)
    with pytest.raises(NotNow):
        await house.ask(address=TRUE)


async def test_what_a_refused_request_was_told_and_what_it_was_not_is_in_the_ledger(house: Hall) -> None:
    records = await asked_while_nothing_is_known(house)
    before = await kinds(house)
    learn(house)

    for record in records.values():
        await reason(house, record)

    assert (await kinds(house))[len(before) :] == ["VerificationAnswered"] * BUDGET + ["VerificationRefused"] * BUDGET


async def test_a_refusal_has_a_receipt_says_when_to_come_again_and_a_repeat_adds_nothing(house: Hall) -> None:
    records = [*(await asked_while_nothing_is_known(house)).values()]
    learn(house)
    for record in records[:BUDGET]:
        await reason(house, record)
    same = new_id()
    details = []
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as caught:
            await house.send(records[-1], request_id=same)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        details.append(dict(caught.value.trailing_metadata())["grpc-status-details-bin"])

    assert details[0] == details[1]
    assert b'"reason":"GUESS_BUDGET_SPENT"' in details[0], "what was recorded is opened"
    assert (await kinds(house)).count("VerificationRefused") == 1


async def test_what_others_did_is_recorded_and_whoever_watches_is_told_no_more_than_the_budget(house: Hall) -> None:
    requests = {}
    for address, record in (await asked_while_nothing_is_known(house)).items():
        requests[address] = (await house.send(record)).assistance.record
        await house.receive(requests[address])
    learn(house)

    for record in requests.values():
        request = pb.ReturnAssistanceRequest(request_id=new_id(), record=record, operator=operator("source-officer"))
        done = await house.stub("source-officer").ReturnAssistance(request, timeout=TIMEOUT)
        assert done.assistance.state == pb.ASSISTANCE_STATE_RETURNED

    answers = [one async for one in house.village.client().answers(Selection(item="business-premises"))]
    assert [one.verdict for one in answers].count(Verdict.CONTRADICTED) == BUDGET
    assert (await kinds(house)).count("VerificationRefused") == len(TRIED) - BUDGET


async def test_many_at_once_are_told_no_more_than_one_after_the_other(house: Hall) -> None:
    records = await asked_while_nothing_is_known(house)
    learn(house)

    told = await asyncio.gather(*(reason(house, record) for record in records.values()))

    assert sorted(told) == ["GUESS_BUDGET_SPENT"] * (len(TRIED) - BUDGET) + ["STEP_NOT_CALLED_FOR"] * BUDGET


async def test_a_check_of_ones_own_is_refused_too(house: Hall) -> None:
    first = (await house.ask()).verification
    await house.all_answered(first.record, "NO_RECORD")
    last = (await house.ask()).verification
    assert last.next_step.kind is Step.OWN_OR_COMMISSIONED_CHECK
    learn(house)
    for number in range(BUDGET):
        await house.ask(address=f"猜测{number}号")

    with pytest.raises(grpc.RpcError) as caught:
        await house.check(last.record, "MATCH")

    assert explain(caught.value)[0] == "GUESS_BUDGET_SPENT"
    assert (await kinds(house))[-1] == "VerificationRefused"


async def test_a_claim_that_proved_wrong_before_may_be_carried_on(house: Hall) -> None:
    """The same claim again tells nothing new: the people who were asked about it are heard with a new answer."""
    first = (await house.ask(address=TRIED[0])).verification
    record = (await house.send(first.record)).assistance.record
    await house.receive(record)
    learn(house)
    for address in TRIED[:BUDGET]:
        await house.ask(address=address)

    await house.answer(record, "NO_RECORD")

    assert (await kinds(house))[-2:] == ["AssistanceAnswered", "VerificationAnswered"]


async def test_of_two_who_send_the_same_at_once_one_is_refused_and_both_answers_are_recorded(house: Hall) -> None:
    first = (await house.ask()).verification
    before = await kinds(house)

    done = await asyncio.gather(*(house.send(first.record) for _ in range(2)), return_exceptions=True)

    [error] = [one for one in done if isinstance(one, grpc.RpcError)]
    assert explain(error)[0] == "ASSISTANCE_OPEN"
    assert sorted((await kinds(house))[len(before) :])[:2] == ["AssistanceSent", "VerificationAnswered"]
