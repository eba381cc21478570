"""Clocks of requests: reminders at half and at four fifths of the time, overdue at its end, each noted once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from connectors.outcome import Kind
from gateway.bootstrap.opening import open_index
from gateway.errors import AssistanceOpen, CalendarUnknown, FoundSince
from gateway.flows.assistance.values import Checking, Finding, Sending
from gateway.flows.commitments.newest import Newest
from gateway.flows.once import Request
from gateway.flows.verification.people import People
from gateway.founding import SYSTEMS, caller_id
from gateway.rpc.status import code_of
from gateway.rules.admission import Operator, RawQuestion, RawSubject
from gateway.rules.clocks import CHINA, WorkCalendar, add_working_days, end_of_day
from gateway.rules.kept import table
from gateway.rules.people import reminders_due
from gateway.rules.roles import Caller
from ledger import Draft, Submission, decode_entry, new_record
from tests.gateway.verification.village import PEOPLE, Inside, inside, service, settle, slow_source
from tests.ledger.house import erasing

from .hall import ADDRESS, CIVIL, FACT, LEASE, Clock, full_ladders, new_id


def caller(system: str) -> Caller:
    unit, roles = SYSTEMS[system]
    return Caller(id=caller_id(system), unit=unit, roles=frozenset(roles))


def request(system: str, **fields: object) -> Request:
    acting = caller(system)
    body = {"operator": {"person": f"{system}-01", "unit": acting.unit}, **fields}
    return Request(
        caller=acting,
        operator=Operator(person=f"{system}-01", unit=acting.unit),
        request_id=uuid4(),
        body=body,  # type: ignore[arg-type]
    )


def soon() -> float:
    return asyncio.get_running_loop().time() + 30


class Office:
    """The flows of a house, with one request sent."""

    def __init__(self, here: Inside, clock: Clock) -> None:
        self.here = here
        self.clock = clock
        self.began = clock.at
        self.record = b""
        self.verification = b""
        self.due = clock.at

    def question(self) -> RawQuestion:
        return RawQuestion(
            request_id=new_id(), matter="230000-MSA-001", case_id="办-1", purpose="办理行政许可", person="clerk-01",
            unit=SYSTEMS["clerk"][0], item="business-premises", parameters={"address": ADDRESS},
            subject=RawSubject(id_type="resident-id", id_number=PEOPLE[0].id_number, name=PEOPLE[0].name),
        )  # fmt: skip

    async def send(self) -> None:
        answered = await self.here.flows.verify(self.question(), caller("clerk"), soon())
        self.verification = answered.recorded.record
        self.record = await self.ask_about(FACT)
        row = await self.here.flows.look_up.any("assistance", self.record)
        assert row.due_at is not None
        self.due = row.due_at

    async def ask_about(self, fact_type: str) -> bytes:
        sending = Sending(
            verification=self.verification, unit=CIVIL, fact_type=fact_type, working_days=5, note=""
        )  # fmt: skip
        return (await self.here.flows.assist.send(request("clerk"), sending, soon())).recorded.record

    def set_to(self, part: float) -> None:
        self.clock.at = self.began + (self.due - self.began) * part

    async def kinds(self) -> list[str]:
        row = await self.here.flows.look_up.any("assistance", self.record)
        return [line.kind for line in await self.here.flows.look_up.history(row)]


@asynccontextmanager
async def office(folder: Path) -> AsyncIterator[Office]:
    clock = Clock()
    async with service() as homes:
        leases = slow_source(homes.port, name="leases", fact="lease-filing")
        house = settle(folder, sources=slow_source(homes.port) + leases, catalogue=full_ladders(folder))
        async with inside(house, now=clock) as here:
            made = Office(here, clock)
            await made.send()
            yield made


async def test_nothing_is_noted_early(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        here.set_to(0.05)

        assert await here.here.flows.chase() == 0


async def test_reminders_come_at_half_and_at_four_fifths_and_once_each(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        for part in (0.5, 0.6, 0.79, 0.8, 0.9, 1.0):
            here.set_to(part)
            await here.here.flows.chase()

        assert (await here.kinds()).count("AssistanceReminded") == 2


async def test_what_is_overdue_is_noted_once_with_a_new_answer(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        here.clock.at = here.due + timedelta(seconds=1)

        assert [await here.here.flows.chase(), await here.here.flows.chase()] == [1, 0]

        row = await here.here.flows.look_up.any("assistance", here.record)
        assert row.state == "OVERDUE"
        newest = here.here.ledger.size() - 1
        assert decode_entry(here.here.ledger.entry(newest)).kind == "VerificationAnswered"


async def test_a_commitment_waits_for_an_answer_that_knows_what_people_found(tmp_path: Path) -> None:
    """What was recorded while the newest answer was on its way: the answer says COMMITMENT, and people the contrary."""
    async with office(tmp_path) as here:
        flows = here.here.flows
        await flows.assist.receive(request("source-officer"), here.record)
        nothing = Finding(outcome=Kind.NO_RECORD, basis="卷宗", second=None)
        await flows.assist.answer(request("source-officer"), here.record, nothing, soon())
        lease = await here.ask_about(LEASE)
        await flows.assist.receive(request("source-officer"), lease)
        await flows.assist.answer(request("source-officer"), lease, nothing, soon())
        second = Operator(person="clerk-02", unit=SYSTEMS["clerk"][0])
        found = Finding(outcome=Kind.NO_RECORD, basis="现场", second=second)
        for fact_type in (FACT, LEASE):
            checking = Checking(
                verification=here.verification, fact_type=fact_type, method="ON_SITE", finding=found, commission=None
            )  # fmt: skip
            last = (await flows.assist.check(request("clerk"), checking, soon())).verification
        assert last is not None
        row = await flows.look_up.any("verification", last)
        people = People(
            ledger=here.here.ledger,
            book=flows.book,
            look_up=flows.look_up,
            index=open_index(here.here.settings.ledger),
            now=here.clock,
        )
        newest = Newest(stand=flows.stand, look_up=flows.look_up, people=people)
        await newest.require(row, last)
        kept = await flows.look_up.document(here.record, (await flows.look_up.any("assistance", here.record)).first_idx)
        draft = Draft(
            kind="CheckRecorded",
            record=new_record(here.clock.at, os.urandom),
            groups={"asked": {**table(kept["asked"]), "who": "own-check"}, "found": {"outcome": "MISMATCH"}},
            facts={
                "subject": (row.subject or b"").hex(), "case_key": (row.case_key or b"").hex(), "unit": row.unit,
                "matter": row.matter, "item": row.item, "parent": last.hex(),
            },
        )  # fmt: skip
        await here.here.ledger.append(Submission(drafts=(draft,), at=here.clock.at))

        with pytest.raises(FoundSince) as caught:
            await newest.require(row, last)
        assert "暂停时间届满后" in caught.value.chinese, "asking again may have to wait for the guess budget"


async def test_an_answer_after_the_note_is_taken(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        here.clock.at = here.due + timedelta(days=1)
        await here.here.flows.chase()
        await here.here.flows.assist.receive(request("source-officer"), here.record)
        finding = Finding(outcome=Kind.MATCH, basis="卷宗", second=None)

        done = await here.here.flows.assist.answer(request("source-officer"), here.record, finding, soon())

        assert done.verification is not None
        assert (await here.kinds())[-1] == "AssistanceAnswered"


@pytest.mark.parametrize(
    ("hours", "due"), [(0, 0), (4.9, 0), (5, 1), (7.9, 1), (8, 2), (11, 2)]
)  # fmt: skip
def test_reminders_by_the_part_of_the_time(hours: float, due: int) -> None:
    began = datetime(2026, 3, 2, 8, tzinfo=CHINA)
    now = began + timedelta(hours=hours)

    assert reminders_due(began, began + timedelta(hours=10), now=now, calendar=WorkCalendar()) == due


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 2, 14, 23, tzinfo=CHINA), 0),  # a Saturday that is worked
        (datetime(2026, 2, 18, 12, tzinfo=CHINA), 0),  # within the Spring Festival, half of the days that pass
        (datetime(2026, 2, 23, 23, tzinfo=CHINA), 0),
        (datetime(2026, 2, 26, 12, tzinfo=CHINA), 1),
        (datetime(2026, 2, 27, 23, tzinfo=CHINA), 2),
    ],
)
def test_no_reminder_falls_due_in_a_holiday_nor_by_it(now: datetime, due: int) -> None:
    """Sent on a Friday before the Spring Festival of 2026 (15 to 23 February), with five working days."""
    began = datetime(2026, 2, 13, 17, tzinfo=CHINA)
    last = end_of_day(add_working_days(date(2026, 2, 13), 5, WorkCalendar()))
    assert last.date() == date(2026, 2, 27)

    assert reminders_due(began, last, now=now, calendar=WorkCalendar()) == due


async def test_a_term_beyond_the_known_calendar_is_refused_with_what_to_do_and_nothing_is_recorded(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as here:
        here.clock.at += timedelta(days=365 * 40)
        before = here.here.ledger.size()

        with pytest.raises(CalendarUnknown) as refused:
            await here.ask_about(LEASE)

        assert (refused.value.reason, here.here.ledger.size()) == ("CALENDAR_UNKNOWN", before)
        assert code_of(refused.value) is grpc.StatusCode.FAILED_PRECONDITION
        assert "[calendar]" in str(refused.value)
        assert "日历" in refused.value.chinese


async def test_who_was_asked_may_be_asked_again_once_the_request_is_erased(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        flows = here.here.flows
        await here.here.ledger.append(erasing(here.here.ledger, here.record))
        sending = Sending(
            verification=here.verification, unit=CIVIL, fact_type=FACT, working_days=5, note=""
        )  # fmt: skip
        await flows.verify(here.question(), caller("clerk"), soon())

        again = await flows.assist.send(request("clerk"), sending, soon())

        assert again.recorded.record != here.record
        with pytest.raises(AssistanceOpen):
            await flows.assist.send(request("clerk"), sending, soon())


async def test_an_answer_is_taken_though_the_verification_is_erased(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        flows = here.here.flows
        await here.here.ledger.append(erasing(here.here.ledger, here.verification))
        await flows.assist.receive(request("source-officer"), here.record)
        finding = Finding(outcome=Kind.MATCH, basis="卷宗", second=None)

        done = await flows.assist.answer(request("source-officer"), here.record, finding, soon())

        assert done.verification is not None


async def test_the_time_that_people_took_is_not_waited_for_once_more(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        await here.ask_about(LEASE)
        here.clock.at = here.due + timedelta(seconds=1)
        await here.here.flows.chase()

        answered = await here.here.flows.verify(here.question(), caller("clerk"), soon())

        assert table(answered.answer["next_step"])["kind"] == "OWN_OR_COMMISSIONED_CHECK"
