"""Acts that come at one moment: each is judged on what the one before made of the record."""

from __future__ import annotations

import ast
import asyncio
import importlib
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import gateway.flows
from connectors.outcome import Kind
from gateway.errors import AssistanceHeld, ClockBehind, TransitionNotAllowed
from gateway.flows.assistance.values import Finding
from gateway.flows.once import Recorded
from ledger.records.lifecycle import OPENS
from tests.gateway.commitments.office import PEOPLE, Office, deadline, office
from tests.gateway.commitments.test_findings import Room, decided, discrepancy
from tests.gateway.commitments.test_staff_keys import decide as decide_key
from tests.gateway.commitments.test_staff_keys import propose as propose_key
from tests.gateway.commitments.test_staff_keys import revoke as revoke_key

WHO = PEOPLE[12]
FLOWS = Path(gateway.flows.__file__).parent


async def asked(here: Office) -> bytes:
    (record,) = await here.found(WHO, "办-1", None, ("home-ownership",))
    return record


async def receive(here: Office, record: bytes, person: str) -> Recorded:
    request = here.request("ReceiveAssistance", system="source-officer", person=person, record=record.hex())
    return await here.flows.assist.receive(request, record)


async def claim(here: Office, record: bytes, person: str) -> Recorded:
    request = here.request("ClaimAssistance", system="source-officer", person=person, record=record.hex())
    return await here.flows.assist.claim(request, record)


async def answer(here: Office, record: bytes, person: str) -> None:
    request = here.request("AnswerAssistance", system="source-officer", person=person, record=record.hex())
    await here.flows.assist.answer(
        request, record, Finding(outcome=Kind.NO_RECORD, basis="卷宗", second=None), deadline()
    )


