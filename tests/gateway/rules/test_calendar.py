"""The calendar of a year that is not announced yet never ends a period earlier than the announcement will."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest
from holidays.countries.china import ChinaStaticHolidays

from gateway.bootstrap.opening import calendar_notice, work_calendar
from gateway.config import CalendarSettings
from gateway.rules import clocks
from gateway.rules.clocks import (
    WorkCalendar,
    YearTable,
    add_working_days,
    laid_over,
    provisional_table,
    working_day_from,
)

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


def configured(holidays: list[date], worked: list[date]) -> CalendarSettings:
    return CalendarSettings(holidays=tuple(holidays), working_days=tuple(worked))


def test_one_configured_day_leaves_all_other_days_of_an_announced_year_as_announced() -> None:
    settings = configured([date(2026, 12, 24)], [])
    calendar, plain = work_calendar(settings, today=date(2026, 11, 30)), WorkCalendar()

    changed = [day for day in days_of(2026)[:-5] if calendar.is_working_day(day) != plain.is_working_day(day)]
    assert changed == [date(2026, 12, 24)]


@pytest.mark.parametrize(
    ("holidays", "worked", "day", "is_worked"),
    [
        ([date(2026, 9, 20)], [], date(2026, 9, 20), False),  # a Sunday announced as worked
        ([], [date(2026, 10, 7)], date(2026, 10, 7), True),  # a Wednesday announced as off
        ([], [date(2026, 11, 28)], date(2026, 11, 28), True),  # a Saturday
        ([date(2026, 11, 27)], [], date(2026, 11, 27), False),  # a Friday
    ],
)
def test_a_configured_day_goes_before_the_announced_one(
    holidays: list[date], worked: list[date], day: date, is_worked: bool
) -> None:
    calendar = work_calendar(configured(holidays, worked), today=date(2026, 6, 1))

    assert calendar.is_working_day(day) is is_worked


@pytest.mark.parametrize("last", [(2026, 9, 20), (2026, 10, 10)])
def test_a_year_configured_in_part_is_told_of_and_keeps_its_stand_in(
    last: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing, or all but one of the statutory holidays, is configured beside the worked weekends."""
    whole = clocks._announced(2026)
    off = [day for day in sorted(whole.days_off) if day.weekday() < 5 and day != date(2026, 6, 19)]
    settings = configured(off if last == (2026, 10, 10) else [], [date(*last)])
    with before_the_notice(2026, monkeypatch):
        calendar, notice = (
            work_calendar(settings, today=date(2026, 1, 5)),
            calendar_notice(settings, today=date(2026, 1, 5)),
        )

    assert "of 2026 are not known" in notice
    assert calendar.is_working_day(date(*last))
    assert not calendar.is_working_day(date(2026, 6, 19)), "the Dragon Boat Festival is no working day"
    assert not calendar.is_working_day(date(2026, 10, 8)), "a day that the announcement may give off"


@pytest.mark.parametrize("year", ANNOUNCED)
def test_a_year_configured_as_it_will_be_announced_is_as_configured_and_not_told_of(
    year: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = clocks._announced(year)
    settings = configured(sorted(table.days_off), sorted(table.worked_weekend_days))
    with before_the_notice(year, monkeypatch):
        calendar, notice = (
            work_calendar(settings, today=date(year, 2, 1)),
            calendar_notice(settings, today=date(year, 2, 1)),
        )

    plain = WorkCalendar(overrides={year: table})
    assert notice == ""
    assert [day for day in days_of(year)[:-5] if calendar.is_working_day(day) != plain.is_working_day(day)] == []


@pytest.mark.parametrize(
    ("decided_on", "last"),
    [
        (date(2025, 12, 18), date(2026, 2, 24)),  # the sixtieth day is in the holidays of Spring Festival
        (date(2026, 7, 3), date(2026, 9, 1)),  # a Tuesday
        (date(2026, 7, 8), date(2026, 9, 7)),  # a Sunday
        (date(2026, 7, 22), date(2026, 9, 20)),  # a Sunday that is worked
        (date(2026, 8, 2), date(2026, 10, 8)),  # the National Day
    ],
)
def test_a_period_of_sixty_days_never_ends_on_a_day_off(decided_on: date, last: date) -> None:
    assert working_day_from(decided_on + timedelta(days=60), WorkCalendar()) == last
