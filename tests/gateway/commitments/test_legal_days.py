"""The law counts days in China, whatever the clock of the machine: ages, years, periods and dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bootstrap.opening import work_calendar
from gateway.config import CalendarSettings
from gateway.demo.people import Person
from gateway.errors import (
    ClockBehind,
    CommitmentBarred,
    InvalidRequest,
    PeriodRunning,
    ProxyRefused,
    TransitionNotAllowed,
)
from gateway.flows.audit.find import Decision
from gateway.flows.once import Request
from gateway.flows.reading.write_letter import Form
from gateway.rules.clocks import (
    CHINA,
    add_months,
    add_working_days,
    end_of_day,
    is_over,
    legal_day,
    working_day_from,
)
from gateway.rules.identifiers import resident_id_check_character
from gateway.rules.kept import text
from gateway.rules.roles import Caller, Role
from gateway.rules.withdrawal import Milestone

from .office import ITEM, MATTER, PEOPLE, START, Office, agent, deadline, of_item, of_matter, office, said

WHO = PEOPLE[12]
BY_PROXY = of_item(ITEM, ("proxy: false", "proxy: true"))
BARRED_THIS_YEAR = of_item(ITEM, ("after_effect: NONE", "after_effect: BARRED_THIS_YEAR"))
IN_TIME = of_matter(MATTER, ("    items:\n", "    decision_working_days: 20\n    items:\n"))


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """Give a time in China as a machine's clock tells it."""
    return datetime.combine(day, time(hour, minute), tzinfo=CHINA).astimezone(UTC)


def born_on(day: date) -> Person:
    number = f"230199{day:%Y%m%d}007"
    return replace(PEOPLE[0], id_number=number + resident_id_check_character(number), born=day, name="示例乙")


def grown_up(day: date) -> Person:
    """Give who is eighteen from a day on."""
    return born_on(day.replace(year=day.year - 18))


TOMORROW = legal_day(START) + timedelta(days=1)
HOURS = ((0, 0), (7, 30), (9, 30), (23, 59))
"""Times of one day in China; in UTC the first two are on the day before."""
CALENDAR = work_calendar(CalendarSettings(holidays=(), working_days=()), today=TOMORROW)


