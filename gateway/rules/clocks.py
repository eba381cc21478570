"""Working days by the calendar that the State Council announces for each year.

A year that is not announced yet has no calendar: guessing it would move a legal deadline. Such a year raises
`CalendarUnknown` unless a table for it is configured.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache

from gateway.errors import CalendarUnknown

CHINA = timezone(timedelta(hours=8))
"""The one zone in which days of the law are counted: all of China keeps Beijing time (UTC+8) and no summer time. It is
no setting: the law is the same wherever a machine stands and however its clock is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YearTable:
    """One year's calendar: weekdays that are off, and weekend days that are worked (调休)."""

    days_off: frozenset[date]
    worked_weekend_days: frozenset[date]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCalendar:
    """Says which days are worked; `overrides` stand in for, and go before, the announced tables."""

    overrides: Mapping[int, YearTable] = field(default_factory=dict)

    def is_working_day(self, day: date) -> bool:
        """Say whether the day is worked.

        Raises:
            CalendarUnknown: the year is not announced and not configured.
        """
        table = self.overrides.get(day.year) or _announced(day.year)
        if day in table.worked_weekend_days:
            return True
        return day.weekday() < 5 and day not in table.days_off


@lru_cache(maxsize=32)
def _announced(year: int) -> YearTable:
    """Read the year from `holidays`, which holds the State Council's notices; lazily, because it is heavy."""
    from holidays import country_holidays
    from holidays.countries.china import ChinaStaticHolidays

    # A year without its substituted days is only computed, not announced.
    if year not in ChinaStaticHolidays.special_public_holidays:
        raise CalendarUnknown(year)
    china = country_holidays("CN", years=year)
    return YearTable(
        days_off=frozenset(day for day in china if day.year == year),
        worked_weekend_days=frozenset(day for day in china.weekend_workdays if day.year == year),
    )


def provisional_table(year: int) -> YearTable | None:
    """Return a stand-in for a year that is not announced yet, or None where the announced calendar is known.

    Statutory holidays are off and no weekend is worked: a period counted so is never shorter than by the calendar
    that will be announced, so none that protects a person ends too early.
    """
    try:
        _announced(year)
    except CalendarUnknown:
        from holidays import country_holidays

        china = country_holidays("CN", years=year)
        return YearTable(days_off=frozenset(day for day in china if day.year == year), worked_weekend_days=frozenset())
    return None


def add_working_days(start: date, days: int, calendar: WorkCalendar) -> date:
    """Return the last day of a period of `days` working days that begins the day after `start`.

    Source: the first day is not counted (Civil Code, article 201). Zero days end on `start` itself.

    Raises:
        CalendarUnknown: the period reaches a year without a calendar.
        ValueError: `days` is negative.
    """
    if days < 0:
        raise ValueError("a period has no negative length")
    day = start
    while days:
        day += timedelta(days=1)
        days -= calendar.is_working_day(day)
    return day


def add_months(start: date, months: int) -> date:
    """Return the last day of a period of `months` months that begins the day after `start`.

    Source: it ends on the day of the same number in its last month, or on that month's last day where it has none of
    that number (Civil Code, article 202).

    Raises:
        ValueError: `months` is negative.
    """
    if months < 0:
        raise ValueError("a period has no negative length")
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    return date(year, month, min(start.day, monthrange(year, month)[1]))


def end_of_day(day: date) -> datetime:
    """Give the end of a day in China: a period that ends on a day ends with it (Civil Code, article 203)."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=CHINA)


def legal_day(at: datetime) -> date:
    """Give the day that a moment falls on in China, by which the law counts."""
    return at.astimezone(CHINA).date()


def working_days_between(start: date, end: date, calendar: WorkCalendar) -> int:
    """Count the working days after `start` up to and including `end`; 0 when `end` is not later.

    Raises:
        CalendarUnknown: a year in between has no calendar.
    """
    span = (start + timedelta(days=n) for n in range(1, (end - start).days + 1))
    return sum(calendar.is_working_day(day) for day in span)


def working_time(start: datetime, end: datetime, calendar: WorkCalendar) -> timedelta:
    """Give how much of the time between two moments falls on working days; none when `end` is not later.

    Raises:
        CalendarUnknown: a year in between has no calendar.
    """
    first, last = legal_day(start), legal_day(end)
    spent = timedelta(0)
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if calendar.is_working_day(day):
            begins = datetime.combine(day, time(), tzinfo=CHINA)
            spent += max(timedelta(0), min(end, begins + timedelta(days=1)) - max(start, begins))
    return spent


def year_table(days_off: Iterable[date], worked_weekend_days: Iterable[date]) -> YearTable:
    """Make a table from configuration."""
    return YearTable(days_off=frozenset(days_off), worked_weekend_days=frozenset(worked_weekend_days))
