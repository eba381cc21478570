"""Who may end the effect of a finding, and what that ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from gateway.bootstrap.ledger import open_ledger, open_master_keys
from gateway.config import load_settings
from gateway.errors import ConfigurationError, PeriodRunning, RecordNotFound, TransitionNotAllowed
from gateway.flows.once import Request
from gateway.founding import SYSTEMS
from gateway.rules.clocks import CHINA, end_of_day
from gateway.rules.retention import Bundle, RetentionRules, judge, years_after
from gateway.rules.roles import Role
from ledger.commands import rebuild
from tests.gateway.commitments.office import PEOPLE, Office, office

from .reporting import disputed, pulled, rejected, repaired, reported

WHO = PEOPLE[12]


def foreign(here: Office, finding: bytes) -> Request:
    """Ask as a reviewer of another unit."""
    asked = here.request("RecordRepair", system="civil-clerk", record=finding.hex())
    return Request(
        caller=replace(asked.caller, roles=frozenset({Role.REVIEWER})),
        operator=asked.operator,
        request_id=asked.request_id,
        body=asked.body,
    )


async def test_a_reviewer_repairs_no_finding_of_another_unit_and_learns_of_none(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        opened, final, repaired_before = await disputed(here, WHO, "办-1", "办-2", "办-3")
        await reported(here, final, grade="MINOR")
        await reported(here, repaired_before, grade="MINOR")
        await repaired(here, repaired_before)
        size = here.ledger.size()

        told = set()
        for finding in (opened, final, repaired_before, bytes(16)):
            with pytest.raises(RecordNotFound) as caught:
                await here.flows.report.repair(foreign(here, finding), finding, "示修字1号")
            told.add((str(caught.value), caught.value.chinese))

        assert len(told) == 1
        assert here.ledger.size() == size
        assert here.state(final) == "FINAL"


async def test_a_reviewer_repairs_what_the_own_unit_found_and_the_credit_system_what_any_unit_found(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as here:
        first, second = await disputed(here, WHO, "办-1", "办-2")
        await reported(here, first, grade="MINOR")
        await reported(here, second, grade="MINOR")
        assert SYSTEMS["credit"][0] != SYSTEMS["reviewer"][0] == here.row(first).unit

        await repaired(here, first, system="reviewer")
        await repaired(here, second, system="credit")

        assert (here.state(first), here.state(second)) == ("REPAIRED", "REPAIRED")
        with pytest.raises(TransitionNotAllowed):
            await repaired(here, first, system="reviewer")


@pytest.mark.parametrize(
    ("grade", "until"), [("ORDINARY", date(2027, 5, 1)), ("SERIOUS", date(2028, 2, 1))], ids=["ORDINARY", "SERIOUS"]
)
async def test_no_finding_is_repaired_before_the_shortest_time_of_its_grade_is_over(
    tmp_path: Path, grade: str, until: date
) -> None:
    async with office(tmp_path) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        here.clock.now = datetime(2027, 2, 1, 7, 30, tzinfo=CHINA)
        report = await reported(here, finding, grade=grade)
        for moment in (here.clock.now, end_of_day(until), end_of_day(until) + timedelta(milliseconds=999)):
            here.clock.now = moment
            size = here.ledger.size()
            for system in ("credit", "reviewer"):
                with pytest.raises(PeriodRunning, match=f"repair period runs until the end of {until}") as caught:
                    await repaired(here, finding, system=system)
            assert caught.value.chinese == f"失信认定的最短期限尚未届满,至 {until} 止,期满后方可信用修复。"
            assert here.ledger.size() == size

        here.clock.now = end_of_day(until) + timedelta(seconds=1)
        await repaired(here, finding)
        assert (here.state(finding), here.state(report)) == ("REPAIRED", "REPAIRED")


async def test_the_shortest_time_before_a_repair_is_as_configured(tmp_path: Path) -> None:
    tune = {"ordinary_repair_months = 3 ": "ordinary_repair_months = 6 "}
    async with office(tmp_path, tune=tune) as here:
        (finding,) = await disputed(here, WHO, "办-1")
        here.clock.now = datetime(2027, 2, 1, 7, 30, tzinfo=CHINA)
        await reported(here, finding)
        here.clock.now = datetime(2027, 8, 1, 23, 0, tzinfo=CHINA)
        with pytest.raises(PeriodRunning):
            await repaired(here, finding)
        here.clock.now = datetime(2027, 8, 2, 0, 0, tzinfo=CHINA)
        await repaired(here, finding)


@pytest.mark.parametrize(("grade", "months"), [("ordinary", 3), ("serious", 12)])
@pytest.mark.parametrize("wrong", ["-1", "37", '"3"'])
async def test_a_shortest_time_is_a_number_of_months_within_the_longest(
    tmp_path: Path, grade: str, months: int, wrong: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{grade}_repair_months"):
        async with office(tmp_path, tune={f"{grade}_repair_months = {months} ": f"{grade}_repair_months = {wrong} "}):
            pass


async def test_repair_ends_a_report_that_was_refused_and_tells_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        first, second = await disputed(here, WHO, "办-1", "办-2")
        report, entered = await reported(here, first, grade="MINOR"), await reported(here, second)
        await rejected(here, report)

        await repaired(here, first)

        assert (here.state(first), here.state(report)) == ("REPAIRED", "CLOSED")
        assert [one.record for one in await pulled(here)] == [entered]
        bundle = Bundle(root=here.row(here.row(first).parent or b""), related=[here.row(first), here.row(report)])
        later = years_after(here.clock.now, 5)
        assert judge(bundle, RetentionRules(), held=False, now=later) is None, "nothing about it is open any more"


async def test_the_projections_fold_the_ends_of_reports_the_same_when_they_are_rebuilt(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        refused, told, over = await disputed(here, WHO, "办-1", "办-2", "办-3")
        await rejected(here, await reported(here, refused, grade="MINOR"))
        await repaired(here, refused)
        await reported(here, told, grade="MINOR")
        await repaired(here, told)
        await rejected(here, await reported(here, over, grade="MINOR"))
        here.clock.pass_(days=100)
        await here.flows.expire()
        register = here.ledger.register()
        reports = [row.record for finding in (refused, told, over) for row in register.by_parent(finding, "report")]
        rows = register.many([refused, told, over, *reports])
        settings = load_settings(here.house.config).ledger
    url = f"sqlite:///{here.house.home / 'ledger.sqlite3'}"

    rebuild(url, origin=settings.origin, master_keys=open_master_keys(settings))

    with open_ledger(settings, now=here.clock) as ledger:
        assert ledger.register().many(list(rows)) == rows
