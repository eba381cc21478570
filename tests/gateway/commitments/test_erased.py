"""What is erased while something is done with it is let be; and nobody signs what will not be recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import CommitmentExists, DocumentErased
from gateway.flows.commitments.documents import claims_of
from gateway.flows.commitments.sweep import Swept
from ledger import Submission
from tests.ledger.house import erasing

from .office import ITEM, PEOPLE, SOON, Office, execute, of_item, office

WHO = PEOPLE[12]
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
