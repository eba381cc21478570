"""BatchVerify: many questions on one stream, each on its own, in bounded memory."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
from grpc import StatusCode, aio

from gateway.catalogue.loader import shipped_catalogue_files
from gateway.client import (
    AlreadyUsed,
    BatchOutcome,
    Forbidden,
    GatewayClient,
    GatewayRefusal,
    InvalidQuestion,
    LogKeys,
    Question,
    Retries,
    Selection,
    Unavailable,
    Verdict,
    new_request_id,
    open_channel,
)
from gateway.client.messages import question_message
from gateway.client.refusals import refusal_of
from gateway.errors import FarTooManyItems
from gateway.flows.verification.batch import Batch, Message, Result
from gateway.flows.verification.verify import Verify
from gateway.founding import SYSTEMS
from gateway.rpc.translate import raw_question
from gateway.rules.admission import RawQuestion
from gateway.rules.roles import Caller, Role
from gateway.v1 import catalogue_pb2, catalogue_pb2_grpc, parties_pb2
from gateway.v1 import verification_pb2 as pb

from .village import (
    PEOPLE,
    TIMEOUT,
    Inside,
    Village,
    case,
    inside,
    marital,
    premises,
    process,
    service,
    serving,
    settle,
    slow_source,
)

CLERK = Caller(
    id="spiffe://chengxin.example/org/11230000000000101E/clerk",
    unit="11230000000000101E",
    roles=frozenset({Role.CLERK}),
)


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    async with serving(settle(tmp_path)) as here:
        yield here


async def outcomes(village: Village, questions: Sequence[Question]) -> dict[str, BatchOutcome]:
    found = {}
    async for outcome in village.client().verify_many(questions):
        found[outcome.question.request_id] = outcome
    return found


async def results(
    call: aio.StreamStreamCall[pb.BatchVerifyRequest, pb.BatchVerifyResponse],
) -> list[pb.BatchVerifyResult]:
    return [result async for response in call for result in response.results]


async def test_each_of_many_questions_is_answered_once_with_a_receipt_of_its_own(village: Village) -> None:
    questions = [marital(index) for index in range(1500)]

    found = await outcomes(village, questions)

    answers = [found[question.request_id].answer for question in questions]
    assert all(answers)
    assert len({answer.receipt.index for answer in answers if answer}) == 1500
    married = [PEOPLE[index % len(PEOPLE)].marital == "married" for index in range(1500)]
    assert [answer.verification.verdict is Verdict.ESTABLISHED for answer in answers if answer] == married


async def test_bad_questions_spoil_nothing_but_themselves(village: Village) -> None:
    good = [marital(index) for index in range(5)]
    unknown = Question(case=case(), item="nothing", subject=good[0].subject)
    malformed = marital(0, "KING", request_id="1")
    foreign = Question(case=case(matter="230000-MSA-001", purpose="办理行政许可"), item="marital-status",
                       subject=good[0].subject, parameters={"status": "MARRIED"})  # fmt: skip

    found = await outcomes(village, [unknown, good[0], malformed, *good[1:3], foreign, *good[3:]])

    assert all(found[question.request_id].answer for question in good)
    assert isinstance(found[unknown.request_id].refusal, InvalidQuestion)
    refused = found["1"].refusal
    assert isinstance(refused, InvalidQuestion)
    assert {mistake.field for mistake in refused.mistakes} == {"request_id", "parameters.status"}
    forbidden = found[foreign.request_id].refusal
    assert isinstance(forbidden, Forbidden)
    assert forbidden.proven is not None, "a refusal is recorded, and its receipt verifies"
    assert forbidden.chinese


async def test_questions_without_a_request_id_are_told_apart_by_their_position(village: Village) -> None:
    requests = [question_message(marital(index)) for index in range(3)]
    requests[0].request_id = requests[1].request_id = ""
    call = village.stub().BatchVerify()
    await call.write(pb.BatchVerifyRequest(requests=requests))
    await call.done_writing()

    found = {result.position: result for result in await results(call)}

    assert [found[position].WhichOneof("result") for position in range(3)] == ["error", "error", "response"]
    assert found[0].error.reason == "INVALID_REQUEST"


async def test_a_repeated_batch_gets_identical_bytes_and_another_body_names_its_fields(village: Village) -> None:
    requests = [question_message(marital(index)) for index in range(20)]

    async def ask() -> dict[int, bytes]:
        call = village.stub().BatchVerify()
        await call.write(pb.BatchVerifyRequest(requests=requests))
        await call.done_writing()
        return {one.position: one.response.SerializeToString(deterministic=True) for one in await results(call)}

    assert await ask() == await ask()
    changed = marital(3, request_id=requests[3].request_id, in_case=case("另案"))
    refused = (await outcomes(village, [changed]))[changed.request_id].refusal
    assert isinstance(refused, AlreadyUsed)
    assert refused.metadata == {"fields": "context.case_id"}


async def test_one_request_id_twice_on_a_stream_is_answered_twice_and_recorded_once(village: Village) -> None:
    request = question_message(marital(0))
    call = village.stub().BatchVerify()
    await call.write(pb.BatchVerifyRequest(requests=[request, request]))
    await call.done_writing()

    first, second = await results(call)

    assert first.response == second.response
    assert {first.position, second.position} == {0, 1}


async def test_questions_beyond_what_a_message_may_carry_are_refused_one_by_one(tmp_path: Path) -> None:
    async with serving(settle(tmp_path, tune={"batch_items = 1000 ": "batch_items = 3 "})) as village:
        call = village.stub().BatchVerify()
        await call.write(pb.BatchVerifyRequest(requests=[question_message(marital(index)) for index in range(5)]))
        await call.write(pb.BatchVerifyRequest(requests=[question_message(marital(5))]))
        await call.done_writing()

        found = {result.position: result for result in await results(call)}

    assert [found[position].error.reason for position in range(6)] == [
        "",
        "",
        "",
        "TOO_MANY_ITEMS",
        "TOO_MANY_ITEMS",
        "",
    ]


async def test_a_message_with_far_too_many_questions_ends_its_stream_once_those_before_it_are_answered(
    village: Village,
) -> None:
    before, crowded, after = (pb.BatchVerifyRequest(requests=[question_message(marital(index))]) for index in range(3))
    for _ in range(400_000):
        crowded.requests.add()
    call = village.stub().BatchVerify()
    for message in (before, crowded, after):
        await call.write(message)
    found = list((await asyncio.wait_for(call.read(), TIMEOUT)).results)
    with pytest.raises(aio.AioRpcError) as caught:
        await asyncio.wait_for(call.read(), TIMEOUT)

    refusal = refusal_of(caught.value)
    listed = [one async for one in village.client().answers(Selection())]
    assert [one.position for one in found] == [0]
    assert [one.record for one in listed] == [found[0].response.verification.record]
    assert isinstance(refusal, InvalidQuestion)
    assert (refusal.reason, bool(refusal.chinese)) == ("TOO_MANY_ITEMS", True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xff", "MESSAGE_UNREADABLE"),
        (
            pb.BatchVerifyRequest(requests=[pb.VerifyRequest(item="x" * (1 << 20))]).SerializeToString(),
            "MESSAGE_TOO_LARGE",
        ),
    ],
    ids=["unreadable", "too large"],
)
async def test_a_message_that_is_not_taken_in_ends_its_stream_once_those_before_it_are_answered(
    village: Village, content: bytes, reason: str
) -> None:
    questions = [question_message(marital(index)) for index in range(200)]
    method = "/gateway.v1.VerificationService/BatchVerify"
    call = village.channel().stream_stream(method, response_deserializer=pb.BatchVerifyResponse.FromString)()
    await call.write(pb.BatchVerifyRequest(requests=questions).SerializeToString())
    await call.write(content)
    found: list[pb.BatchVerifyResult] = []

    async def read() -> None:
        async for response in call:
            found.extend(response.results)

    with pytest.raises(aio.AioRpcError) as caught:
        await asyncio.wait_for(read(), TIMEOUT)

    assert {one.position for one in found if one.HasField("response")} == set(range(200))
    refusal = refusal_of(caught.value)
    assert (refusal.reason, bool(refusal.chinese)) == (reason, True)


async def test_questions_are_read_as_they_are_taken_up_and_everybody_else_has_a_turn(tmp_path: Path) -> None:
    """Behind the doors: what far too many would be is never read, and a long message does not hold the loop."""
    turns = 0
    read: list[int] = []

    def questions(size: int) -> Iterator[RawQuestion]:
        for _ in range(size):
            read.append(turns)
            yield raw_question(pb.VerifyRequest())

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def send(_some: Sequence[Result]) -> None:
        return

    async def pace(count: int) -> None:
        assert count <= 6000

    async def streamed(here: Inside, size: int) -> int:
        messages = [Message(size=size, questions=questions(size), timeout=None, is_only_checked=lambda _: True)]

        async def receive() -> Message | None:
            return messages.pop() if messages else None

        return await here.flows.batch(receive, send, pace, CLERK)

    tune = {"batch_in_flight = 512 ": "batch_in_flight = 100000 ", "batch_items = 1000 ": "batch_items = 5000 "}
    async with inside(settle(tmp_path, tune=tune)) as here:
        other = asyncio.create_task(take_turns())
        try:
            assert await streamed(here, 6000) == 6000
            most = max(Counter(read).values())
            read.clear()
            with pytest.raises(FarTooManyItems):
                await streamed(here, 6001)
        finally:
            other.cancel()

    assert most <= 512
    assert read == []


async def test_a_caller_without_the_role_is_refused_before_anything_is_read(village: Village) -> None:
    call = village.stub("credit").BatchVerify()

    with pytest.raises(aio.AioRpcError) as caught:
        await results(call)

    assert caught.value.code() is StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("count", [10, 3000])
async def test_a_client_without_the_role_is_told_so_however_many_questions_it_has(village: Village, count: int) -> None:
    questions = [marital(index) for index in range(count)]
    async with village.client("credit") as client:
        with pytest.raises(Forbidden) as caught:
            [one async for one in client.verify_many(questions, window=count)]

    assert caught.value.reason == "NOT_ENTITLED"
    assert caught.value.chinese


async def test_a_slow_question_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async with service() as housing, serving(settle(tmp_path, sources=slow_source(housing.port))) as village:
        housing.answering.clear()
        slow = premises(0, "某处")
        seen = []
        async for outcome in village.client().verify_many([slow, *(marital(index) for index in range(50))]):
            seen.append(outcome.question.item)
            if len(seen) == 50:
                housing.answering.set()

    assert seen == ["marital-status"] * 50 + ["business-premises"]


async def test_each_question_has_its_own_deadline(tmp_path: Path) -> None:
    async with service() as housing, serving(settle(tmp_path, sources=slow_source(housing.port))) as village:
        housing.answering.clear()
        call = village.stub().BatchVerify()
        message = pb.BatchVerifyRequest(requests=[question_message(premises(0, "某处")), question_message(marital(1))])
        message.timeout.FromMilliseconds(800)
        await call.write(message)
        await call.done_writing()

        found = {result.position: result.response.verification for result in await results(call)}

        await housing.until(lambda: housing.left == 1)
    assert (found[0].verdict, list(found[0].reasons)) == (
        pb.VERDICT_UNDETERMINED,
        ["NOT_COVERED", "UNAVAILABLE(TIMEOUT)"],
    )
    assert found[0].next_step.kind == pb.NEXT_STEP_KIND_RETRY_AFTER
    assert found[1].verdict != pb.VERDICT_UNSPECIFIED


@pytest.mark.parametrize(
    ("seconds", "nanos", "code"),
    [
        (10**14, 0, None),
        (2**63 - 1, 999_999_999, None),
        (20, 2**31 - 1, None),
        (0, 0, StatusCode.DEADLINE_EXCEEDED),
        (-1, 0, StatusCode.DEADLINE_EXCEEDED),
        (-(2**63), -(2**31), StatusCode.DEADLINE_EXCEEDED),
        (0, -1, StatusCode.DEADLINE_EXCEEDED),
    ],
)
async def test_a_time_of_any_length_ends_no_stream(
    village: Village, seconds: int, nanos: int, code: StatusCode | None
) -> None:
    call = village.stub().BatchVerify()
    for number in range(2):
        request = pb.BatchVerifyRequest(requests=[question_message(marital(number))])
        if not number:
            request.timeout.seconds, request.timeout.nanos = seconds, nanos
        await call.write(request)
    await call.done_writing()
    found = {result.position: result async for response in call for result in response.results}

    assert found[0].error.code == (code.value[0] if code else 0)
    assert found[1].response.verification.verdict == pb.VERDICT_ESTABLISHED


async def test_what_is_only_to_be_checked_asks_nobody_and_records_nothing(tmp_path: Path) -> None:
    async with (
        service({PEOPLE[0].id_number: "示例路1号"}) as housing,
        serving(settle(tmp_path, sources=slow_source(housing.port))) as village,
    ):
        right, wrong = question_message(premises(0, "示例路1号")), question_message(premises(1, "x"))
        barred = question_message(premises(1, "x", in_case=case(matter="230000-EDU-004")))
        wrong.item = "nothing"
        for one in (right, wrong, barred):
            one.validate_only = True
        asked = question_message(premises(0, "示例路1号"))
        call = village.stub().BatchVerify()
        await call.write(pb.BatchVerifyRequest(requests=[right, wrong, barred, asked]))
        await call.done_writing()
        found = {result.position: result async for response in call for result in response.results}
        listed = [one async for one in village.client().answers(Selection())]

    assert found[0].WhichOneof("result") == "response"
    assert found[0].response == pb.VerifyResponse()
    assert found[1].error.reason == "UNKNOWN_ITEM"
    assert (found[2].error.reason, len(found[2].error.details)) == ("NOT_ENTITLED", 2), "not recorded either"
    assert found[3].response.verification.verdict == pb.VERDICT_ESTABLISHED
    assert [one.record for one in listed] == [found[3].response.verification.record]
    assert housing.asked == 1


async def test_no_time_at_all_asks_nobody_and_records_nothing(tmp_path: Path) -> None:
    async with service() as housing, serving(settle(tmp_path, sources=slow_source(housing.port))) as village:
        call = village.stub().BatchVerify()
        message = pb.BatchVerifyRequest(requests=[question_message(premises(0, "某处"))])
        message.timeout.FromMilliseconds(-5)
        await call.write(message)
        await call.done_writing()

        [result] = await results(call)

    assert (result.error.code, result.error.reason) == (StatusCode.DEADLINE_EXCEEDED.value[0], "DEADLINE_EXCEEDED")
    assert housing.asked == 0


async def test_a_question_whose_call_is_given_up_under_it_has_a_result_like_all_others() -> None:
    class GivingUp:
        async def __call__(self, question: RawQuestion, _caller: Caller, _until: float) -> object:
            await asyncio.sleep(0)
            if question.request_id == "2":
                raise asyncio.CancelledError
            return object()

    asked = [raw_question(pb.VerifyRequest(request_id=str(number))) for number in range(5)]
    messages = [Message(size=5, questions=asked, timeout=None), None]
    found: list[Result] = []

    async def receive() -> Message | None:
        return messages.pop(0)

    async def send(results: Sequence[Result]) -> None:
        found.extend(results)

    async def pace(_questions: int) -> None:
        pass

    batch = Batch(verify=cast(Verify, GivingUp()), in_flight=10, most_items=100, longest=5, stopping=asyncio.Event())
    assert await batch(receive, send, pace, CLERK) == 5
    assert sorted(one.position for one in found) == list(range(5))
    assert [one.position for one in found if one.error is not None] == [2]


async def test_a_client_that_goes_away_stops_everything(tmp_path: Path) -> None:
    async with service() as housing, serving(settle(tmp_path, sources=slow_source(housing.port))) as village:
        housing.answering.clear()
        call = village.stub().BatchVerify()
        await call.write(
            pb.BatchVerifyRequest(requests=[question_message(premises(index, "某处")) for index in range(5)])
        )
        await housing.until(lambda: housing.asked == 5)

        call.cancel()

        await housing.until(lambda: housing.left == 5)
        answers = [one async for one in village.client().answers(Selection())]
    assert answers == []


async def refused_at_the_door(village: Village) -> None:
    """Wait until the gateway lets nothing new in."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            try:
                await village.stub().GetVerification(pb.GetVerificationRequest(record="0" * 32), timeout=1)
            except aio.AioRpcError as error:
                if error.code() is StatusCode.UNAVAILABLE:
                    return


