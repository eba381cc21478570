"""Decisions that are set aside, and reports that are taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import CommitmentBarred, CommitmentHandled, RecordNotFound, TransitionNotAllowed
from gateway.flows.audit.find import Revocation
from gateway.flows.once import Recorded, Request
from gateway.letters.fulfilment import fulfilment
from gateway.rules.kept import table
from gateway.rules.roles import Role
from ledger.records.lifecycle import state_after
from tests.gateway.credit.reporting import acknowledged, pulled, rejected, repaired, report_of

from .office import Office, execute, office
from .test_findings import REMEDY, WHO, Room, discrepancy

ASIDE = Revocation(authority="省人民政府", document_number="复决字〔2026〕1号", reasons="事实不清")


async def revoke(room: Room, person: str = "A-3", here: Office | None = None) -> Recorded:
    at = here or room.here
    request = at.request("RevokeFinding", system="reviewer", person=person, record=room.finding.hex())
    return await at.flows.find.revoke(request, room.finding, ASIDE)


async def recall(room: Room, report: bytes, person: str = "A-3") -> Recorded:
    request = room.here.request("RecallReport", system="reviewer", person=person, record=report.hex())
    return await room.here.flows.report.recall(request, report, "报送有误")


def foreign(here: Office, method: str, record: bytes) -> Request:
    """Ask as a reviewer of another unit."""
    asked = here.request(method, system="civil-clerk", record=record.hex())
    return Request(
        caller=replace(asked.caller, roles=frozenset({Role.REVIEWER})),
        operator=asked.operator,
        request_id=asked.request_id,
        body=asked.body,
    )


async def decided(room: Room) -> None:
    await room.propose()
    await room.notify()
    await room.hear()
    await room.decide()


async def reported(room: Room) -> bytes:
    await decided(room)
    await room.finalise()
    return report_of(room.here, room.finding)


async def asked_of_another_home(room: Room) -> bytes:
    """Ask in another case, where data are missing."""
    room.here.drop([])
    execute(room.here.leases, "DELETE FROM lease")
    return await room.here.verify(WHO, "办-2")


async def test_a_decision_that_is_set_aside_in_the_remedy_period_is_never_final_nor_reported(tmp_path: Path) -> None:
    async with discrepancy(tmp_path, REMEDY) as room:
        await decided(room)
        await revoke(room)
        assert (room.here.state(room.finding), room.here.state(room.commitment)) == ("REVOKED", "CONFIRMED")
        assert room.here.row(room.finding).due_at is None
        room.here.clock.pass_(days=90)
        with pytest.raises(TransitionNotAllowed):
            await room.finalise()
        assert room.reports() == 0
        assert await pulled(room.here) == []


@pytest.mark.parametrize("is_acknowledged", [False, True])
async def test_what_was_reported_is_recalled_with_what_it_said_and_bars_nobody(
    tmp_path: Path, is_acknowledged: bool
) -> None:
    async with discrepancy(tmp_path) as room:
        report = await reported(room)
        (entered,) = await pulled(room.here)
        if is_acknowledged:
            await acknowledged(room.here, report)
        verification = await asked_of_another_home(room)
        with pytest.raises(CommitmentBarred):
            await room.here.prepare(verification)
        await revoke(room)
        await room.here.prepare(verification)
        assert (room.here.state(room.finding), room.here.state(room.commitment)) == ("REVOKED", "CONFIRMED")
        assert room.here.state(report) == "RECALLED"
        (recalled,) = await pulled(room.here)
        assert (recalled.act, recalled.record, recalled.content) == ("RECALL", report, entered.content)
        act = table(
            (await room.here.flows.find._look_up.document_of(room.here.row(room.finding), "FindingRevoked"))["act"]
        )
        assert act == {"authority": "省人民政府", "document_number": "复决字〔2026〕1号", "reasons": "事实不清"}
        for again in (revoke(room), recall(room, report)):
            with pytest.raises(TransitionNotAllowed):
                await again


async def test_of_what_the_platform_refused_nothing_is_recalled(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        report = await reported(room)
        await rejected(room.here, report)
        await revoke(room)
        assert room.here.state(report) == "CLOSED"
        assert await pulled(room.here) == []


@asynccontextmanager
async def questioned(folder: Path) -> AsyncIterator[Room]:
    """Give a finding against a commitment upon which nobody decided yet."""
    async with office(folder) as here:
        prepared = await here.prepare(await here.verify(WHO, "办-1"))
        await here.record(prepared, WHO)
        here.contradict(WHO)
        here.clock.pass_(days=1)
        await here.flows.commitments.standing()
        (finding,) = here.ledger.register().by_parent(prepared.record, "finding")
        assert here.state(prepared.record) == "QUESTIONED"
        yield Room(here, finding.record, prepared.record)


@pytest.mark.parametrize("is_final", [False, True])
async def test_a_commitment_that_still_waited_for_its_decision_waits_for_it_again(
    tmp_path: Path, is_final: bool
) -> None:
    async with questioned(tmp_path) as room:
        here, first = room.here, room.here.row(room.commitment).due_at
        await decided(room)
        if is_final:
            await room.finalise()
            assert (here.state(room.commitment), here.row(room.commitment).due_at) == ("BROKEN", None)
        await revoke(room)
        row = here.row(room.commitment)
        assert (row.state, fulfilment(row.state)) == ("RECORDED", "")
        assert row.due_at is not None
        assert here.kinds(room.commitment)[-1] == ("CommitmentReopened" if is_final else "CommitmentCleared")
        assert first is None or row.due_at > first, "the whole time, from when the finding was revoked"
        for kind in ("CommitmentWithdrawn", "DecisionRecorded"):
            assert state_after(room.commitment, row.state, kind)


async def test_a_commitment_that_was_found_false_undecided_is_decided_once_that_is_set_aside(tmp_path: Path) -> None:
    async with questioned(tmp_path) as room:
        await decided(room)
        await room.finalise()
        await revoke(room)
        await room.here.decide(room.commitment)
        assert room.here.state(room.commitment) == "IN_FORCE", "of the same data people know already"


async def test_a_commitment_whose_case_was_decided_stands_as_by_a_dismissal_once_final_is_set_aside(
    tmp_path: Path,
) -> None:
    async with discrepancy(tmp_path) as room:
        await reported(room)
        await revoke(room)
        row = room.here.row(room.commitment)
        assert (row.state, row.due_at) == ("CONFIRMED", None)
        assert room.here.kinds(room.commitment)[-1] == "CommitmentReinstated"


async def test_what_is_not_decided_or_has_ended_cannot_be_set_aside(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        await room.notify()
        for step in (room.hear, room.decide):
            with pytest.raises(TransitionNotAllowed):
                await revoke(room)
            await step()
        await room.finalise()
        room.here.clock.pass_(days=200)
        await repaired(room.here, room.finding)
        size = room.here.ledger.size()
        with pytest.raises(TransitionNotAllowed):
            await revoke(room)
        assert room.here.ledger.size() == size


async def test_a_finding_is_not_final_and_set_aside_at_one_moment(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await decided(room)
        here = room.here.interrupted(room.finalise)
        await revoke(room, here=here)  # judged anew on the final finding: what was reported meanwhile is recalled
        assert room.here.state(room.finding) == "REVOKED"
        assert room.here.state(report_of(room.here, room.finding)) == "RECALLED"


async def test_whoever_handled_the_commitment_sets_nothing_aside(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await decided(room)
        with pytest.raises(CommitmentHandled):
            await revoke(room, person="P-1")
        assert room.here.state(room.finding) == "DECIDED"


async def test_whoever_handled_the_commitment_takes_no_report_back(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        report = await reported(room)
        size = room.here.ledger.size()
        with pytest.raises(CommitmentHandled):
            await recall(room, report, person="P-1")
        assert room.here.ledger.size() == size
        assert room.here.state(report) == "ISSUED"


async def test_a_reviewer_of_another_unit_learns_of_no_finding_and_no_report(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        report = await reported(room)
        flows, size = room.here.flows, room.here.ledger.size()
        for record in (room.finding, bytes(16)):
            with pytest.raises(RecordNotFound):
                await flows.find.revoke(foreign(room.here, "RevokeFinding", record), record, ASIDE)
        for record in (report, bytes(16)):
            with pytest.raises(RecordNotFound):
                await flows.report.recall(foreign(room.here, "RecallReport", record), record, "报送有误")
        assert room.here.ledger.size() == size


async def test_a_report_that_was_wrong_is_taken_back_and_its_finding_stands(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        report = await reported(room)
        await acknowledged(room.here, report)
        await recall(room, report)
        assert (room.here.state(report), room.here.state(room.finding)) == ("RECALLED", "FINAL")
        (recalled,) = await pulled(room.here)
        assert recalled.act == "RECALL"
        with pytest.raises(TransitionNotAllowed):
            await recall(room, report)
        with pytest.raises(CommitmentBarred):
            await room.here.prepare(await asked_of_another_home(room))
        await revoke(room)
        assert room.here.state(report) == "RECALLED"
