"""A request that is sent twice at one moment, to two processes, is answered twice as it was recorded once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from connectors.outcome import Kind
from gateway.flows.assistance.values import Assisted, Checking, Finding, Sending
from gateway.flows.commitments.prepare import Asked
from gateway.flows.once import Recorded
from gateway.founding import SYSTEMS
from gateway.rules.admission import Operator
from tests.gateway.commitments.office import PEOPLE, Office, deadline, execute, office
from tests.gateway.commitments.test_contest import contest, listed, review

WHO = PEOPLE[12]
CIVIL = SYSTEMS["source-officer"][0]
Send = Callable[[Office], Awaitable[Recorded]]


async def twice(here: Office, send: Send) -> None:
    """Send a request to two processes; the second finds what the first made of things."""
    first: list[Recorded] = []

    async def before() -> None:
        first.append(await send(here))
        sizes.append(here.ledger.size())

    sizes: list[int] = []
    second = await send(here.repeated(before))
    assert (second.entries, second.replayed) == (first[0].entries, True)
    assert [here.ledger.size()] == sizes, "no refusal is recorded, and no further answer"


def recorded_by(send: Callable[[Office], Awaitable[Assisted]]) -> Send:
    async def sent(by: Office) -> Recorded:
        return (await send(by)).recorded

    return sent


async def test_a_signed_document(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"))
        evidence = here.sign(prepared.document, WHO)
        request = here.request("RecordCommitment", record=prepared.record.hex())

        async def send(by: Office) -> Recorded:
            return (await by.flows.commitments.record(request, prepared.record, prepared.digest, evidence)).recorded

        await twice(here, send)


async def test_a_signed_document_at_its_last_second(tmp_path: Path) -> None:
    """By the time that the second process looks, it could not be signed any more."""
    async with office(tmp_path) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"))
        evidence = here.sign(prepared.document, WHO)
        request = here.request("RecordCommitment", record=prepared.record.hex())
        here.clock.now = prepared.expires_at

        async def send(by: Office) -> Recorded:
            done = await by.flows.commitments.record(request, prepared.record, prepared.digest, evidence)
            here.clock.pass_(seconds=1)
            return done.recorded

        await twice(here, send)
        assert here.state(prepared.record) == "RECORDED"


async def test_a_document_is_asked_for(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        verification = await here.verify(WHO, "办-1")
        request = here.request("PrepareCommitment", verification=verification.hex())

        async def send(by: Office) -> Recorded:
            return (await by.flows.commitments.prepare(request, Asked(verification=verification), deadline())).recorded

        await twice(here, send)


async def test_a_document_is_asked_for_after_a_refusal_was_lifted(tmp_path: Path) -> None:
    async with office(tmp_path, lists=True) as here:
        verification, refusal = await listed(here)
        await contest(here, refusal)
        await review(here, refusal)
        request = here.request("PrepareCommitment", verification=verification.hex(), lifted=refusal.hex())

        async def send(by: Office) -> Recorded:
            asked = Asked(verification=verification, lifted=refusal)
            return (await by.flows.commitments.prepare(request, asked, deadline())).recorded

        await twice(here, send)
        assert here.kinds(refusal)[-1] == "CommitmentPrepared"


@pytest.mark.parametrize("act", ["answer", "refuse", "send_back"])
async def test_what_another_department_is_asked_and_what_it_answers(tmp_path: Path, act: str) -> None:
    async with office(tmp_path) as here:
        for address in ("甲路1号", "乙路2号"):
            execute(here.leases, "INSERT INTO lease VALUES (?, ?, ?)", WHO.id_number, WHO.name, address)
        verification = await here.verify(WHO, "办-1")
        sending = Sending(verification=verification, unit=CIVIL, fact_type="lease-filing", working_days=5, note="")
        asking = here.request("SendAssistance")
        await twice(here, recorded_by(lambda by: by.flows.assist.send(asking, sending, deadline())))

        (row,) = here.ledger.register().by_parent(verification, "assistance")
        seen = here.request("ReceiveAssistance", system="source-officer", record=row.record.hex())
        await here.flows.assist.receive(seen, row.record)
        answering = here.request("AnswerAssistance", system="source-officer", record=row.record.hex())
        found = Finding(outcome=Kind.NO_RECORD, basis="卷宗", second=None)

        def close(by: Office) -> Awaitable[Assisted]:
            said = {"answer": found, "refuse": "无权提供", "send_back": "市住建局"}[act]
            return getattr(by.flows.assist, act)(answering, row.record, said, deadline())  # type: ignore[no-any-return]

        await twice(here, recorded_by(close))


async def test_a_check_of_the_own_unit(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        verification = await here.verify(WHO, "办-1")
        second = Operator(person="clerk-02", unit=SYSTEMS["clerk"][0])
        checking = Checking(
            verification=verification,
            fact_type="lease-filing",
            method="现场核查",
            finding=Finding(outcome=Kind.MISMATCH, basis="现场", second=second),
            commission=None,
        )
        request = here.request("RecordCheck", fact="lease-filing")
        await twice(here, recorded_by(lambda by: by.flows.assist.check(request, checking, deadline())))