async def test_what_was_read_is_answered_before_the_gateway_stops(tmp_path: Path) -> None:
    async with service() as housing:
        with process(settle(tmp_path, sources=slow_source(housing.port))) as running:
            housing.answering.clear()
            call = running.village.stub().BatchVerify()
            await call.write(pb.BatchVerifyRequest(requests=[question_message(premises(0, "某处"))]))
            await housing.until(lambda: housing.asked == 1)
            running.process.terminate()
            await refused_at_the_door(running.village)
            housing.answering.set()

            response = await call.read()
            with pytest.raises(aio.AioRpcError) as caught:
                await call.read()
            await running.village.close()

    assert response.results[0].response.receipt.proof
    assert caught.value.code() is StatusCode.UNAVAILABLE


async def test_a_reader_that_takes_nothing_stops_the_stream_at_its_bound(tmp_path: Path) -> None:
    """Behind the doors, so that no buffer of the transport hides how far the stream went."""
    house = settle(tmp_path, tune={"batch_in_flight = 512 ": "batch_in_flight = 64 "})
    async with inside(house) as here:
        before = here.ledger.size()
        given = 0
        taken: list[Result] = []
        taking = asyncio.Event()

        async def receive() -> Message | None:
            nonlocal given
            if given >= 1000:
                return None
            given += 20
            questions = [raw_question(question_message(marital(index))) for index in range(20)]
            return Message(size=len(questions), questions=questions, timeout=None)

        async def send(some: Sequence[Result]) -> None:
            await taking.wait()
            taken.extend(some)

        async def pace(_count: int) -> None:
            return

        stream = asyncio.create_task(here.flows.batch(receive, send, pace, CLERK))
        async with asyncio.timeout(TIMEOUT):
            while here.ledger.size() < before + 64:
                await asyncio.sleep(0.01)
            for _ in range(50):
                await asyncio.sleep(0.01)
                assert here.ledger.size() == before + 64
                assert given <= 64 + 20
                assert len(asyncio.all_tasks()) < 64 + 32
            taking.set()
            assert await stream == 1000

    assert len(taken) == 1000
    assert all(one.answered for one in taken)


