"""Another department that names a record of ours learns nothing: not that it exists, not whom it concerns."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from connectors.connector import Subject
from gateway.errors import RecordNotFound, RequestIdReused
from gateway.exports.writers import ExportFormat
from gateway.flows.commitments.read import CommitmentRead
from gateway.flows.reading.export_commitments import ExportOrder, Summary
from gateway.flows.reading.list_commitments import FAMILY, STATES
from gateway.flows.selecting import Selection
from gateway.founding import SYSTEMS
from gateway.rpc import translate
from gateway.rules.admission import Operator
from gateway.rules.kept import table
from gateway.rules.roles import Caller, Role
from gateway.rules.withdrawal import Milestone
from ledger import RecordRow

from .office import PEOPLE, Office, agent, deadline, office, said

WHO, OTHER = PEOPLE[12], PEOPLE[14]
THEIRS = SYSTEMS["civil-clerk"][0]
BOSS = Caller(id="x", unit=THEIRS, roles=frozenset({Role.OFFICER}))
NOBODYS = bytes(16)

Probe = Callable[[Office, bytes], Awaitable[object]]


async def prepare(here: Office, record: bytes) -> object:
    return await here.prepare(record, system="civil-clerk", proxy=agent(OTHER))


async def sign(here: Office, record: bytes) -> object:
    evidence = here.sign(b"any", OTHER)
    request = here.request("RecordCommitment", system="civil-clerk", record=record.hex(), **evidence.body())
    return await here.flows.commitments.record(request, record, bytes(32), evidence)


async def withdraw(here: Office, record: bytes) -> object:
    request = here.request("WithdrawCommitment", system="civil-clerk", record=record.hex())
    return await here.flows.commitments.withdraw.withdraw(request, record, "x")


async def decide(here: Office, record: bytes) -> object:
    request = here.request("RecordDecision", system="civil-clerk", record=record.hex())
    return await here.flows.commitments.decide(request, record, "x", deadline())


async def pay(here: Office, record: bytes) -> object:
    request = here.request("RecordMilestone", system="civil-clerk", record=record.hex())
    return await here.flows.commitments.withdraw.pass_milestone(request, record, Milestone.FEE_PAID)


async def contest(here: Office, record: bytes) -> object:
    request = here.request("ContestRefusal", system="civil-clerk", record=record.hex())
    return await here.flows.commitments.contest.contest(request, record, "x")


async def review(here: Office, record: bytes) -> object:
    request = here.request("ReviewRefusal", system="civil-clerk", record=record.hex())
    return await here.flows.commitments.contest.review(request, record, lift=True, reason="x")


PROBES: tuple[Probe, ...] = (sign, withdraw, decide, pay, contest, review)


async def targets(here: Office, probe: Probe) -> tuple[bytes, bytes, bytes]:
    """Give a record that is there, one of another family, and one that is not."""
    prepared = await here.prepare(verification := await here.verify(WHO, "办-1"))
    await here.record(prepared, WHO)
    pair = (verification, prepared.record) if probe is prepare else (prepared.record, verification)
    return (*pair, NOBODYS)


async def probed(here: Office, probe: Probe, record: bytes) -> tuple[RecordNotFound, RecordRow]:
    size = here.ledger.size()
    with pytest.raises(RecordNotFound) as caught:
        await probe(here, record)
    assert here.ledger.size() == size + 1, "the refusal is recorded"
    assert caught.value.recording is not None
    row = here.row(caught.value.recording.record)
    assert row.first_idx == size
    return caught.value, row


async def listed(here: Office, *, subject: Subject | None = None, case: str = "") -> list[CommitmentRead]:
    selection = Selection(family=FAMILY, states=STATES, unit=THEIRS, subject=subject, case_id=case)
    operator = Operator(person="officer-07", unit=THEIRS)
    page = await here.flows.list_commitments(selection, BOSS, operator=operator, purpose="查询", token="", size=100)
    return list(page.items)


@pytest.mark.parametrize("probe", [prepare, *PROBES])
async def test_a_refusal_is_the_same_whether_the_record_is_there_or_not(tmp_path: Path, probe: Probe) -> None:
    async with office(tmp_path) as here:
        told = []
        for record in await targets(here, probe):
            refusal, row = await probed(here, probe, record)
            told.append((str(refusal), refusal.chinese, row.state, row.unit, row.seq))
            assert (row.subject, row.parent, row.case_key, row.matter, row.item) == (None,) * 5

        assert told == [told[0]] * 3


@pytest.mark.parametrize("probe", PROBES)
async def test_no_list_count_or_export_of_the_other_unit_tells_that_a_record_is_there(
    tmp_path: Path, probe: Probe
) -> None:
    async with office(tmp_path) as here:
        there, _, absent = await targets(here, probe)
        _, of_there = await probed(here, probe, there)
        _, of_absent = await probed(here, probe, absent)

        messages = {one.life.row.record: translate.commitment(one) for one in await listed(here)}
        assert set(messages) == {of_there.record, of_absent.record}
        for message in messages.values():
            assert (message.verification, message.item, message.matter) == ("", "", "")
            assert there.hex() not in str(message)
        him = Subject(id_type="resident-id", id_number=WHO.id_number, name=WHO.name)
        assert await listed(here, subject=him) == []
        assert await listed(here, case="办-1") == []
        selection = Selection(family=FAMILY, states=STATES, unit=THEIRS, subject=him)
        order = ExportOrder(
            selection=selection, form=ExportFormat.JSONL, operator=Operator(person="o", unit=THEIRS), purpose="报表"
        )
        assert [one.rows async for one in here.flows.export_commitments(order, BOSS) if isinstance(one, Summary)] == [0]


@pytest.mark.parametrize("probe", [prepare, *PROBES])
async def test_what_was_sought_stands_in_the_document_and_nothing_else_of_the_request(
    tmp_path: Path, probe: Probe
) -> None:
    async with office(tmp_path) as here:
        there, _, _ = await targets(here, probe)
        refusal, row = await probed(here, probe, there)

        assert refusal.recording is not None
        kept = here.document(row.first_idx)
        sought = said(kept, "request")
        assert sought["record"] == there.hex()
        assert set(sought) == {"method", "family", "record", "operator"}
        assert table(kept["refusal"])["reason"] == "RECORD_NOT_FOUND"
        assert table(kept["clerk"]) == {"person": "civil-clerk-01", "unit": THEIRS}
        assert there.hex().encode() not in here.ledger.entry(row.first_idx)
        assert OTHER.id_number not in str(kept)


async def test_a_lifted_refusal_of_another_unit_is_neither_used_nor_told(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        _, theirs = await probed(here, withdraw, NOBODYS)
        verification = await here.verify(WHO, "办-1")

        for lifted in (theirs.record, NOBODYS):
            size = here.ledger.size()
            with pytest.raises(RecordNotFound):
                await here.prepare(verification, lifted=lifted)
            assert here.ledger.size() == size + 1
            assert here.row(theirs.record) == theirs


async def test_a_repeated_probe_is_recorded_once_and_another_under_its_name_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record, identity = await here.committed(WHO, "办-1"), str(uuid.uuid4())

        async def ask(target: bytes) -> None:
            request = here.request("WithdrawCommitment", system="civil-clerk", record=target.hex(), identity=identity)
            await here.flows.commitments.withdraw.withdraw(request, target, "x")

        size = here.ledger.size()
        for _ in range(3):
            with pytest.raises(RecordNotFound):
                await ask(record)
        assert here.ledger.size() == size + 1
        with pytest.raises(RequestIdReused) as caught:
            await ask(NOBODYS)
        assert record.hex() not in str(caught.value)
