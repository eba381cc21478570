"""What is erased while something is done with it is let be; and nobody signs what will not be recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.outcome import Kind
from gateway.errors import CommitmentExists, DocumentErased
from gateway.flows.assistance.values import Checking, Finding, Sending
from gateway.flows.commitments.documents import claims_of
from gateway.flows.commitments.sweep import Swept
from gateway.founding import SYSTEMS
from gateway.rules.admission import Operator
from ledger import Submission
from tests.ledger.house import erasing

from .office import ITEM, PEOPLE, SOON, Office, deadline, execute, of_item, office

WHO = PEOPLE[12]
FACT = "lease-filing"
DURING = of_item(ITEM, ("timing: AFTER", "timing: DURING"))


def by_order(here: Office, record: bytes) -> Submission:
    """What erases a commitment as the command does."""
    releases = claims_of(here.ledger.register().many([record]).values())
    return erasing(here.ledger, record)._replace(at=here.clock.now, release_keys=releases)


async def test_a_decision_under_way_is_not_appended_to_what_was_erased_meanwhile(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        overtaken = here.interrupted(lambda: here.erase(record))
        for _ in range(2):
            with pytest.raises(DocumentErased):
                await overtaken.decide(record)

        assert here.kinds(record) == ["CommitmentPrepared", "CommitmentRecorded"]


async def test_an_asking_under_way_is_not_appended_to_what_was_erased_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, DURING) as here:
        record = await here.committed(WHO, "办-1")
        ask = here.flows.verify.ask

        async def slow(*asked: Any, **planned: Any) -> Any:
            answer = await ask(*asked, **planned)
            await here.erase(record)
            return answer

        monkeypatch.setattr(here.flows.verify, "ask", slow)
        with pytest.raises(DocumentErased):
            await here.decide(record)

        assert here.kinds(record) == ["CommitmentPrepared", "CommitmentRecorded"]
        assert here.ledger.register().by_parent(record) == []


async def test_what_a_silent_source_left_open_is_not_recorded_of_somebody_who_was_erased_meanwhile(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        row = here.row(record)
        here.leases.unlink()
        overtaken = here.interrupted(lambda: here.erase(record, row.parent or b""))
        operator = Operator(person="standing-query", unit=row.unit or "")
        assert (await overtaken.flows.requery.one(row, operator, deadline())).result == "SKIPPED"

        assert row.subject is not None
        assert here.ledger.register().by_subject(row.subject) == []
        assert here.ledger.register().by_parent(record) == []


async def test_nothing_is_recorded_of_what_rests_on_an_answer_that_is_erased_meanwhile(tmp_path: Path) -> None:
    """A document to sign, a refusal of one, a check of the own unit, a request to another."""
    async with office(tmp_path) as here:
        for address in ("甲路1号", "乙路2号"):
            execute(here.leases, "INSERT INTO lease VALUES (?, ?, ?)", WHO.id_number, WHO.name, address)
        second = Operator(person="clerk-02", unit=SYSTEMS["clerk"][0])
        found = Finding(outcome=Kind.NO_RECORD, basis="现场", second=second)

        def send(by: Office, asked: bytes) -> Awaitable[object]:
            sending = Sending(
                verification=asked, unit=SYSTEMS["source-officer"][0], fact_type=FACT, working_days=5, note=""
            )
            return by.flows.assist.send(by.request("SendAssistance"), sending, deadline())

        def check(by: Office, asked: bytes) -> Awaitable[object]:
            checking = Checking(verification=asked, fact_type=FACT, method="现场核查", finding=found, commission=None)
            return by.flows.assist.check(by.request("RecordCheck"), checking, deadline())

        acts: list[Callable[[Office, bytes], Awaitable[object]]] = [send, Office.prepare]
        for number, act in enumerate(acts):
            await erased_under(here, act, f"办-{number}")  # a refusal of the document: other data are asked for first
        execute(here.leases, "DELETE FROM lease")
        for number, act in enumerate([Office.prepare, check], len(acts)):
            await erased_under(here, act, f"办-{number}")


async def erased_under(here: Office, act: Callable[[Office, bytes], Awaitable[object]], case: str) -> None:
    asked = await here.verify(WHO, case)
    subject = here.row(asked).subject
    assert subject is not None
    with pytest.raises(DocumentErased):
        await act(here.interrupted(lambda: here.erase(asked)), asked)
    assert here.ledger.register().by_subject(subject) == []


@pytest.mark.parametrize("until_lapsed", [False, True])
async def test_who_had_a_commitment_erased_can_make_another_in_its_case(tmp_path: Path, until_lapsed: bool) -> None:
    async with office(tmp_path) as here:
        erased = await here.committed(WHO, "办-1")
        await here.ledger.append(by_order(here, erased))
        if until_lapsed:
            here.clock.pass_(days=100)
            assert await here.flows.commitments.sweep() == Swept(expired=0, lapsed=0)

        second = await here.committed(WHO, "办-1")

        assert here.state(second) == "RECORDED"
        with pytest.raises(CommitmentExists) as caught:
            await here.prepare(await here.verify(WHO, "办-1"))
        assert caught.value.commitment == second


async def test_a_document_that_is_erased_unsigned_gives_up_no_claim_of_another(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        verification = await here.verify(WHO, "办-1")
        unsigned, signed = await here.prepare(verification), await here.prepare(verification)
        await here.record(signed, WHO)
        await here.ledger.append(by_order(here, unsigned.record))

        with pytest.raises(CommitmentExists):
            await here.prepare(await here.verify(WHO, "办-1"))


async def test_what_is_claimed_by_an_erased_commitment_is_told_before_anybody_signs(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await here.committed(WHO, "办-1")
        await here.erase(record)  # as before claims were given up

        with pytest.raises(CommitmentExists) as caught:
            await here.prepare(await here.verify(WHO, "办-1"))
        assert caught.value.commitment == record


async def awaited(here: Office, case: str) -> bytes:
    """Ask where two leases are unclear: another answer is waited for."""
    for address in ("甲路1号", "乙路2号"):
        execute(here.leases, "INSERT INTO lease VALUES (?, ?, ?)", WHO.id_number, WHO.name, address)
    return await here.verify(WHO, case)


@pytest.mark.parametrize("is_resumed", [False, True])
async def test_a_watch_ends_when_what_it_watches_is_erased(tmp_path: Path, is_resumed: bool) -> None:
    """Also one that goes on from where another was, when it is erased already."""
    async with office(tmp_path) as here, asyncio.timeout(SOON):
        record = await awaited(here, "办-1")
        row = here.row(record)
        watching = aiter(here.flows.watch(row, row.first_idx if is_resumed else -1))
        if not is_resumed:
            assert not (await anext(watching)).final
            waiting = asyncio.ensure_future(anext(watching))
            await asyncio.sleep(0.1)
            assert not waiting.done()

        await here.erase(record)

        with pytest.raises(DocumentErased):
            await (anext(watching) if is_resumed else waiting)


async def test_a_watch_goes_on_when_another_answer_is_erased(tmp_path: Path) -> None:
    async with office(tmp_path) as here, asyncio.timeout(SOON):
        record = await awaited(here, "办-1")
        again, unrelated = await here.verify(WHO, "办-1"), await here.verify(WHO, "办-2")
        watching = aiter(here.flows.watch(here.row(record), here.row(again).first_idx))
        waiting = asyncio.ensure_future(anext(watching))

        await here.erase(again)
        await here.erase(unrelated)
        third = await here.verify(WHO, "办-1")

        assert (await waiting).record == third