async def test_memory_does_not_grow_with_the_length_of_a_stream(tmp_path: Path) -> None:
    house = settle(tmp_path, tune={"batch_in_flight = 512 ": "batch_in_flight = 64 "})
    marks: list[int] = []
    async with inside(house) as here:
        given = sent = 0

        async def receive() -> Message | None:
            nonlocal given
            if given >= 1200:
                return None
            given += 50
            questions = [raw_question(question_message(marital(index))) for index in range(50)]
            return Message(size=len(questions), questions=questions, timeout=None)

        async def send(some: Sequence[Result]) -> None:
            nonlocal sent
            sent += len(some)
            if (sent >= 400 and not marks) or sent == 1200:
                marks.append(tracemalloc.get_traced_memory()[0])

        async def pace(_count: int) -> None:
            return

        tracemalloc.start()
        try:
            await here.flows.batch(receive, send, pace, CLERK)
        finally:
            tracemalloc.stop()

    # 800 further answers, of more than 3 kB each with their questions, leave less than 600 bytes each (tiles, caches).
    assert marks[1] - marks[0] < 800 * 600


@pytest.mark.skipif("CHENGXIN_MILLION" not in os.environ, reason="set CHENGXIN_MILLION=1000000 for the long stream")
@pytest.mark.timeout(36_000)
async def test_a_million_questions_on_one_stream(tmp_path: Path) -> None:
    count = int(os.environ["CHENGXIN_MILLION"])
    with process(settle(tmp_path, tune={"calls_per_second = 10000 ": "calls_per_second = 1000000 "})) as running:
        statm = Path(f"/proc/{running.process.pid}/statm")
        done, resident = 0, []
        async for outcome in running.village.client(timeout=600).verify_many(marital(index) for index in range(count)):
            assert outcome.answer is not None
            done += 1
            if done % (count // 10) == 0:
                resident.append(int(statm.read_bytes().split()[1]) * 4096)  # noqa: ASYNC240  /proc does not block
        await running.village.close()
    assert done == count
    assert resident[-1] - resident[0] < 200 * count + (64 << 20)


async def test_each_question_of_a_stream_begins_with_the_catalogue_then_in_force(tmp_path: Path) -> None:
    files = []
    for file in shipped_catalogue_files():
        files.append(tmp_path / file.name)
        files[-1].write_bytes(file.read_bytes())
    async with serving(settle(tmp_path, catalogue=files)) as village:
        call = village.stub().BatchVerify()
        versions = []
        for index in range(2):
            await call.write(pb.BatchVerifyRequest(requests=[question_message(marital(index))]))
            response = await call.read()
            versions.append(response.results[0].response.verification.catalogue_version)
            files[0].write_text(
                files[0].read_text("utf-8").replace("title: 婚姻状况证明", "title: 婚姻登记记录证明"), "utf-8"
            )
            operators = catalogue_pb2_grpc.CatalogueServiceStub(village.channel("operator"))
            request = catalogue_pb2.ReloadCatalogueRequest(
                request_id=new_request_id(),
                operator=parties_pb2.Operator(person="operator-01", unit=SYSTEMS["operator"][0]),
            )
            reloaded = await operators.ReloadCatalogue(request, timeout=TIMEOUT)
        await call.done_writing()

    assert versions[0] != versions[1] == reloaded.catalogue_version


OFFICE = "{uscc: 11230000000000101E, name: 示例市场监督管理局}"


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("purposes: [办理行政确认, 告知承诺事后核查]", "purposes: [其他]"),
        ("      - {item: marital-status}\n", ""),
        ("code: 230000-CIV-005", "code: 230000-CIV-905"),
        (f"      - {OFFICE}\n", ""),
    ],
    ids=["another purpose", "an item that it may not ask any more", "no such matter", "another department"],
)
async def test_a_repetition_is_answered_as_at_first_whatever_the_catalogue_says_by_then(
    tmp_path: Path, was: str, becomes: str
) -> None:
    files = []
    for file in shipped_catalogue_files()[:2]:
        files.append(tmp_path / file.name)
        files[-1].write_bytes(file.read_bytes())
    async with serving(settle(tmp_path, catalogue=files)) as village:
        question = question_message(marital(0))
        first = await village.stub().Verify(question, timeout=TIMEOUT)
        before, found, matter = files[1].read_text("utf-8").partition("  - code: 230000-CIV-005")
        assert (found + matter).count(was) == 1
        files[1].write_text(before + (found + matter).replace(was, becomes), "utf-8")
        operators = catalogue_pb2_grpc.CatalogueServiceStub(village.channel("operator"))
        request = catalogue_pb2.ReloadCatalogueRequest(
            request_id=new_request_id(),
            operator=parties_pb2.Operator(person="operator-01", unit=SYSTEMS["operator"][0]),
        )
        await operators.ReloadCatalogue(request, timeout=TIMEOUT)
        again = await village.stub().Verify(question, timeout=TIMEOUT)
        call = village.stub().BatchVerify()
        await call.write(pb.BatchVerifyRequest(requests=[question]))
        await call.done_writing()
        [repeated] = await results(call)
        client = village.client()
        with pytest.raises(GatewayRefusal) as new:
            await client.verify(marital(1))
        with pytest.raises(AlreadyUsed) as other:
            await client.verify(marital(2, request_id=question.request_id))

    assert again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    assert repeated.response == first
    assert not isinstance(new.value, AlreadyUsed)
    assert "context.case_id" in other.value.metadata["fields"].split(",")


async def test_an_unavailable_gateway_ends_a_batch_with_a_typed_error(village: Village) -> None:
    certificate, key = village.house.pair("clerk")
    channel = open_channel("127.0.0.1:1", authority=village.house.authority, certificate=certificate, key=key)
    keys = LogKeys.read(village.house.vkey)
    async with GatewayClient(channel, keys=keys, retries=Retries(most=1, first=0.01)) as client:
        with pytest.raises(Unavailable):
            [one async for one in client.verify_many([marital(0)])]


def test_request_ids_are_uuids_of_version_7_in_order() -> None:
    earlier, later = (new_request_id(lambda at=at: at) for at in (1_700_000_000_000, 1_700_000_000_001))
    assert uuid.UUID(earlier).version == 7
    assert uuid.UUID(earlier).variant == uuid.RFC_4122
    assert earlier < later
