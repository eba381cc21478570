"""Findings: each act is judged on the finding that it is appended to, whatever comes at the same moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import (
    CapacityUnknown,
    ClockBehind,
    CommitmentBarred,
    CommitmentHandled,
    DocumentErased,
    InvalidRequest,
    PeriodRunning,
    SameOfficer,
    TransitionNotAllowed,
)
from gateway.flows.act import onto
from gateway.flows.audit.find import Decision
from gateway.flows.once import Recorded, Request
from gateway.rules.clocks import CHINA, end_of_day
from gateway.rules.kept import table
from ledger import Submission
from ledger.canonical import Json

from .office import PEOPLE, Office, deadline, execute, office, said

WHO = PEOPLE[12]
BROKEN = Decision(broken=True, document_number="示认字1号", grade="ORDINARY", reasons="事实清楚")
REMEDY = {"remedy_days = 0": "remedy_days = 60"}


@dataclass(slots=True)
class Room:
    """The auditors of an office, and the finding that they look into."""

    here: Office
    finding: bytes
    commitment: bytes

    def overtaken_by(self, act: str, **by: str) -> Room:
        """Give the room as another officer has it, whom an act of a colleague overtakes."""
        return Room(self.here.interrupted(lambda: getattr(self, act)(**by)), self.finding, self.commitment)

    def _request(self, method: str, person: str) -> Request:
        return self.here.request(method, system="auditor", person=person, record=self.finding.hex())

    async def propose(self, person: str = "A-1") -> Recorded:
        return await self.here.flows.find.propose(self._request("ProposeFalse", person), self.finding, "地址不符")

    async def notify(self, person: str = "A-1") -> Recorded:
        return await self.here.flows.find.notify(self._request("NotifyFinding", person), self.finding, "直接送达")

    async def hear(self, person: str = "A-1", statement: str = "无异议", *, waives: bool | None = None) -> Recorded:
        """Hear the person, who waives the rest of the period unless told otherwise, or unless nothing is said."""
        request = self._request("HearDefence", person)
        waived = bool(statement) if waives is None else waives
        return await self.here.flows.find.hear(request, self.finding, statement, waives_rest=waived)

    async def decide(self, person: str = "A-2", decision: Decision = BROKEN) -> Recorded:
        return await self.here.flows.find.decide(self._request("DecideFinding", person), self.finding, decision)

    async def finalise(self, person: str = "A-2") -> Recorded:
        request = self._request("FinaliseFinding", person)
        return await self.here.flows.find.finalise(request, self.finding, deadline())

    async def close(self, person: str = "A-1", kind: str = "CLEARED") -> Recorded:
        return await self.here.flows.find.close(self._request("CloseFinding", person), self.finding, kind, "数据有误")

    def kinds(self) -> list[str]:
        return self.here.kinds(self.finding)

    def reports(self) -> int:
        return len(self.here.ledger.register().by_parent(self.finding, "report"))


@asynccontextmanager
async def discrepancy(
    folder: Path, tune: Mapping[str, str] | None = None, *, lists: bool = False
) -> AsyncIterator[Room]:
    """An office where data came to contradict a commitment that is in force."""
    async with office(folder, tune=tune, lists=lists) as here:
        verification = await here.verify(WHO, "办-1")
        prepared = await here.prepare(verification, person="P-1")
        await here.record(prepared, WHO)
        commitment = prepared.record
        await here.decide(commitment, person="D-1")
        here.contradict(WHO)
        here.clock.pass_(days=2)
        assert dict(await here.flows.commitments.standing()) == {"DISCREPANCY": 1}
        (finding,) = here.ledger.register().by_parent(commitment, "finding")
        yield Room(here, finding.record, commitment)


async def test_who_hears_the_defence_cannot_decide_at_the_same_moment(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        await room.notify()
        with pytest.raises(TransitionNotAllowed):
            await room.overtaken_by("hear", person="A-2").decide("A-2")
        assert "FindingDecided" not in room.kinds()
        await room.hear("A-2")
        with pytest.raises(SameOfficer):
            await room.decide("A-2")


async def test_a_defence_cannot_lapse_at_the_moment_of_its_notice(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        with pytest.raises(TransitionNotAllowed):
            await room.overtaken_by("notify").hear(statement="")
        assert "DefenceLapsed" not in room.kinds()
        await room.notify()
        with pytest.raises(PeriodRunning):
            await room.hear(statement="")


async def test_whoever_spoke_may_say_more_and_nothing_is_decided_against_them_while_the_period_runs(
    tmp_path: Path,
) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        await room.notify()
        due = room.here.row(room.finding).due_at
        assert due is not None
        await room.hear(statement="我不同意,租赁合同三天内提交", waives=False)
        for moment in (room.here.clock.now, due - timedelta(hours=1)):
            room.here.clock.now = moment
            before = room.kinds()
            with pytest.raises(PeriodRunning):
                await room.decide()
            assert room.kinds() == before
        await room.hear(statement="现提交租赁合同", waives=False)
        assert (room.here.state(room.finding), room.here.row(room.finding).due_at) == ("DEFENCE_HEARD", due)

        room.here.clock.now = due + timedelta(seconds=1)
        await room.hear(statement="补充说明", waives=False)
        await room.decide()
        assert room.kinds().count("DefenceHeard") == 3
        with pytest.raises(TransitionNotAllowed):
            await room.hear(statement="太晚了", waives=False)


async def test_a_waiver_ends_the_period_and_is_told_in_the_document(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        await room.notify()
        await room.hear(waives=False)
        assert "waives_rest" not in said(room.here.last(room.finding), "act")
        await room.hear(statement="没有其他意见", waives=True)
        told = said(room.here.last(room.finding), "act")
        assert (told["waives_rest"], told["meaning"]) == (True, "当事人表示放弃其余的陈述申辩期限。")
        await room.hear(statement="还有一点", waives=False)  # whoever waived the period is still heard
        await room.decide()
        assert room.here.state(room.finding) == "DECIDED"


@pytest.mark.parametrize("nothing", ["", " ", "\u3164"])
async def test_nobody_waives_without_a_word(tmp_path: Path, nothing: str) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        await room.notify()
        before = room.kinds()
        with pytest.raises(InvalidRequest):
            await room.hear(statement=nothing, waives=True)
        assert room.kinds() == before


async def test_who_hears_any_of_it_cannot_decide(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        await room.notify()
        await room.hear("A-1", waives=False)
        await room.hear("A-2")
        with pytest.raises(SameOfficer):
            await room.decide("A-2")


async def test_nothing_lapses_of_a_defence_that_was_heard(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        await room.notify()
        await room.hear(waives=False)
        room.here.clock.pass_(days=60)
        with pytest.raises(TransitionNotAllowed):
            await room.hear(statement="")


async def test_a_dismissal_need_not_wait_and_leaves_no_date(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        await room.notify()
        await room.hear(waives=False)
        await room.decide(decision=replace(BROKEN, broken=False, grade=""))
        assert (room.here.state(room.finding), room.here.row(room.finding).due_at) == ("DISMISSED", None)
        assert room.here.state(room.commitment) == "CONFIRMED"


async def test_a_defence_heard_by_an_older_gateway_which_kept_no_date_may_be_decided(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.propose()
        await room.notify()
        row, person = room.here.row(room.finding), {"person": "A-1", "unit": "11230000000000101E"}
        groups: dict[str, Json] = {"act": {"statement": "无异议"}, "officer": person}
        older = onto(row, "DefenceHeard", groups, facts={"due_at": None})
        await room.here.ledger.append(Submission(drafts=(older,), at=room.here.clock.now))
        await room.decide()
        assert room.here.state(room.finding) == "DECIDED"


async def test_a_decision_cannot_be_final_at_the_moment_it_is_made(tmp_path: Path) -> None:
    async with discrepancy(tmp_path, REMEDY) as room:
        for act in (room.propose, room.notify, room.hear):
            await act()
        with pytest.raises(TransitionNotAllowed):
            await room.overtaken_by("decide").finalise()
        assert "FindingFinalised" not in room.kinds()
        await room.decide()
        with pytest.raises(PeriodRunning) as running:
            await room.finalise()
        assert "申请行政复议的期限尚未届满" in running.value.chinese
        assert room.reports() == 0


async def test_a_finding_that_is_not_decided_cannot_be_final(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        with pytest.raises(TransitionNotAllowed):
            await room.finalise()


async def test_of_two_decisions_at_one_moment_the_first_stands(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        for act in (room.propose, room.notify, room.hear):
            await act()
        with pytest.raises(TransitionNotAllowed):
            await room.overtaken_by("decide", person="A-3").decide("A-2")
        assert room.kinds().count("FindingDecided") == 1


async def test_a_finding_that_is_closed_at_one_moment_is_not_proposed(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        with pytest.raises(TransitionNotAllowed):
            await room.overtaken_by("close").propose()
        assert room.here.state(room.commitment) == "CONFIRMED"


@pytest.mark.parametrize("person", ["clerk-01", "P-1", "D-1", " Ｄ-1"])
async def test_who_handled_the_commitment_takes_no_part_in_its_finding(tmp_path: Path, person: str) -> None:
    """`clerk-01` asked and recorded, `P-1` prepared, `D-1` decided upon it."""
    async with discrepancy(tmp_path) as room:
        for act, by in (
            (room.close, "A-1"), (room.propose, "A-1"), (room.notify, "A-1"), (room.hear, "A-1"),
            (room.decide, "A-2"), (room.finalise, "A-2"),
        ):  # fmt: skip
            before = room.kinds()
            with pytest.raises(CommitmentHandled):
                await act(person)
            assert room.kinds() == before
            if act != room.close:
                await act(by)
        assert room.here.state(room.finding) == "FINAL"


async def test_a_finding_whose_verification_is_erased_can_still_be_cleared(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.here.erase_as_before(room.here.row(room.commitment).parent or b"")
        await room.close()
        assert room.here.state(room.commitment) == "CONFIRMED"


async def test_where_it_cannot_be_told_who_handled_a_commitment_nobody_audits_it(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        await room.here.erase_as_before(room.commitment)
        with pytest.raises(DocumentErased):
            await room.propose()


async def test_no_step_of_a_finding_is_recorded_before_the_one_that_it_follows(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        acts = [room.propose, room.notify, room.hear, room.decide, room.finalise]
        for act in acts:
            before, right = room.kinds(), room.here.clock.now
            room.here.clock.pass_(days=-15)
            with pytest.raises(ClockBehind):
                await act()
            assert room.kinds() == before
            room.here.clock.now = right
            await act()


async def decided(room: Room, *, grade: str = "ORDINARY") -> None:
    for act in (room.propose, room.notify, room.hear):
        await act()
    await room.decide(decision=replace(BROKEN, grade=grade))


@pytest.mark.parametrize("end", ["CLEARED", "MINOR_ERROR", "INCONCLUSIVE", "dismissed", "broken"])
async def test_of_a_commitment_whose_finding_ended_nothing_is_due(tmp_path: Path, end: str) -> None:
    async with discrepancy(tmp_path) as room:
        assert room.here.row(room.commitment).due_at is not None, "the audit was due"
        if end == "dismissed":
            for act in (room.propose, room.notify, room.hear):
                await act()
            await room.decide(decision=replace(BROKEN, broken=False, grade=""))
        elif end == "broken":
            await decided(room)
            assert room.here.row(room.commitment).due_at is not None
            await room.finalise()
        else:
            await room.close(kind=end)
        states = {"INCONCLUSIVE": "INCONCLUSIVE", "broken": "BROKEN"}
        row = room.here.row(room.commitment)
        assert (row.state, row.due_at) == (states.get(end, "CONFIRMED"), None)
        far = room.here.clock.now + timedelta(days=10_000)
        register = room.here.ledger.register()
        assert register.in_state("commitment", (row.state,), due_before=far, after_idx=-1, limit=9) == []


async def test_whoever_is_declared_without_full_capacity_by_then_is_not_reported(tmp_path: Path) -> None:
    async with discrepancy(tmp_path, lists=True) as room:
        await decided(room)
        room.here.list_("incapacity", WHO)
        await room.finalise()
        assert (room.here.state(room.finding), room.here.state(room.commitment)) == ("FINAL", "BROKEN")
        assert room.reports() == 0
        kept = table(said(room.here.last(room.finding), "act")["capacity"])
        assert (kept["incapacity"], kept["credit"]) == ("LISTED", "NOT_ASKED")


async def test_whoever_the_register_does_not_list_is_reported(tmp_path: Path) -> None:
    async with discrepancy(tmp_path, lists=True) as room:
        await decided(room)
        await room.finalise()
        assert (room.here.state(room.finding), room.reports()) == ("FINAL", 1)


async def test_while_the_register_is_silent_nothing_is_final(tmp_path: Path) -> None:
    async with discrepancy(tmp_path, lists=True) as room:
        await decided(room)
        execute(room.here.lists, "ALTER TABLE incapacity RENAME TO away")
        before = room.here.row(room.finding)
        with pytest.raises(CapacityUnknown):
            await room.finalise()
        assert (room.here.row(room.finding), room.reports()) == (before, 0)
        execute(room.here.lists, "ALTER TABLE away RENAME TO incapacity")
        await room.finalise()
        assert (room.here.state(room.finding), room.reports()) == ("FINAL", 1)


@pytest.mark.parametrize(
    ("grade", "until"), [("MINOR", "2027-05-01"), ("ORDINARY", "2028-02-01"), ("SERIOUS", "2030-02-01")]
)
async def test_a_finding_has_effect_for_calendar_months(tmp_path: Path, grade: str, until: str) -> None:
    async with discrepancy(tmp_path) as room:
        for act in (room.propose, room.notify, room.hear):
            await act()
        room.here.clock.now = datetime(2027, 2, 1, 10, tzinfo=CHINA)
        await room.decide(decision=replace(BROKEN, grade=grade))
        await room.finalise()
        assert room.here.row(room.finding).due_at == end_of_day(date.fromisoformat(until))


async def opened(here: Office, commitment: bytes) -> Room:
    (finding,) = here.ledger.register().by_parent(commitment, "finding")
    return Room(here, finding.record, commitment)


@pytest.mark.parametrize("ready", [False, True])
async def test_lifting_waives_no_finding_that_became_final_since(tmp_path: Path, ready: bool) -> None:
    """Two commitments were false: a refusal for the first is lifted, and then the second becomes final, before or
    after the document that follows the lifted refusal is `ready`."""
    async with office(tmp_path) as here:
        commitments = [await here.committed(WHO, case) for case in ("办-1", "办-2")]
        for commitment in commitments:
            await here.decide(commitment)
        here.contradict(WHO)
        here.clock.pass_(days=2)
        await here.flows.commitments.standing()
        here.drop([])
        execute(here.leases, "DELETE FROM lease")
        first, second = [await opened(here, one) for one in commitments]
        await decided(first)
        await first.finalise()
        verification = await here.verify(WHO, "办-3")
        with pytest.raises(CommitmentBarred) as refused:
            await here.prepare(verification)
        assert refused.value.recording is not None
        refusal, contest = refused.value.recording.record, here.flows.commitments.contest
        await contest.contest(here.request("ContestRefusal", record=refusal.hex()), refusal, "已改正")
        await contest.review(here.request("ReviewRefusal", person="R-1"), refusal, lift=True, reason="轻微")
        prepared = await here.prepare(verification, lifted=refusal) if ready else None
        await decided(second)
        await second.finalise()

        step: Awaitable[object] = (
            here.prepare(verification, lifted=refusal) if prepared is None else here.record(prepared, WHO)
        )
        with pytest.raises(CommitmentBarred) as barred:
            await step
        assert barred.value.codes == ("BROKEN_UNREPAIRED",)


async def test_lifting_waives_the_findings_that_were_final_when_it_was_refused(tmp_path: Path) -> None:
    async with discrepancy(tmp_path) as room:
        here, contest = room.here, room.here.flows.commitments.contest
        await decided(room)
        await room.finalise()
        here.drop([])
        execute(here.leases, "DELETE FROM lease")
        verification = await here.verify(WHO, "办-3")
        with pytest.raises(CommitmentBarred) as refused:
            await here.prepare(verification)
        assert refused.value.recording is not None
        refusal = refused.value.recording.record
        await contest.contest(here.request("ContestRefusal", record=refusal.hex()), refusal, "已改正")
        await contest.review(here.request("ReviewRefusal", person="R-1"), refusal, lift=True, reason="轻微")
        await here.record(await here.prepare(verification, lifted=refusal), WHO)
        assert here.state(refusal) == "RECORDED"
