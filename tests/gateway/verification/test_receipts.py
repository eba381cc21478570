"""Receipts: durable before the answer, the same bytes for the same request, in every process and after every end."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.client import AlreadyUsed, Forbidden, GatewayClient, Question, Retries, Selection, Unavailable
from gateway.client.messages import question_message
from gateway.v1 import verification_pb2 as pb
from tests.faults.parts import kill_between, parted

from .village import TIMEOUT, Village, case, marital, process, serving, settle

ONCE = Retries(most=0)


async def wire(village: Village, question: Question) -> bytes:
    """Give the very bytes of an answer's message."""
    response = await village.stub().Verify(question_message(question), timeout=TIMEOUT)
    return response.SerializeToString(deterministic=True)


async def wire_of_batch(village: Village, questions: list[Question]) -> dict[int, bytes]:
    call = village.stub().BatchVerify()
    await call.write(pb.BatchVerifyRequest(requests=[question_message(one) for one in questions]))
    await call.done_writing()
    found = [result async for response in call for result in response.results]
    return {one.position: one.response.SerializeToString(deterministic=True) for one in found}


async def test_a_repeated_question_gets_the_same_bytes_after_a_restart_on_sqlite(tmp_path: Path) -> None:
    house = settle(tmp_path)
    alone, many = marital(0), [marital(index) for index in range(1, 6)]
    seen = []
    for _ in range(2):
        with process(house) as running:
            village = running.village
            seen.append((await wire(village, alone), await wire_of_batch(village, many)))
            await village.close()

    assert seen[0] == seen[1]
    assert all(seen[0][1].values())


@pytest.mark.postgres
async def test_a_repeated_question_gets_the_same_bytes_from_another_process(tmp_path: Path, postgres_url: str) -> None:
    house = settle(tmp_path, url=postgres_url)
    alone, many = marital(0), [marital(index) for index in range(1, 6)]
    with process(house) as one, process(house) as other:
        first, second = one.village, other.village
        assert await wire(first, alone) == await wire(second, alone)
        assert await wire_of_batch(first, many) == await wire_of_batch(second, many)
        assert await wire(second, many[0]) == (await wire_of_batch(first, many))[0], "alone or in a batch is the same"

        raced = [marital(index) for index in range(6, 26)]
        pairs = await asyncio.gather(
            *(wire(village, question) for question, village in itertools.product(raced, (first, second)))
        )
        assert pairs[::2] == pairs[1::2]

        with pytest.raises(AlreadyUsed) as caught:
            await second.client().verify(
                replace(alone, case=replace(alone.case, purpose="告知承诺事后核查", case_id="另案"))
            )
        assert caught.value.metadata == {"fields": "context.case_id,context.purpose"}
        answers = [one async for one in first.client().answers(Selection())]
        await first.close()
        await second.close()

    assert len(answers) == 1 + 5 + 20


async def test_a_process_killed_between_entry_and_answer_answers_the_repetition_with_that_entry(tmp_path: Path) -> None:
    async def batch(client: GatewayClient) -> None:
        _ = [one async for one in client.verify_many([questions[1]])]

    questions = [marital(0), marital(1)]
    async with parted(settle(tmp_path)) as parts:
        async with parts.door() as door:
            asking = door.village.client(retries=ONCE).verify(questions[0])
            with pytest.raises(Unavailable):
                await kill_between(parts.log, door, parts.holding.arm, asking)
            await door.village.close()
        async with parts.door() as door:
            with pytest.raises(Unavailable):
                await kill_between(
                    parts.log, door, parts.holding.arm, batch(door.village.client(retries=ONCE))
                )  # fmt: skip
            await door.village.close()

        async with parts.door() as running:
            client = running.village.client()
            before = [one async for one in client.answers(Selection())]
            again = [await client.verify(question) for question in questions]
            after = [one async for one in client.answers(Selection())]
            await running.village.close()

    assert before == after == [again[1].verification, again[0].verification]


async def test_a_client_that_asks_again_by_itself_does_not_notice_a_killed_gateway(tmp_path: Path) -> None:
    house = settle(tmp_path)
    patient = Retries(most=100, first=0.2, longest=0.5)
    async with parted(house) as parts, parts.door() as door:
        client = door.village.client(timeout=60, retries=patient)
        text = house.config.read_text("utf-8")
        house.config.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{door.village.port}"), "utf-8")
        entries = len(parts.log.leaves())
        parts.holding.arm()
        asking = asyncio.create_task(client.verify(marital(0)))
        await parts.log.until(entries + 1)
        door.kill()
        async with parts.door() as running:
            answer = await asking
            answers = [one async for one in running.village.client().answers(Selection())]
            await running.village.close()
        await door.village.close()

    assert answers == [answer.verification]
    assert answer.receipt.index == entries


async def test_a_refusal_is_durable_before_it_is_told(tmp_path: Path) -> None:
    house = settle(tmp_path)
    refused = marital(0, in_case=case(matter="230000-MSA-001", purpose="办理行政许可"))
    async with parted(house) as parts, parts.door() as door:
        with pytest.raises(Unavailable):
            await kill_between(
                parts.log, door, parts.holding.arm, door.village.client(retries=ONCE).verify(refused)
            )  # fmt: skip
        await door.village.close()

    proofs = set()
    async with serving(house) as village:
        for _ in range(2):
            with pytest.raises(Forbidden) as caught:
                await village.client().verify(refused)
            assert caught.value.proven is not None
            proofs.add((caught.value.proven.index, caught.value.proven.proof))
    [(index, _)] = proofs
    assert index == 1, "after the first start's catalogue and before the second's"