async def test_who_is_eighteen_since_today_commits_from_the_first_minute_of_the_day(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        who = grown_up(TOMORROW)
        here.clock.now = at(TOMORROW, 0) - timedelta(minutes=1)
        verification = await here.verify(who, "办-1")
        with pytest.raises(CommitmentBarred) as caught:
            await here.prepare(verification)
        assert caught.value.codes == ("CAPACITY",)

        here.clock.pass_(minutes=1)

        assert (await here.prepare(verification)).document


async def test_who_is_eighteen_since_today_acts_for_others_from_the_first_minute_of_the_day(tmp_path: Path) -> None:
    async with office(tmp_path, BY_PROXY) as here:
        acts = agent(grown_up(TOMORROW))
        here.clock.now = at(TOMORROW, 0) - timedelta(minutes=1)
        verification = await here.verify(WHO, "办-1")
        with pytest.raises(ProxyRefused, match="AGENT_CAPACITY"):
            await here.prepare(verification, proxy=acts)

        here.clock.pass_(minutes=1)

        assert (await here.prepare(verification, proxy=acts)).document


async def test_who_was_born_today_is_somebody_and_who_is_born_tomorrow_is_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        here.clock.now = at(TOMORROW, 0) - timedelta(minutes=1)
        with pytest.raises(InvalidRequest):
            await here.verify(born_on(TOMORROW), "办-1")

        here.clock.pass_(minutes=1)

        assert await here.verify(born_on(TOMORROW), "办-2")


@pytest.mark.parametrize(("hours", "barred"), [(-1, False), (1, True)])
async def test_a_withdrawal_bars_for_the_year_of_its_day_in_china(tmp_path: Path, hours: int, barred: bool) -> None:
    async with office(tmp_path, BARRED_THIS_YEAR) as here:
        record = await here.committed(WHO, "办-1")
        new_year = date(legal_day(START).year + 1, 1, 1)
        here.clock.now = at(new_year, 0) + timedelta(hours=hours)
        await here.withdraw(record)
        here.clock.now = at(new_year + timedelta(days=150), 11)
        verification = await here.verify(WHO, "办-2")

        if barred:
            with pytest.raises(CommitmentBarred):
                await here.prepare(verification)
        else:
            assert (await here.prepare(verification)).document


async def test_an_audit_is_due_by_the_day_of_the_decision(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        records = [await here.committed(WHO, f"办-{n}") for n in range(len(HOURS))]
        for record, (hour, minute) in zip(records, HOURS, strict=True):
            here.clock.now = at(TOMORROW, hour, minute)
            await here.decide(record)

        assert {here.row(record).due_at for record in records} == {last_of(60)}


async def test_a_decision_is_due_by_the_day_of_the_signature(tmp_path: Path) -> None:
    async with office(tmp_path, IN_TIME) as here:
        dues = set()
        for n, (hour, minute) in enumerate(HOURS):
            here.clock.now = at(TOMORROW, hour, minute)
            dues.add(here.row(await here.committed(WHO, f"办-{n}")).due_at)

        assert dues == {last_of(20)}


@pytest.mark.parametrize(("within", "days"), [("90d", 90), ("1d", 1), ("48h", 2)])
async def test_whole_days_for_a_decision_last_to_the_end_of_the_last(tmp_path: Path, within: str, days: int) -> None:
    async with office(tmp_path, tune={'decision_within = "90d"': f'decision_within = "{within}"'}) as here:
        dues = set()
        for n, (hour, minute) in enumerate(HOURS):
            here.clock.now = at(TOMORROW, hour, minute)
            dues.add(here.row(await here.committed(WHO, f"办-{n}")).due_at)

        assert dues == {end_of_day(TOMORROW + timedelta(days=days))}


async def test_hours_for_a_decision_end_by_the_minute(tmp_path: Path) -> None:
    async with office(tmp_path, tune={'decision_within = "90d"': 'decision_within = "36h"'}) as here:
        here.clock.now = at(TOMORROW, 9, 30)
        record = await here.committed(WHO, "办-1")

        assert here.row(record).due_at == at(TOMORROW, 9, 30) + timedelta(hours=36)


def last_of(days: int) -> datetime:
    """Give the end of a period of working days that a moment of TOMORROW begins."""
    return datetime.combine(add_working_days(TOMORROW, days, CALENDAR), time(15, 59, 59), tzinfo=UTC)


async def found(here: Office) -> bytes:
    """Take a commitment, signed at 07:30 of TOMORROW, to a finding that proposes it was false."""
    here.clock.now = at(TOMORROW, 7, 30)
    record = await here.committed(WHO, "办-1")
    await here.decide(record)
    here.contradict(WHO)
    here.clock.pass_(days=2)
    await here.flows.commitments.standing()
    (finding,) = here.ledger.register().by_parent(record, "finding")
    await here.flows.find.propose(acting(here, "ProposeFalse", finding.record), finding.record, "地址不符")
    return finding.record


def acting(here: Office, method: str, finding: bytes, person: str = "A-1") -> Request:
    return here.request(method, system="auditor", person=person, record=finding.hex())


async def decided(here: Office, finding: bytes) -> None:
    await here.flows.find.notify(acting(here, "NotifyFinding", finding), finding, "直接送达")
    await here.flows.find.hear(acting(here, "HearDefence", finding), finding, "无异议", waives_rest=True)
    decision = Decision(broken=True, document_number="示认字1号", grade="ORDINARY", reasons="事实清楚")
    await here.flows.find.decide(acting(here, "DecideFinding", finding, "A-2"), finding, decision)


async def test_the_defence_runs_to_the_end_of_a_day_in_china_and_says_so(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        finding = await found(here)
        day = legal_day(here.clock.now)
        assert day != here.clock.now.date(), "early in the morning in China"
        await here.flows.find.notify(acting(here, "NotifyFinding", finding), finding, "直接送达")

        last = add_working_days(day, 5, CALENDAR)
        here.clock.now = at(last, 23, 59)
        for nothing in ("", " ", "\u3164\u200e"):
            with pytest.raises(PeriodRunning, match=f"until the end of {last}") as caught:
                await here.flows.find.hear(acting(here, "HearDefence", finding), finding, nothing)
            assert f"陈述申辩期限尚未届满,至 {last} 止" in caught.value.chinese
        here.clock.pass_(minutes=1)
        await here.flows.find.hear(acting(here, "HearDefence", finding), finding, "")
        assert here.state(finding) == "DEFENCE_HEARD"


async def test_the_remedy_and_the_effect_run_to_the_end_of_a_day_in_china(tmp_path: Path) -> None:
    async with office(tmp_path, tune={"remedy_days = 0 ": "remedy_days = 60 "}) as here:
        finding = await found(here)
        day = legal_day(here.clock.now)
        await decided(here, finding)
        last = working_day_from(day + timedelta(days=60), CALENDAR)
        assert here.row(finding).due_at == end_of_day(last)

        here.clock.now = at(last + timedelta(days=1), 0)
        await here.flows.find.finalise(acting(here, "FinaliseFinding", finding, "A-2"), finding, deadline())

        assert here.row(finding).due_at == end_of_day(add_months(day, 12))


async def test_a_finding_is_not_final_on_the_day_off_that_is_the_sixtieth(tmp_path: Path) -> None:
    async with office(tmp_path, tune={"remedy_days = 0 ": "remedy_days = 60 "}) as here:
        finding = await found(here)
        here.clock.now = at(date(2026, 12, 8), 10)
        await decided(here, finding)
        for day in (date(2027, 2, 7), date(2027, 2, 10)):  # 6 February 2027 is the first day of Spring Festival
            here.clock.now = at(day, 0)
            with pytest.raises(PeriodRunning):
                await here.flows.find.finalise(acting(here, "FinaliseFinding", finding, "A-2"), finding, deadline())
        assert here.state(finding) == "DECIDED"


async def test_the_credit_platform_is_told_the_days_that_the_letter_says(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        finding = await found(here)
        await decided(here, finding)
        await here.flows.find.finalise(acting(here, "FinaliseFinding", finding, "A-2"), finding, deadline())

        (report,) = here.ledger.register().by_parent(finding, "report")
        told = said(here.document(report.first_idx), "report")
        assert told["commitment_date"] == TOMORROW.isoformat()
        assert told["determined_on"] == (TOMORROW + timedelta(days=2)).isoformat()
        assert f"{TOMORROW:%Y%m%d}" in text(told["code"])
        auditor = Caller(id="x", unit="11230000000000101E", roles=frozenset({Role.AUDITOR}))
        letter = await here.flows.write_letter(here.row(finding).parent or b"", auditor, Form.TEXT)
        assert f"{TOMORROW.year}年{TOMORROW.month}月{TOMORROW.day}日" in letter.content.decode()


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_every_moment_lies_within_its_day_in_china(moment: datetime) -> None:
    day = legal_day(moment)

    assert end_of_day(day - timedelta(days=1)) < moment < end_of_day(day) + timedelta(seconds=1)
    assert (end_of_day(day).utcoffset(), legal_day(end_of_day(day))) == (timedelta(hours=8), day)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_period_that_ends_with_a_day_has_the_whole_day(moment: datetime) -> None:
    day = legal_day(moment)

    assert not is_over(end_of_day(day), moment)
    assert not is_over(end_of_day(day).astimezone(UTC), end_of_day(day) + timedelta(microseconds=999_999))
    assert is_over(end_of_day(day), end_of_day(day) + timedelta(seconds=1))
    assert is_over(end_of_day(day - timedelta(days=1)), moment)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(microseconds=1), timedelta(microseconds=999_999)])
async def test_the_last_second_of_a_period_is_the_persons(tmp_path: Path, late: timedelta) -> None:
    async with office(tmp_path, tune={"remedy_days = 0 ": "remedy_days = 60 "}) as here:
        finding = await found(here)
        find = here.flows.find
        await find.notify(acting(here, "NotifyFinding", finding), finding, "直接送达")
        here.clock.now = (here.row(finding).due_at or START) + late
        with pytest.raises(PeriodRunning):
            await find.hear(acting(here, "HearDefence", finding), finding, "")
        await find.hear(acting(here, "HearDefence", finding), finding, "无异议")
        decision = Decision(broken=True, document_number="示认字1号", grade="ORDINARY", reasons="事实清楚")
        with pytest.raises(PeriodRunning):
            await find.decide(acting(here, "DecideFinding", finding, "A-2"), finding, decision)
        here.clock.pass_(seconds=1)
        await find.decide(acting(here, "DecideFinding", finding, "A-2"), finding, decision)
        here.clock.now = (here.row(finding).due_at or START) + late
        with pytest.raises(PeriodRunning):
            await find.finalise(acting(here, "FinaliseFinding", finding, "A-2"), finding, deadline())


@pytest.mark.parametrize("late", [timedelta(0), timedelta(microseconds=999_999)])
async def test_in_the_last_second_of_its_time_a_commitment_is_decided_and_does_not_lapse(
    tmp_path: Path, late: timedelta
) -> None:
    async with office(tmp_path) as here:
        decided, left = await here.committed(WHO, "办-1"), await here.committed(WHO, "办-2")
        here.clock.now = (here.row(left).due_at or START) + late
        assert (await here.flows.commitments.sweep()).lapsed == 0
        await here.decide(decided)
        here.clock.pass_(seconds=1)
        with pytest.raises(TransitionNotAllowed):
            await here.decide(left)
        assert (await here.flows.commitments.sweep()).lapsed == 1


async def test_nothing_is_recorded_while_the_clock_is_before_what_went_before(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        here.clock.pass_(days=2)
        prepared = await here.prepare(await here.verify(WHO, "办-1"))
        noticed = here.clock.now
        here.clock.now = noticed - timedelta(microseconds=1)
        size = here.ledger.size()
        with pytest.raises(ClockBehind):
            await here.record(prepared, WHO)
        here.clock.now = noticed
        assert here.ledger.size() == size, "a refusal would have the wrong time too"
        await here.record(prepared, WHO)

        size = here.ledger.size()
        here.clock.pass_(days=-1)
        for act in (here.withdraw, here.decide):
            with pytest.raises(ClockBehind):
                await act(prepared.record)
        assert here.ledger.size() == size
        here.clock.now = noticed
        await here.decide(prepared.record)


async def test_nothing_is_handed_out_while_the_clock_is_before_the_answer(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        here.clock.pass_(days=2)
        answered = await here.verify(WHO, "办-1")
        then, size = here.clock.now, here.ledger.size()
        here.clock.pass_(days=-1)
        with pytest.raises(ClockBehind):
            await here.prepare(answered)
        assert here.ledger.size() == size
        here.clock.now = then
        await here.prepare(answered)


async def test_no_milestone_is_passed_while_the_clock_is_before_what_went_before(tmp_path: Path) -> None:
    async with office(tmp_path, of_item(ITEM, ("until: DECISION", "until: FEE_PAYMENT"))) as here:
        record = await here.committed(WHO, "办-1")
        here.clock.pass_(days=-1)
        request = here.request("RecordMilestone", record=record.hex())

        with pytest.raises(ClockBehind):
            await here.flows.commitments.withdraw.pass_milestone(request, record, Milestone.FEE_PAID)
        assert here.state(record) == "RECORDED"