async def test_what_a_colleague_claims_while_the_sources_are_asked_is_not_answered_by_another(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await asked(here)
        for person in ("S-1", "S-2"):
            await receive(here, record, person)
        with pytest.raises(AssistanceHeld):
            await answer(here.interrupted(lambda: claim(here, record, "S-2")), record, "S-1")
        assert here.state(record) == "CLAIMED"


async def test_a_colleague_who_looks_meanwhile_keeps_no_answer_away(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await asked(here)
        await receive(here, record, "S-1")
        await answer(here.interrupted(lambda: receive(here, record, "S-2")), record, "S-1")
        assert here.kinds(record)[-2:] == ["AssistanceReceived", "AssistanceAnswered"]


async def test_of_two_who_claim_at_one_moment_the_second_is_told_that_it_is_held(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await asked(here)
        for person in ("S-1", "S-2"):
            await receive(here, record, person)
        with pytest.raises(AssistanceHeld):
            await claim(here.interrupted(lambda: claim(here, record, "S-2")), record, "S-1")


async def test_all_who_look_at_one_moment_have_seen_it(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await asked(here)
        await asyncio.gather(*(receive(here, record, f"S-{number}") for number in range(12)))
        assert here.kinds(record).count("AssistanceReceived") == 12


async def test_nobody_is_reminded_twice_at_one_moment(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await asked(here)
        row = here.row(record)
        assert row.due_at is not None
        here.clock.now = row.due_at - timedelta(hours=1)
        while "AssistanceReminded" not in here.kinds(record):
            overtaken = here.interrupted(lambda: here.flows.assist.note_time(here.row(record), deadline()))
            await overtaken.flows.assist.note_time(here.row(record), deadline())
        before = here.kinds(record).count("AssistanceReminded")
        while await here.flows.assist.note_time(here.row(record), deadline()):
            before += 1
        assert here.kinds(record).count("AssistanceReminded") == before == 2, "at 50 and at 80 per cent"


async def test_a_request_is_neither_seen_nor_claimed_nor_answered_before_it_was_sent(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await asked(here)
        acts: list[Callable[[], Awaitable[object]]] = [
            lambda: receive(here, record, "S-1"),
            lambda: claim(here, record, "S-1"),
            lambda: answer(here, record, "S-1"),
        ]
        await behind(here, acts)
        assert here.state(record) == "ANSWERED"


async def behind(here: Office, acts: list[Callable[[], Awaitable[object]]]) -> None:
    """Do each act with the clock set back, which is refused, and then with the right one."""
    for act in acts:
        right, size = here.clock.now, here.ledger.size()
        here.clock.pass_(days=-15)
        with pytest.raises(ClockBehind):
            await act()
        assert here.ledger.size() == size, "nothing is recorded"
        here.clock.now = right
        await act()


async def reported(room: Room) -> bytes:
    await decided(room, grade="MINOR")
    await room.finalise()
    (report,) = room.here.ledger.register().by_parent(room.finding, "report")
    return report.record


def acknowledge(room: Room, report: bytes) -> Awaitable[Recorded]:
    request = room.here.request("AcknowledgeReport", system="credit", record=report.hex())
    return room.here.flows.report.acknowledge(request, report, "P-1")


def reject(room: Room, report: bytes) -> Awaitable[Recorded]:
    request = room.here.request("RejectReport", system="credit", record=report.hex())
    return room.here.flows.report.reject(request, report, "格式有误")


def repair(room: Room) -> Awaitable[Recorded]:
    request = room.here.request("RecordRepair", system="credit", finding=room.finding.hex())
    return room.here.flows.report.repair(request, room.finding, "示修字1号")


async def test_a_report_is_neither_acknowledged_nor_repaired_before_it_was_issued(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        report = await reported(room)
        await behind(room.here, [lambda: acknowledge(room, report), lambda: repair(room)])
        assert room.here.state(report) == "REPAIRED"


async def test_of_an_acknowledgement_and_a_rejection_at_one_moment_the_first_holds(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        report = await reported(room)
        overtaken = Room(room.here.interrupted(lambda: reject(room, report)), room.finding, room.commitment)
        with pytest.raises(TransitionNotAllowed):
            await acknowledge(overtaken, report)
        assert room.here.state(report) == "REJECTED"


async def test_a_repair_takes_the_report_as_it_is_by_then(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        report = await reported(room)
        await repair(Room(room.here.interrupted(lambda: reject(room, report)), room.finding, room.commitment))
        assert (room.here.state(room.finding), room.here.state(report)) == ("REPAIRED", "CLOSED")


async def test_of_two_decisions_upon_a_key_at_one_moment_the_first_holds(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await propose_key(here)
        with pytest.raises(TransitionNotAllowed):
            await decide_key(here.interrupted(lambda: decide_key(here, record, enrol=False)), record, by="R-2")
        assert here.state(record) == "KEY_REJECTED"


async def test_a_key_that_is_revoked_while_its_successor_is_enrolled_hinders_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        old = await propose_key(here)
        await decide_key(here, old)
        new = await propose_key(here, replaces=old, identity=str(uuid.uuid4()))
        await decide_key(here.interrupted(lambda: revoke_key(here, old)), new)
        assert (here.state(old), here.state(new)) == ("KEY_REVOKED", "KEY_ENROLLED")


async def test_no_key_is_decided_upon_or_revoked_before_it_was_proposed(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await propose_key(here)
        await behind(here, [lambda: decide_key(here, record), lambda: revoke_key(here, record)])


def drafted() -> Iterator[tuple[str, str]]:
    """Give every kind of entry that a flow drafts by itself, and where."""
    for file in sorted(FLOWS.rglob("*.py")):
        parts = file.relative_to(FLOWS.parent.parent).with_suffix("").parts
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Draft":
                (kind,) = (one.value for one in node.keywords if one.arg == "kind")
                if isinstance(kind, ast.Constant):
                    yield str(kind.value), file.name
                elif isinstance(kind, ast.Name) and file.name != "act.py":
                    yield getattr(importlib.import_module(".".join(parts)), kind.id), file.name


def test_what_follows_an_entry_is_drafted_onto_it() -> None:
    """`onto` binds a draft to what was judged: only what opens a record is drafted without it."""
    kinds = list(drafted())
    assert len(kinds) > 8
    assert [one for one in kinds if one[0] not in OPENS] == []
