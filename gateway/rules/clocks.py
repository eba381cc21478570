"""Working days by the calendar that the State Council announces for each year.

A year that is not announced yet has no calendar: guessing it would move a legal deadline. Such a year raises
`CalendarUnknown` unless a table stands in for it: one that is configured, or one by which no period ends too early.
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


_NEAR = 3
"""How many days before and after any statutory holiday a weekday may be given off in exchange for a worked weekend: by
every notice since 2001 at most two."""
_LONG = 8
"""The same after the first day of Spring Festival, 1 May and 1 October, whose holidays are long: at most seven."""
_SPRING_FESTIVAL = "春节"


def provisional_table(year: int) -> YearTable | None:
    """Return a stand-in for a year that is not announced yet, or None where the announced calendar is known.

    Statutory holidays are off, and so is every weekday so near to one that the announcement may give it off in exchange
    for a weekend; no weekend is worked. A period counted so is never shorter than by the calendar that will be
    announced, so none that protects a person ends too early. What nobody can foresee is left out: a day off that is
    decreed for one year alone (3 September 2015).
    """
    if is_announced(year):
        return None
    statutory = _statutory(year)
    first = min((day for day, name in statutory.items() if _SPRING_FESTIVAL in name), default=None)
    long = [date(year, 5, 1), date(year, 10, 1), *([first] if first else [])]
    off = set(statutory).union(
        *(_around(day, _NEAR, _NEAR) for day in [*statutory, date(year, 1, 1), date(year + 1, 1, 1)])
    )
    off = off.union(*(_around(day, 0, _LONG) for day in long))
    return YearTable(days_off=frozenset(day for day in off if day.year == year), worked_weekend_days=frozenset())


def foreseen_table(year: int, *, next_known: bool) -> YearTable:
    """Return the announced calendar of a year, or a stand-in; where the next year's is not known, the last weekdays of
    an announced year are off too, for the next notice may still give them off."""
    provisional = provisional_table(year)
    if provisional is not None:
        return provisional
    announced = _announced(year)
    if next_known:
        return announced
    exchanged = (day for day in _around(date(year + 1, 1, 1), _NEAR, 0) if day.year == year)
    return laid_over(announced, days_off=exchanged, worked=())


def laid_over(table: YearTable, *, days_off: Iterable[date], worked: Iterable[date]) -> YearTable:
    """Return a table with single days changed; all others stay as they are."""
    off, on = frozenset(days_off), frozenset(worked)
    return YearTable(days_off=(table.days_off - on) | off, worked_weekend_days=(table.worked_weekend_days - off) | on)


def is_announced(year: int) -> bool:
    """Say whether the State Council's calendar of a year is known here."""
    try:
        _announced(year)
    except CalendarUnknown:
        return False
    return True


def is_whole(year: int, days_off: Iterable[date]) -> bool:
    """Say whether days off can be a year's whole calendar: every statutory holiday on a weekday is among them."""
    statutory = {day for day in _statutory(year) if day.weekday() < 5}
    return bool(statutory) and statutory <= set(days_off)


def _statutory(year: int) -> Mapping[date, str]:
    """Compute the statutory holidays of a year that is not announced, by their Chinese names."""
    from holidays import country_holidays

    china = country_holidays("CN", years=year, language="zh_CN")
    return {day: name for day, name in china.items() if day.year == year}


def _around(day: date, before: int, after: int) -> set[date]:
    return {day + timedelta(days=number) for number in range(-before, after + 1)}


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


def working_day_from(day: date, calendar: WorkCalendar) -> date:
    """Return the day itself, or the first working day after it: a period does not end on a day off.

    Source: Civil Code, article 203; Civil Procedure Law, article 85.

    Raises:
        CalendarUnknown: the year is not announced and not configured.
    """
    while not calendar.is_working_day(day):
        day += timedelta(days=1)
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


def is_over(ends: datetime, at: datetime) -> bool:
    """Say whether a period that ends at a time is over: one that ends with a day has the whole of its last second."""
    if ends == end_of_day(legal_day(ends)):
        return legal_day(at) > legal_day(ends)
    return ends < at


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
