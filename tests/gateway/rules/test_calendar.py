"""The calendar of a year that is not announced yet never ends a period earlier than the announcement will."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest
from holidays.countries.china import ChinaStaticHolidays

from gateway.bootstrap.opening import work_calendar
from gateway.config import CalendarSettings
from gateway.rules import clocks
from gateway.rules.clocks import WorkCalendar, YearTable, add_working_days, laid_over, provisional_table

ANNOUNCED = sorted(ChinaStaticHolidays.special_public_holidays)
LAST = ANNOUNCED[-1]
DECREED = (date(2015, 9, 3), date(2015, 9, 4))
"""Off in one year alone, by a decree of May 2015 for the seventieth anniversary of the victory."""
NOTHING_SET = CalendarSettings(holidays=(), working_days=())


@contextmanager
def before_the_notice(year: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Go back to when the calendars from a year on were not announced."""
    clocks._announced.cache_clear()
    with monkeypatch.context() as earlier:
        for later in range(year, LAST + 1):
            earlier.delitem(ChinaStaticHolidays.special_public_holidays, later)
        yield
    clocks._announced.cache_clear()


def announced(year: int) -> YearTable:
    return laid_over(clocks._announced(year), days_off=(), worked=[day for day in DECREED if day.year == year])


def days_of(year: int) -> list[date]:
    return [date(year, 1, 1) + timedelta(days=number) for number in range(365)]


@pytest.mark.parametrize("year", ANNOUNCED)
def test_no_period_ends_earlier_before_the_announcement_than_after_it(
    year: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = WorkCalendar(overrides={one: announced(one) for one in (year - 1, year, year + 1) if one in ANNOUNCED})
    with before_the_notice(year, monkeypatch):
        before = work_calendar(NOTHING_SET, today=date(year, 1, 1))
    first = year - 1 if year - 1 in ANNOUNCED else year

    earlier = []
    for start in (*days_of(first)[-60:], *days_of(year)[:-80]):  # what reaches the next year is that year's own case
        by_stand_in = by_notice = start
        for length in range(1, 21):
            by_stand_in = add_working_days(by_stand_in, 1, before)
            by_notice = add_working_days(by_notice, 1, after)
            if by_stand_in < by_notice:
                earlier.append((start, length, by_stand_in, by_notice))

    assert earlier == []


@pytest.mark.parametrize("year", ANNOUNCED)
def test_every_margin_keeps_a_day_in_reserve(year: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "_NEAR", clocks._NEAR - 1)
    monkeypatch.setattr(clocks, "_LONG", clocks._LONG - 1)
    with before_the_notice(year, monkeypatch):
        before = provisional_table(year)

    assert before is not None
    assert {day for day in announced(year).days_off if day.weekday() < 5} <= before.days_off


def test_the_last_days_of_a_year_may_still_be_given_off_by_the_next_years_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """31 December 2018 was a Monday, and off by the notice of 2019."""
    with before_the_notice(2019, monkeypatch):
        before = work_calendar(NOTHING_SET, today=date(2018, 12, 1))

    assert not before.is_working_day(date(2018, 12, 31))
    assert before.is_working_day(date(2018, 12, 28))


def test_a_year_so_late_that_no_holiday_is_computed_still_has_a_stand_in() -> None:
    table = provisional_table(2199)

    assert table is not None
    assert {date(2199, 1, 1), date(2199, 5, 1), date(2199, 10, 8)} <= table.days_off
