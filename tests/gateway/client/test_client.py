"""The client library against real servers: it asks again when that is right, and believes only what is proven."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st

import gateway
from gateway.client import (
    BatchOutcome,
    BlockingGatewayClient,
    CommitmentSelection,
    DeadlinePassed,
    Forbidden,
    GatewayClient,
    GatewayRefusal,
    InvalidQuestion,
    ListIncomplete,
    LogKeys,
    Person,
    Question,
    ReceiptRefused,
    Retries,
    Selection,
    Unavailable,
    Verdict,
    open_blocking_channel,
    recorded,
)
from gateway.client.messages import answer, question_message
from gateway.client.refusals import refusal_of_status
from gateway.client.values import Argument
from gateway.founding import SYSTEMS
from gateway.rules import identifiers
from gateway.v1 import commitment_pb2, commitment_pb2_grpc, verification_pb2_grpc
from gateway.v1 import verification_pb2 as pb
from ledger.canonical import Json
from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.v1 import ledger_pb2
from tests.gateway.verification.village import PERSONAL, TIMEOUT, Village, case, marital, person, serving, settle

ROOT = Path(gateway.__file__).parent.parent
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    async with serving(settle(tmp_path)) as here:
        yield here


def status(code: grpc.StatusCode, *details: Any) -> status_pb2.Status:
    made = status_pb2.Status(code=code.value[0], message="no")
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        made.details.append(packed)
    return made


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    return error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=round(seconds * 1e9)))


async def abort(context: aio.ServicerContext[Any, Any], refused: status_pb2.Status) -> None:
    code = next(code for code in grpc.StatusCode if code.value[0] == refused.code)
    await context.abort(code, refused.message, (("grpc-status-details-bin", refused.SerializeToString()),))


class Between(verification_pb2_grpc.VerificationServiceServicer):
    """A server in front of the real one: it refuses as it is told, then forwards, and changes answers on the way."""

    def __init__(self, stub: verification_pb2_grpc.VerificationServiceAsyncStub) -> None:
        self._stub = stub
        self.refusals: list[status_pb2.Status] = []
        self.instead: Callable[[pb.VerifyRequest], None] = lambda request: None
        """Changes what is asked of the real server."""
        self.change: Callable[[pb.VerifyResponse], None] = lambda response: None
        self.seen: list[str] = []
        self.break_after: list[int] = []
        self.unavailable_items: set[int] = set()
        self.lost: Callable[[int, int], bool] = lambda stream, position: False
        """Says which questions, by stream and position, are never answered."""
        self.pause = 0.0
        self.streams = 0
        self.cancelled = 0
        """How many calls end without a word, as those do that are on their way when a server stops."""

    async def Verify(self, request: pb.VerifyRequest, context: Any) -> pb.VerifyResponse:  # type: ignore[override]
        self.seen.append(request.request_id)
        if self.refusals:
            await abort(context, self.refusals.pop(0))
        if self.cancelled:
            self.cancelled -= 1
            await context.abort(grpc.StatusCode.CANCELLED)
        self.instead(request)
        response: pb.VerifyResponse = await self._stub.Verify(request, timeout=TIMEOUT)
        self.change(response)
        return response

    async def BatchVerify(self, requests: AsyncIterator[pb.BatchVerifyRequest], context: Any) -> Any:  # type: ignore[override]
        left = self.break_after.pop(0) if self.break_after else -1
        position, stream = 0, self.streams
        self.streams += 1
        async for request in requests:
            for one in request.requests:
                if self.lost(stream, position):
                    position += 1
                    continue
                await asyncio.sleep(self.pause)
                self.seen.append(one.request_id)
                if left == 0:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
                left -= 1
                result = pb.BatchVerifyResult(request_id=one.request_id, position=position)
                if position in self.unavailable_items:
                    self.unavailable_items.discard(position)
                    refused = status(grpc.StatusCode.UNAVAILABLE, retry_info(0.01))
                    result.error.CopyFrom(pb.BatchVerifyError(code=refused.code, details=refused.details))
                else:
                    self.instead(one)
                    result.response.CopyFrom(await self._stub.Verify(one, timeout=TIMEOUT))
                    self.change(result.response)
                position += 1
                yield pb.BatchVerifyResponse(results=[result])


@asynccontextmanager
async def between(village: Village, **client: Any) -> AsyncIterator[tuple[Between, GatewayClient]]:
    servicer = Between(village.stub())
    server = aio.server()
    verification_pb2_grpc.add_VerificationServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    keys = LogKeys.read(village.house.vkey)
    retries = Retries(most=3, first=0.001, longest=0.002)
    channel = aio.insecure_channel(f"127.0.0.1:{port}")
    async with GatewayClient(channel, **{"keys": keys, "retries": retries, **client}) as made:
        yield servicer, made
    await server.stop(None)


async def test_what_is_unavailable_is_asked_again_with_the_same_request_id(village: Village) -> None:
    async with between(village) as (servicer, client):
        servicer.refusals = [status(grpc.StatusCode.UNAVAILABLE, retry_info(0.01))] * 3
        question = marital(0)

        answer = await client.verify(question)

    assert answer.verification.verdict is Verdict.ESTABLISHED
    assert servicer.seen == [question.request_id] * 4


async def test_it_gives_up_after_so_many_attempts(village: Village) -> None:
    async with between(village) as (servicer, client):
        servicer.refusals = [status(grpc.StatusCode.UNAVAILABLE)] * 10
        with pytest.raises(Unavailable):
            await client.verify(marital(0))

    assert len(servicer.seen) == 4


@pytest.mark.parametrize(
    "code",
    [code for code in grpc.StatusCode if code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK)],
)
async def test_no_other_refusal_is_asked_again(village: Village, code: grpc.StatusCode) -> None:
    async with between(village) as (servicer, client):
        servicer.refusals = [status(code, error_details_pb2.ErrorInfo(reason="WHY"), retry_info(0.01))]
        with pytest.raises(GatewayRefusal) as caught:
            await client.verify(marital(0))

    assert (caught.value.code, caught.value.reason) == (code.name, "WHY")
    assert len(servicer.seen) == 1


async def test_a_call_that_a_gateway_cancels_when_it_goes_away_is_asked_again(village: Village) -> None:
    async with between(village) as (servicer, client):
        servicer.cancelled = 2
        answer = await client.verify(marital(0))

    assert answer.verification.verdict is Verdict.ESTABLISHED
    assert len(servicer.seen) == 3


async def test_a_call_that_every_gateway_cancels_is_unavailable_in_chinese(village: Village) -> None:
    async with between(village) as (servicer, client):
        servicer.cancelled = 100
        with pytest.raises(Unavailable) as caught:
            await client.verify(marital(0), timeout=10)

    assert caught.value.chinese


async def test_a_wait_that_the_deadline_does_not_allow_is_not_waited(village: Village) -> None:
    async with between(village) as (servicer, client):
        servicer.refusals = [status(grpc.StatusCode.UNAVAILABLE, error_details_pb2.RetryInfo(
            retry_delay=duration_pb2.Duration(seconds=3600)))]  # fmt: skip
        with pytest.raises(Unavailable) as caught:
            await client.verify(marital(0), timeout=5)

    assert caught.value.retry_after == timedelta(hours=1)
    assert len(servicer.seen) == 1


@given(st.integers(1, 20), st.floats(0, 1), st.floats(0, 100), st.floats(0, 50), st.sampled_from(list(grpc.StatusCode)))
def test_waits_are_random_grow_are_bounded_and_honour_what_is_asked(
    attempts: int, chance: float, left: float, asked: float, code: grpc.StatusCode
) -> None:
    refusal = refusal_of_status(status(code, error_details_pb2.RetryInfo(retry_delay=_duration(asked))))
    retries = Retries(most=10, first=0.1, longest=5.0, chance=lambda: chance)

    wait = retries.wait(refusal, attempts, left)

    if code is not grpc.StatusCode.UNAVAILABLE or attempts > 10:
        assert wait is None
    elif wait is not None:
        assert asked - 1e-5 <= wait < left
        assert wait - asked == pytest.approx(chance * min(5.0, 0.1 * 2 ** (attempts - 1)), abs=1e-5)
    else:
        assert asked + chance * 5.0 >= left - 1e-5


def _duration(seconds: float) -> duration_pb2.Duration:
    made = duration_pb2.Duration()
    made.FromTimedelta(timedelta(seconds=seconds))
    return made


Change = Callable[[pb.VerifyResponse], None]


def no_receipt(response: pb.VerifyResponse) -> None:
    response.ClearField("receipt")


def another_record(response: pb.VerifyResponse) -> None:
    response.verification.record = uuid.uuid4().hex


def another_record_everywhere(response: pb.VerifyResponse) -> None:
    response.verification.record = response.receipt.record = uuid.uuid4().hex


def another_time(response: pb.VerifyResponse) -> None:
    response.verification.answered_at.seconds += 1


def other_rules(response: pb.VerifyResponse) -> None:
    response.verification.policy_version = "0" * 64


def another_index(response: pb.VerifyResponse) -> None:
    response.receipt.index += 1


def another_size(response: pb.VerifyResponse) -> None:
    response.receipt.size += 1


def a_flipped_bit_of_the_entry(response: pb.VerifyResponse) -> None:
    text = response.receipt.proof
    at = text.index(b"extra ") + 20
    response.receipt.proof = text[:at] + (b"A" if text[at : at + 1] != b"A" else b"B") + text[at + 1 :]


def a_shortened_signature(response: pb.VerifyResponse) -> None:
    response.receipt.proof = response.receipt.proof[:-8] + b"\n"


def another_verdict(response: pb.VerifyResponse) -> None:
    response.verification.verdict = pb.VERDICT_CONTRADICTED


def a_verdict_of_tomorrow(response: pb.VerifyResponse) -> None:
    response.verification.verdict = pb.Verdict.ValueType(99)


def another_reason(response: pb.VerifyResponse) -> None:
    response.verification.reasons.append("NO_RECORD")


def another_step(response: pb.VerifyResponse) -> None:
    response.verification.next_step.kind = pb.NEXT_STEP_KIND_COMMITMENT


def another_explanation(response: pb.VerifyResponse) -> None:
    response.verification.next_step.explanation += "。"


def another_end_of_waiting(response: pb.VerifyResponse) -> None:
    response.verification.next_step.until.seconds = 1


def no_facts(response: pb.VerifyResponse) -> None:
    response.verification.ClearField("facts")


def another_outcome_of_a_fact(response: pb.VerifyResponse) -> None:
    response.verification.facts[0].outcome = "MISMATCH"


def another_digest_of_a_fact(response: pb.VerifyResponse) -> None:
    response.verification.facts[0].raw_digest = bytes(32)


def another_item(response: pb.VerifyResponse) -> None:
    response.verification.item = "kinship"


def another_case(response: pb.VerifyResponse) -> None:
    response.verification.context.case_id += "x"


def another_catalogue(response: pb.VerifyResponse) -> None:
    response.verification.catalogue_version = "0" * 64


def said_to_be_erased(response: pb.VerifyResponse) -> None:
    response.verification.erased = True


def nothing_opened(response: pb.VerifyResponse) -> None:
    response.receipt.ClearField("openings")


def only_the_question_opened(response: pb.VerifyResponse) -> None:
    del response.receipt.openings[1]


def only_the_answer_opened(response: pb.VerifyResponse) -> None:
    del response.receipt.openings[0]


def another_salt(response: pb.VerifyResponse) -> None:
    response.receipt.openings[1].salt = bytes(32)


def a_salt_that_begins_the_content(response: pb.VerifyResponse) -> None:
    opening = response.receipt.openings[1]
    opening.salt, opening.canonical = opening.salt[:-1], opening.salt[-1:] + opening.canonical


def another_group(response: pb.VerifyResponse) -> None:
    response.receipt.openings[1].group = "request"


def everything_changed_alike(response: pb.VerifyResponse) -> None:
    response.verification.verdict = pb.VERDICT_CONTRADICTED
    opening = response.receipt.openings[1]
    assert b"ESTABLISHED" in opening.canonical
    opening.canonical = opening.canonical.replace(b"ESTABLISHED", b"CONTRADICTED")


@pytest.mark.parametrize(
    "change",
    [
        another_verdict,
        a_verdict_of_tomorrow,
        another_reason,
        another_step,
        another_explanation,
        another_end_of_waiting,
        no_facts,
        another_outcome_of_a_fact,
        another_digest_of_a_fact,
        another_item,
        another_case,
        another_catalogue,
        said_to_be_erased,
        nothing_opened,
        only_the_question_opened,
        only_the_answer_opened,
        another_salt,
        a_salt_that_begins_the_content,
        another_group,
        everything_changed_alike,
        no_receipt,
        another_record,
        another_record_everywhere,
        another_time,
        other_rules,
        another_index,
        another_size,
        a_flipped_bit_of_the_entry,
        a_shortened_signature,
    ],
)
async def test_an_answer_that_its_receipt_does_not_prove_is_not_returned(village: Village, change: Change) -> None:
    async with between(village) as (servicer, client):
        servicer.change = change
        with pytest.raises(ReceiptRefused):
            await client.verify(marital(0))
        with pytest.raises(ReceiptRefused):
            [one async for one in client.verify_many([marital(1)])]


async def test_the_receipt_of_another_answer_is_not_taken_for_this_one(village: Village) -> None:
    first = await village.stub().Verify(question_message(marital(0)), timeout=TIMEOUT)
    async with between(village) as (servicer, client):
        servicer.change = lambda response: response.receipt.CopyFrom(first.receipt)
        with pytest.raises(ReceiptRefused):
            await client.verify(marital(1))


CIVIL_AFFAIRS = "civil-clerk"
RELATIVE = person(1)
OTHER_NAME = Person(id_number=person(0).id_number, name="欧阳别人")
OTHER_RELATIVE = Person(id_number=RELATIVE.id_number, name="欧阳别人")


def kinship(relative: Person = RELATIVE) -> Question:
    """Ask about two people."""
    about = case(matter="230000-CIV-002", purpose="办理行政给付", system=CIVIL_AFFAIRS)
    return Question(
        case=about, item="kinship", subject=person(0), parameters={"relation": "PARENT", "relative": relative}
    )


@pytest.mark.parametrize(
    ("question", "changed", "named"),
    [
        (marital(0), {"subject": person(1)}, "subject"),
        (marital(0), {"subject": OTHER_NAME}, "subject"),
        (marital(0), {"subject": replace(person(0), id_type="permit")}, "subject"),
        (marital(0), {"parameters": {"status": "DIVORCED"}}, "parameters"),
        (marital(0), {"parameters": {"status": True}}, "parameters"),
        (marital(0), {"parameters": {"status": 1}}, "parameters"),
        (marital(0), {"parameters": {"status": date(2026, 1, 1)}}, "parameters"),
        (marital(0), {"parameters": {"status": person(0)}}, "parameters"),
        (marital(0), {"parameters": {"status": "MARRIED", "since": "2020"}}, "parameters"),
        (marital(0), {"parameters": {}}, "parameters"),
        (kinship(), {"parameters": {"relation": "PARENT", "relative": person(2)}}, "parameters"),
        (kinship(), {"parameters": {"relation": "PARENT", "relative": OTHER_RELATIVE}}, "parameters"),
        (kinship(), {"parameters": {"relation": "PARENT", "relative": RELATIVE.name}}, "parameters"),
        (marital(0), {"item": "alive"}, "item"),
        (marital(0), {"case": case("另案")}, "case"),
        (marital(0), {"case": case("办2026-0000", matter="230000-MSA-001")}, "matter"),
        (marital(0), {"case": case("办2026-0000", purpose="告知承诺事后核查")}, "purpose"),
        (marital(0), {"case": replace(case("办2026-0000"), operator="clerk-02")}, "operator"),
        (marital(0), {"case": replace(case("办2026-0000"), unit=SYSTEMS["civil-clerk"][0])}, "unit"),
    ],
)
async def test_the_answer_to_another_question_is_not_taken_for_this_ones(
    village: Village, question: Question, changed: dict[str, Any], named: str
) -> None:
    """Whether or not the server says of the answer that it is to this one."""
    question = replace(question, request_id=str(uuid.uuid4()))
    system = "clerk" if question.item == "marital-status" else CIVIL_AFFAIRS
    response = await village.stub(system).Verify(question_message(question), timeout=TIMEOUT)
    keys = LogKeys.read(village.house.vkey)
    asked = replace(question, **changed)

    assert answer(response.verification, response.receipt, keys, question).verification.item == question.item
    with pytest.raises(ReceiptRefused, match=f"question .*: {named}$"):
        answer(response.verification, response.receipt, keys, asked)
    response.verification.context.CopyFrom(question_message(asked).context)
    response.verification.item = asked.item
    with pytest.raises(ReceiptRefused):
        answer(response.verification, response.receipt, keys, asked)


async def test_a_server_that_asks_about_another_name_is_not_believed(village: Village) -> None:
    """It records a question of its own, whose answer is another, and hands out the receipt of that."""
    client = village.client()
    told = await client.verify(replace(marital(0), subject=OTHER_NAME))
    assert told.verification.verdict is Verdict.CONTRADICTED

    async with between(village) as (servicer, lied_to):
        servicer.instead = lambda request: setattr(request.subject, "name", OTHER_NAME.name)
        with pytest.raises(ReceiptRefused) as caught:
            await lied_to.verify(marital(0))
        with pytest.raises(ReceiptRefused):
            [one async for one in lied_to.verify_many([marital(0)])]

    assert person(0).name not in str(caught.value)
    assert OTHER_NAME.name not in str(caught.value)


async def test_a_question_is_known_again_however_its_number_was_typed(village: Village) -> None:
    number = person(0).id_number
    typed = [number.lower(), number.translate(FULL_WIDTH)]
    typed += [f"{sign}{number[:6]}{sign}{number[6:]}" for sign in " -\u115f\u1160\u3164\uffa0\u200b"]
    spoken = [replace(marital(0), subject=Person(id_number=one, name=person(0).name)) for one in typed]

    answers = [await village.client().verify(question) for question in spoken]

    assert {one.verification.verdict for one in answers} == {Verdict.ESTABLISHED}


def test_every_sign_is_dropped_folded_or_kept_in_a_number_as_the_gateway_does() -> None:
    lines = ["".join(map(chr, range(first, first + 64))) for first in range(0, sys.maxunicode + 1, 64)]

    assert [line for line in lines if recorded._compact(line) != identifiers._compact(line)] == []


TYPED = st.text(st.sampled_from("\u115f\u3164\u200b \u3000-－ｘXx0０") | st.characters(), max_size=3)


@given(TYPED, TYPED, st.integers(0, 15))
def test_a_number_is_compared_as_the_gateway_reads_it(before: str, inside: str, at: int) -> None:
    number = person(0).id_number
    old = number[:6] + number[8:17]
    for whole in (number, number.lower(), number.translate(FULL_WIDTH), old):
        typed = before + whole[:at] + inside + whole[at:]
        kept: dict[str, Json] = {"id_type": "resident-id", "id_number": number, "name": person(0).name}
        assert recorded._is_person(replace(person(0), id_number=typed), kept) == _is_read_as(number, typed)


def _is_read_as(number: str, typed: str) -> bool:
    try:
        return identifiers.parse_identifier("resident-id", typed, today=date(2026, 1, 1)).number == number
    except identifiers.IdentifierRefused:
        return False


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("测卯丙", ["测 卯丙", " 测卯丙\u3000", "测\u200b卯丙"]),
        ("阿依古丽·买买提", ["阿依古丽•买买提", "阿依古丽．买买提", "阿依古丽 ・ 买买提", "阿依古丽。买买提"]),
        ("JOHN SMITH", ["ＪＯＨＮ　ＳＭＩＴＨ", "JOHN  SMITH"]),
        ("\u9fb4某", ["\ue81e某"]),
    ],
)
async def test_a_question_is_known_again_however_names_were_typed(
    village: Village, name: str, typed: list[str]
) -> None:
    """Also as a repetition, which is answered as it was first asked; of the applicant, and of who is said for one."""
    client, civil_affairs = village.client(), village.client(CIVIL_AFFAIRS)
    asked = replace(marital(0), subject=replace(person(0), name=name))
    with_whom = kinship(replace(RELATIVE, name=name))

    first, other = await client.verify(asked), await civil_affairs.verify(with_whom)
    for one in typed:
        assert await client.verify(replace(asked, subject=replace(person(0), name=one))) == first
        again = replace(with_whom, parameters=kinship(replace(RELATIVE, name=one)).parameters)
        assert await civil_affairs.verify(again) == other


@pytest.mark.parametrize("asked", ["MARRIED", RELATIVE, 5, True, date(2026, 1, 1)], ids=type)
async def test_what_is_kept_in_an_odd_form_proves_nothing_and_is_refused_as_that(
    village: Village, asked: Argument
) -> None:
    answered = await village.client().verify(marital(0))
    request = answered.receipt.opened["request"]
    nameless: Json = {"id_type": "resident-id", "id_number": RELATIVE.id_number, "name": 5}
    odd: list[Json] = [
        None, "x", {}, {"text": "MARRIED", "more": 1}, {"integer": "5"}, {"integer": True}, {"boolean": 1},
        {"date": 5}, {"person": None}, {"person": {}}, {"person": nameless},
    ]  # fmt: skip
    for kept in odd:
        value: dict[str, Json] = {**request.value, "parameters": {"status": kept}}
        opened = {**answered.receipt.opened, "request": replace(request, value=value)}
        question = replace(marital(0), parameters={"status": asked})
        with pytest.raises(ReceiptRefused):
            recorded.require_recorded(answered.verification, replace(answered.receipt, opened=opened), question)


async def test_what_proves_an_answer_comes_with_it_and_proves_it_again(village: Village) -> None:
    client, question = village.client(), marital(0)
    first = await client.verify(question)
    again = await client.verify(question)
    [found] = [one async for one in client.verify_many([question])]
    opened = await client.get(first.verification.record)
    [watched] = [one async for one in client.watch(first.verification.record)]

    assert found.answer is not None
    assert first.receipt.opened == again.receipt.opened == found.answer.receipt.opened
    assert first.receipt.opened.keys() == {"request", "answer"}
    assert opened.receipt.opened.keys() == watched.answer.receipt.opened.keys() == {"answer"}, "nobody is named to them"
    assert opened.receipt.opened["answer"] == first.receipt.opened["answer"] == watched.answer.receipt.opened["answer"]
    assert number_of(question) in first.receipt.opened["request"].canonical.decode()
    assert number_of(question) not in repr(first)


def number_of(question: Question) -> str:
    return question.subject.id_number


@pytest.mark.parametrize("change", ["message", "reason", "opening", "record"])
async def test_a_refusal_that_its_receipt_does_not_prove_is_not_believed(village: Village, change: str) -> None:
    refused = marital(0, in_case=case(matter="230000-MSA-001", purpose="办理行政许可"))
    with pytest.raises(Forbidden) as caught:
        await village.client().verify(refused)
    assert caught.value.proven is not None
    assert caught.value.proven.opened["refusal"].value["rule"] == caught.value.message
    with pytest.raises(aio.AioRpcError) as raised:
        await village.stub().Verify(question_message(refused), timeout=TIMEOUT)
    [told] = [value for key, value in raised.value.trailing_metadata() or () if key == "grpc-status-details-bin"]
    assert isinstance(told, bytes)
    forged = status_pb2.Status.FromString(told)
    info, receipt = error_details_pb2.ErrorInfo(), ledger_pb2.Receipt()
    for detail in forged.details:
        if detail.Unpack(info):
            info.reason = "GUESS_BUDGET_SPENT" if change == "reason" else info.reason
            info.metadata["record"] = "0" * 32 if change == "record" else info.metadata["record"]
            detail.Pack(info)
        if detail.Unpack(receipt):
            if change == "opening":
                receipt.ClearField("openings")
            detail.Pack(receipt)
    forged.message = "for another reason" if change == "message" else forged.message
    async with between(village) as (servicer, client):
        servicer.refusals = [forged]
        with pytest.raises(ReceiptRefused):
            await client.verify(refused)


async def test_a_log_with_another_key_is_not_believed_nor_one_with_several_keys_at_once(village: Village) -> None:
    own = LogKeys.read(village.house.vkey)
    signer = Ed25519Signer(own.origin, Ed25519PrivateKey.generate())
    async with between(village, keys=LogKeys([signer.verifier])) as (_, client):
        with pytest.raises(ReceiptRefused):
            await client.verify(marital(0))

    written = village.house.home / "written.pub"
    written.write_text(f"# the log's key\n\n{village.house.vkey.read_text()}")
    async with between(village, keys=LogKeys.read(written)) as (_, client):
        assert (await client.verify(marital(0))).receipt.kind == "VerificationAnswered"
    written.write_text(f"# retired\n{signer.verifier.vkey}\n{village.house.vkey.read_text()}")
    with pytest.raises(ReceiptRefused, match="history"):
        LogKeys.read(written)


async def test_a_refusal_with_a_forged_receipt_is_not_believed(village: Village) -> None:
    answered = await village.stub().Verify(question_message(marital(0)), timeout=TIMEOUT)
    async with between(village) as (servicer, client):
        servicer.refusals = [status(grpc.StatusCode.PERMISSION_DENIED, answered.receipt)]
        with pytest.raises(ReceiptRefused):
            await client.verify(marital(1))


async def test_a_broken_stream_is_resumed_and_every_question_has_one_outcome(village: Village) -> None:
    questions = [marital(index) for index in range(60)]
    async with between(village) as (servicer, client):
        servicer.break_after = [0, 7, 20]
        outcomes = [one async for one in client.verify_many(questions)]

    assert sorted(one.question.request_id for one in outcomes) == sorted(one.request_id for one in questions)
    assert all(one.answer for one in outcomes)
    assert set(servicer.seen) == {one.request_id for one in questions}, "always the same request_ids"


class Ending(verification_pb2_grpc.VerificationServiceServicer):
    """A server, or what stands before it, that ends each stream without an error: after the questions of one message,
    of which it answers all but some, and after so many of the changes that it is told of.
    """

    def __init__(self, stub: verification_pb2_grpc.VerificationServiceAsyncStub) -> None:
        self._stub = stub
        self.unanswered: set[str] = set()
        self.told: list[int] = []
        self.seen: list[str] = []
        self.cursors: list[str] = []

    async def BatchVerify(self, requests: AsyncIterator[pb.BatchVerifyRequest], context: Any) -> Any:  # type: ignore[override]
        self.seen.append("")
        for position, one in enumerate((await anext(requests)).requests):
            self.seen.append(one.request_id)
            if one.request_id not in self.unanswered:
                response = await self._stub.Verify(one, timeout=TIMEOUT)
                result = pb.BatchVerifyResult(request_id=one.request_id, position=position, response=response)
                yield pb.BatchVerifyResponse(results=[result])

    async def WatchVerification(self, request: pb.WatchVerificationRequest, context: Any) -> Any:  # type: ignore[override]
        self.cursors.append(request.cursor)
        left = self.told.pop(0) if self.told else 0
        async for response in self._stub.WatchVerification(pb.WatchVerificationRequest(record=request.record)):
            if left == 0:
                return
            left -= 1
            response.final = not self.told
            yield response


@asynccontextmanager
async def ending(
    village: Village, **retries: Any
) -> AsyncIterator[tuple[Ending, GatewayClient, BlockingGatewayClient]]:
    servicer = Ending(village.stub())
    server = aio.server()
    verification_pb2_grpc.add_VerificationServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    keys = LogKeys.read(village.house.vkey)
    tries = Retries(**{"most": 3, "first": 0.001, "longest": 0.002, **retries})
    blocking = BlockingGatewayClient(grpc.insecure_channel(address), keys=keys, retries=tries)
    async with GatewayClient(aio.insecure_channel(address), keys=keys, retries=tries) as made:
        yield servicer, made, blocking
    blocking.close()
    await server.stop(None)


async def test_a_stream_that_ends_without_an_error_before_it_is_over_is_followed_to_the_next(village: Village) -> None:
    questions = [marital(index) for index in range(250)]  # more than one message carries
    async with ending(village) as (servicer, client, _):
        outcomes = [one async for one in client.verify_many(questions)]

    assert all(one.answer for one in outcomes)
    assert {one.question.request_id for one in outcomes} == {one.request_id for one in questions}
    assert len(outcomes) == 250
    assert servicer.seen.count("") > 1


async def test_streams_that_end_with_nothing_in_them_are_begun_so_often_and_no_more(village: Village) -> None:
    question = marital(0)
    async with ending(village) as (servicer, client, _):
        servicer.unanswered = {question.request_id}
        with pytest.raises(Unavailable) as caught:
            async with asyncio.timeout(TIMEOUT):
                [one async for one in client.verify_many([question])]

    assert servicer.seen.count(question.request_id) == 4
    assert caught.value.chinese


async def test_between_streams_that_end_with_nothing_in_them_there_are_growing_pauses(village: Village) -> None:
    question = marital(0)
    async with ending(village, first=0.1, longest=5.0, chance=lambda: 1.0) as (servicer, client, _):
        servicer.unanswered = {question.request_id}
        started = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable):
            [one async for one in client.verify_many([question])]
        took = asyncio.get_running_loop().time() - started

    assert took >= 0.1 + 0.2 + 0.4


async def test_a_question_that_is_lost_with_every_stream_is_given_up_while_others_are_answered(
    village: Village,
) -> None:
    lost = marital(0)
    outcomes: list[BatchOutcome] = []

    async def endless() -> AsyncIterator[Question]:
        yield lost
        while not any(one.question is lost for one in outcomes):
            yield marital(len(outcomes) + 1)
            await asyncio.sleep(0.001)

    async with ending(village) as (servicer, client, _):
        servicer.unanswered = {lost.request_id}
        async with asyncio.timeout(TIMEOUT):
            async for outcome in client.verify_many(endless(), window=20):
                outcomes.append(outcome)

    refused = [one for one in outcomes if one.refusal is not None]
    assert [one.question for one in refused] == [lost]
    assert isinstance(refused[0].refusal, Unavailable)
    assert len(outcomes) > 1


async def test_streams_that_end_with_nothing_in_them_give_no_question_more_time(village: Village) -> None:
    questions = [marital(0), marital(1)]
    async with ending(village, most=10**9, first=0.01, longest=0.02, silence=0.3) as (servicer, client, _):
        servicer.unanswered = {one.request_id for one in questions}
        async with asyncio.timeout(TIMEOUT):
            outcomes = [one async for one in client.verify_many(questions, timeout=0.2)]

    assert [type(one.refusal) for one in outcomes] == [DeadlinePassed] * 2


class Refusing(verification_pb2_grpc.VerificationServiceServicer):
    """A server that refuses each stream, after results for so many questions, while its client still writes."""

    def __init__(self, refused: status_pb2.Status, answered: int) -> None:
        self._refused = refused
        self._answered = answered
        self.streams = 0

    async def BatchVerify(self, requests: AsyncIterator[pb.BatchVerifyRequest], context: Any) -> Any:  # type: ignore[override]
        self.streams += 1
        await anext(requests)
        error = pb.BatchVerifyError(code=grpc.StatusCode.NOT_FOUND.value[0])
        for position in range(self._answered):
            yield pb.BatchVerifyResponse(results=[pb.BatchVerifyResult(position=position, error=error)])
        await abort(context, self._refused)


@pytest.mark.parametrize("answered", [0, 100])
@pytest.mark.parametrize(
    "code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL]
)
async def test_a_stream_that_is_refused_while_questions_are_written_ends_with_that_refusal_at_once(
    village: Village, code: grpc.StatusCode, answered: int
) -> None:
    questions = [marital(index) for index in range(3000)]
    servicer = Refusing(status(code, error_details_pb2.ErrorInfo(reason="WHY")), answered)
    server = aio.server()
    verification_pb2_grpc.add_VerificationServiceServicer_to_server(servicer, server)
    channel = aio.insecure_channel(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    await server.start()
    outcomes: list[BatchOutcome] = []

    async def ask() -> None:
        servicer.streams = 0
        outcomes.clear()
        async for outcome in client.verify_many(questions, window=3000):
            outcomes.append(outcome)

    async with GatewayClient(channel, keys=LogKeys.read(village.house.vkey)) as client:
        for _ in range(5):
            with pytest.raises(GatewayRefusal) as caught:
                await ask()
            assert (caught.value.code, caught.value.reason) == (code.name, "WHY")
            assert (servicer.streams, len(outcomes)) == (1, answered)
    await server.stop(None)


@pytest.mark.parametrize("is_blocking", [False, True], ids=["asyncio", "threads"])
async def test_a_watch_that_ends_without_an_error_goes_on_from_its_cursor_and_ends_after_so_many_attempts(
    village: Village, is_blocking: bool
) -> None:
    record = (await village.client().verify(marital(0))).verification.record

    async with ending(village) as (servicer, client, blocking):

        async def watched() -> list[bool]:
            if is_blocking:
                return await asyncio.to_thread(lambda: [one.final for one in blocking.watch(record)])
            return [one.final async for one in client.watch(record)]

        async with asyncio.timeout(TIMEOUT):
            servicer.told = [0, 0, 0, 1, 0, 0, 1]
            assert await watched() == [False, True]
            cursor = servicer.cursors[-1]
            assert servicer.cursors == [*[""] * 4, *[cursor] * 3]
            servicer.cursors.clear()
            with pytest.raises(Unavailable):
                await watched()
            assert len(servicer.cursors) == 4
            servicer.cursors.clear()
            servicer.told = [1] * 1000  # the same again and again: nothing new in it
            with pytest.raises(Unavailable):
                await watched()

    assert len(servicer.cursors) == 4


async def test_questions_that_found_the_ledger_away_are_asked_again_on_the_stream(village: Village) -> None:
    async with between(village) as (servicer, client):
        servicer.unavailable_items = {1, 3}
        outcomes = [one async for one in client.verify_many(marital(index) for index in range(6))]

    assert len(outcomes) == 6
    assert all(one.answer for one in outcomes)
    assert len(servicer.seen) == 8


HASTY = Retries(first=0.001, longest=0.002, silence=0.3)


async def test_a_stream_that_says_nothing_gives_each_question_up_when_its_time_is_over(village: Village) -> None:
    async with between(village, retries=HASTY) as (servicer, client):
        servicer.lost = lambda stream, position: True
        async with asyncio.timeout(TIMEOUT):
            outcomes = [one async for one in client.verify_many([marital(0), marital(1)], timeout=0.2)]

    assert len(outcomes) == 2
    assert all(isinstance(one.refusal, DeadlinePassed) for one in outcomes)


async def test_one_question_without_an_answer_is_given_up_and_holds_up_no_other(village: Village) -> None:
    questions = [marital(index) for index in range(8)]
    async with between(village, retries=HASTY) as (servicer, client):
        servicer.lost = lambda stream, position: stream == 0 and position == 3
        servicer.pause = 0.2
        async with asyncio.timeout(TIMEOUT):
            outcomes = [one async for one in client.verify_many(questions, timeout=0.2)]

    refused = [one for one in outcomes if one.refusal is not None]
    assert [one.question for one in refused] == [questions[3]]
    assert isinstance(refused[0].refusal, DeadlinePassed)
    assert {one.question.request_id for one in outcomes} == {one.request_id for one in questions}
    assert len(outcomes) == 8


async def test_what_a_silent_stream_left_is_asked_again_on_another(village: Village) -> None:
    """The last question came when the first was nearly given up: it has its time yet."""
    async with between(village, retries=HASTY) as (servicer, client):
        servicer.lost = lambda stream, position: stream == 0

        async def slowly() -> AsyncIterator[Question]:
            yield marital(0)
            await asyncio.sleep(0.3)
            yield marital(1)

        async with asyncio.timeout(TIMEOUT):
            first, second = [one async for one in client.verify_many(slowly(), timeout=0.2)]

    assert isinstance(first.refusal, DeadlinePassed)
    assert second.answer is not None


async def test_questions_that_wait_for_those_before_them_are_not_given_up(village: Village) -> None:
    async with between(village, retries=HASTY) as (servicer, client):
        servicer.pause = 0.2
        outcomes = [one async for one in client.verify_many([marital(index) for index in range(8)], timeout=0.2)]

    assert all(one.answer for one in outcomes)
    assert servicer.streams == 1


async def test_who_takes_results_slowly_loses_none(village: Village) -> None:
    async with between(village, retries=HASTY) as (servicer, client):
        outcomes = []
        async for one in client.verify_many([marital(index) for index in range(4)], timeout=0.2):
            outcomes.append(one)
            await asyncio.sleep(0.6)

    assert all(one.answer for one in outcomes)
    assert (len(outcomes), servicer.streams) == (4, 1)


async def test_a_stream_takes_no_more_questions_than_its_window(village: Village) -> None:
    taken = 0

    def source() -> Iterator[Question]:
        nonlocal taken
        for index in range(200):
            taken += 1
            yield marital(index)

    yielded = 0
    async for _ in village.client().verify_many(source(), window=10):
        yielded += 1
        assert taken <= yielded + 10 + 1
    assert yielded == 200


async def test_questions_may_come_slowly_and_are_asked_as_they_come(village: Village) -> None:
    outcomes: asyncio.Queue[BatchOutcome] = asyncio.Queue()

    async def source() -> AsyncIterator[Question]:
        for index in range(3):
            yield marital(index)
            await outcomes.get()  # the next question only exists because of the last answer

    count = 0
    async with asyncio.timeout(TIMEOUT):
        async for outcome in village.client().verify_many(source()):
            outcomes.put_nowait(outcome)
            count += 1
    assert count == 3


async def test_a_mistake_of_the_callers_own_source_of_questions_is_raised(village: Village) -> None:
    def source() -> Iterator[Question]:
        yield marital(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        [one async for one in village.client().verify_many(source())]


async def test_leaving_a_batch_early_leaves_nothing_running(village: Village) -> None:
    client = village.client()
    before = asyncio.all_tasks()
    stream = client.verify_many(marital(index) for index in range(500))
    async for _ in stream:
        break
    await stream.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(TIMEOUT):
        while {task for task in asyncio.all_tasks() - before if "Batches" in repr(task)}:
            await asyncio.sleep(0.01)


async def test_an_empty_batch_ends(village: Village) -> None:
    assert [one async for one in village.client().verify_many([])] == []


async def test_the_blocking_client_does_the_same(village: Village) -> None:
    certificate, key = village.house.pair("clerk")

    def ask() -> None:
        channel = open_blocking_channel(
            f"127.0.0.1:{village.port}", authority=village.house.authority, certificate=certificate, key=key
        )
        with BlockingGatewayClient(channel, keys=LogKeys.read(village.house.vkey)) as client:
            question = marital(0)
            answer = client.verify(question)
            assert client.verify(question) == answer
            assert client.get(answer.verification.record).verification == answer.verification
            assert list(client.answers(Selection(), page_size=1)) == [answer.verification]
            assert [one.final for one in client.watch(answer.verification.record)] == [True]
            assert client.explain(PERSONAL, "marital-status").facts
            with pytest.raises(InvalidQuestion) as caught:
                client.verify(marital(0, "KING"))
            assert [mistake.field for mistake in caught.value.mistakes] == ["parameters.status"]
            assert caught.value.mistakes[0].chinese
            with pytest.raises(DeadlinePassed):
                client.verify(marital(0), timeout=0)

    await asyncio.to_thread(ask)


class Circling(verification_pb2_grpc.VerificationServiceServicer, commitment_pb2_grpc.CommitmentServiceServicer):
    """A server whose lists have no end: after their third page comes the second."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def _next(self, token: str) -> str:
        self.asked.append(token)
        return {"": "2", "2": "3", "3": "2"}[token]

    async def ListVerifications(self, request: pb.ListVerificationsRequest, context: Any) -> Any:  # type: ignore[override]
        return pb.ListVerificationsResponse(verifications=[{}], next_page_token=self._next(request.page_token))

    async def ListCommitments(self, request: commitment_pb2.ListCommitmentsRequest, context: Any) -> Any:  # type: ignore[override]
        return commitment_pb2.ListCommitmentsResponse(commitments=[{}], next_page_token=self._next(request.page_token))


