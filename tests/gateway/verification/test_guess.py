"""The guess budget: asking is not reading; who tries many claims about a person is stopped, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.client import AlreadyUsed, Answer, GatewayClient, NotNow, Question
from ledger.v1 import ledger_pb2, ledger_pb2_grpc

from .village import PEOPLE, TIMEOUT, Service, Village, case, premises, process, service, serving, settle, slow_source

RIGHT = "示例路1号"


class Clock:
    """Wall time that a test moves."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
async def housing() -> AsyncIterator[Service]:
    async with service({person.id_number: RIGHT for person in PEOPLE[:3]}) as here:
        yield here


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def village(tmp_path: Path, housing: Service, clock: Clock) -> AsyncIterator[Village]:
    async with serving(settle(tmp_path, sources=slow_source(housing.port)), now=clock) as here:
        yield here


def outcome(answer: Answer) -> str:
    return next(fact.outcome for fact in answer.verification.facts if fact.fact_type == "home-ownership")


async def guess(client: GatewayClient, count: int, *, about: int = 0, first: int = 0) -> list[str]:
    return [outcome(await client.verify(premises(about, f"猜测{first + n}号"))) for n in range(count)]


async def test_a_spent_budget_refuses_whoever_asks_and_the_source_is_not_asked(
    village: Village, housing: Service
) -> None:
    assert await guess(village.client(), 5) == ["MISMATCH"] * 5

    for system in ("clerk", "officer"):
        with pytest.raises(NotNow) as caught:
            await village.client(system).verify(premises(0, RIGHT))

    refusal = caught.value
    assert refusal.reason == "GUESS_BUDGET_SPENT"
    assert refusal.retry_after is not None
    assert timedelta(hours=23) < refusal.retry_after <= timedelta(days=1)
    assert refusal.metadata["fact_type"] == "home-ownership"
    assert datetime.fromisoformat(refusal.metadata["free_at"]) > datetime.now(UTC) + timedelta(hours=23)
    assert refusal.proven is not None, "the refusal is recorded, with a receipt that verifies"
    assert refusal.chinese
    assert housing.asked == 5


async def test_another_person_has_a_budget_of_their_own(village: Village) -> None:
    await guess(village.client(), 5)

    assert await guess(village.client(), 1, about=1) == ["MISMATCH"]


async def test_the_same_claim_again_spends_nothing_and_may_be_asked_again(village: Village) -> None:
    client = village.client()
    for _ in range(7):
        await client.verify(premises(0, "猜测0号"))
    assert await guess(client, 4, first=1) == ["MISMATCH"] * 4

    assert outcome(await client.verify(premises(0, "猜测0号"))) == "MISMATCH"


async def test_what_is_not_the_applicants_fault_spends_nothing(village: Village, housing: Service) -> None:
    client = village.client()
    number = PEOPLE[0].id_number
    del housing.values[number]  # nothing is held
    absent = [outcome(await client.verify(premises(0, f"空{n}号"))) for n in range(7)]
    housing.values[number] = RIGHT
    right = [outcome(await client.verify(premises(0, RIGHT))) for _ in range(7)]

    assert absent == ["NO_RECORD"] * 7
    assert right == ["MATCH"] * 7
    assert await guess(client, 5) == ["MISMATCH"] * 5


async def test_a_source_that_is_away_spends_nothing(tmp_path: Path) -> None:
    async with serving(settle(tmp_path, sources=slow_source(1))) as village:
        away = [outcome(await village.client().verify(premises(0, f"某{n}号"))) for n in range(7)]

    assert away == ["UNAVAILABLE"] * 7


async def test_the_budget_is_free_again_when_the_oldest_guess_is_older_than_the_window(
    village: Village, clock: Clock
) -> None:
    client = village.client()
    await guess(client, 1)
    clock.ahead = timedelta(hours=12)
    await guess(client, 4, first=1)
    with pytest.raises(NotNow):
        await client.verify(premises(0, RIGHT))

    clock.ahead = timedelta(hours=24, minutes=1)

    assert await guess(client, 1, first=5) == ["MISMATCH"]
    with pytest.raises(NotNow):
        await client.verify(premises(0, RIGHT))
    clock.ahead = timedelta(hours=36, minutes=1)
    assert outcome(await client.verify(premises(0, RIGHT))) == "MATCH"


async def told(client: GatewayClient, questions: Sequence[Question]) -> list[str]:
    found = []
    async for one in client.verify_many(questions):
        if one.answer is not None:
            found.append(outcome(one.answer))
        else:
            assert one.refusal is not None
            found.append(one.refusal.reason)
    return sorted(found)


async def test_many_guesses_at_once_tell_no_more_than_one_after_the_other(village: Village) -> None:
    questions = [premises(0, f"猜测{n}号") for n in range(40)]

    found = await told(village.client(), [*questions, premises(0, RIGHT)])

    assert found == ["GUESS_BUDGET_SPENT"] * 36 + ["MISMATCH"] * 5


async def test_one_claim_asked_by_many_at_once_is_answered_to_all(village: Village) -> None:
    """The answers come in waves, so that some look at the ledger while others end."""
    client = village.client()

    async def caller(first: int) -> list[str]:
        return [outcome(await client.verify(premises(0, RIGHT))) for _ in range(first % 7 + 5)]

    found = await asyncio.gather(*(caller(first) for first in range(40)))

    assert {one for some in found for one in some} == {"MATCH"}


async def test_a_refused_question_asked_again_has_the_same_receipt_and_adds_no_entry(village: Village) -> None:
    client = village.client()
    await guess(client, 5)
    question = premises(0, RIGHT)
    proofs, sizes = [], []
    for _ in range(2):
        with pytest.raises(NotNow) as caught:
            await client.verify(question)
        assert caught.value.proven is not None
        proofs.append(caught.value.proven.proof)
        sizes.append(await size(village))

    assert proofs[0] == proofs[1]
    assert sizes[0] == sizes[1]
    with pytest.raises(AlreadyUsed):
        await client.verify(
            premises(
                0,
                RIGHT,
                request_id=question.request_id,
                in_case=case("另案", matter="230000-MSA-001", purpose="办理行政许可"),
            )
        )


async def size(village: Village) -> int:
    stub = ledger_pb2_grpc.LedgerServiceStub(village.channel("ledger-auditor"))
    answer = await stub.GetCheckpoint(ledger_pb2.GetCheckpointRequest(), timeout=TIMEOUT)
    return int(answer.checkpoint.splitlines()[1])


async def test_the_count_survives_a_restart_and_holds_nothing_in_clear(tmp_path: Path, housing: Service) -> None:
    house = settle(tmp_path, sources=slow_source(housing.port))
    async with serving(house) as village:
        await guess(village.client(), 5)
    async with serving(house) as village:
        with pytest.raises(NotNow):
            await village.client().verify(premises(0, RIGHT))

    stored = b"".join(file.read_bytes() for file in house.home.glob("ledger.sqlite3*"))
    for secret in (PEOPLE[0].id_number, PEOPLE[0].name, RIGHT, "猜测0号"):
        assert secret.encode() not in stored


@pytest.mark.postgres
async def test_several_processes_share_one_budget(tmp_path: Path, housing: Service, postgres_url: str) -> None:
    house = settle(tmp_path, sources=slow_source(housing.port), url=postgres_url)
    with process(house) as one, process(house) as other:
        first, second = one.village.client(), other.village.client()
        assert await guess(first, 3) == ["MISMATCH"] * 3
        assert await guess(second, 2, first=3) == ["MISMATCH"] * 2
        for client in (first, second):
            with pytest.raises(NotNow):
                await client.verify(premises(0, RIGHT))

        # At the very same moment, no more are told than there are slots: what cannot be counted is not answered.
        batches = [[premises(1, f"{who}-{n}") for n in range(20)] for who in ("甲", "乙")]
        found = await asyncio.gather(told(first, batches[0]), told(second, batches[1]))
        await one.village.close()
        await other.village.close()

    assert sorted([*found[0], *found[1]]) == ["GUESS_BUDGET_SPENT"] * 35 + ["MISMATCH"] * 5