@pytest.mark.parametrize("is_blocking", [False, True], ids=["asyncio", "threads"])
@pytest.mark.parametrize("family", ["answers", "commitments"])
async def test_a_list_that_leads_back_to_an_earlier_page_is_left_with_an_error(
    village: Village, family: str, is_blocking: bool
) -> None:
    servicer, server = Circling(), aio.server()
    verification_pb2_grpc.add_VerificationServiceServicer_to_server(servicer, server)
    commitment_pb2_grpc.add_CommitmentServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    keys = LogKeys.read(village.house.vkey)
    selection = Selection() if family == "answers" else CommitmentSelection()
    found: list[object] = []

    async def wait_for_all() -> None:
        async with GatewayClient(aio.insecure_channel(address), keys=keys) as client:
            async for one in getattr(client, family)(selection):
                found.append(one)

    def take_all() -> None:
        with BlockingGatewayClient(grpc.insecure_channel(address), keys=keys) as client:
            for one in getattr(client, family)(selection):
                found.append(one)

    with pytest.raises(ListIncomplete):
        await asyncio.wait_for(asyncio.to_thread(take_all) if is_blocking else wait_for_all(), TIMEOUT)
    await server.stop(None)

    assert servicer.asked == ["", "2", "3"]
    assert len(found) == 3


def test_importing_the_client_loads_nothing_of_the_server() -> None:
    code = "import sys, gateway.client; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    loaded = set(run.stdout.split()) - {"connectors", "connectors.names"}  # how names are compared
    for foreign in ("connectors", "sqlalchemy", "gateway.rpc", "gateway.flows", "gateway.rules", "ledger.service"):
        assert not [name for name in loaded if name == foreign or name.startswith(f"{foreign}.")]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_values_show_no_person() -> None:
    question = marital(0)
    shown = repr(question) + str(question) + repr([question])
    assert question.subject.id_number not in shown
    assert question.subject.name not in shown


async def test_the_example_of_the_readme_runs(village: Village) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    [code] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(code.strip().splitlines()) <= 26
    code = code.replace('"127.0.0.1:8443"', f'"127.0.0.1:{village.port}"')
    code = code.replace('Path("var/demo/var")', f'Path("{village.house.home}")')

    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=_environment()
    )
    output, errors = await run.communicate()

    assert (run.returncode, errors) == (0, b"")
    first, second = output.decode().splitlines()
    assert re.fullmatch(r"(CONTRADICTED|UNDETERMINED) \d+ \S+", first)
    assert "Answer(" in second
