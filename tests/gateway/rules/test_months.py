"""Periods of months: to the day of the same number, or to the last day of a month that has none (Civil Code, 202)."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.clocks import add_months

DAYS = st.dates(min_value=date(1900, 1, 1), max_value=date(2900, 1, 1))


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2027-01-31", 1, "2027-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2028-02-29", 48, "2032-02-29"),
        ("2027-02-01", 3, "2027-05-01"),
        ("2027-11-30", 3, "2028-02-29"),
        ("2027-12-31", 36, "2030-12-31"),
        ("2027-08-31", 1, "2027-09-30"),
        ("2027-08-31", 0, "2027-08-31"),
    ],
)
def test_a_period_of_months_ends_on_the_day_of_the_same_number_or_the_last_one(
    start: str, months: int, end: str
) -> None:
    assert add_months(date.fromisoformat(start), months) == date.fromisoformat(end)


def test_no_period_has_a_negative_length() -> None:
    with pytest.raises(ValueError, match="negative"):
        add_months(date(2027, 1, 1), -1)


@given(DAYS, st.integers(0, 600))
def test_a_period_of_months_ends_in_its_last_month_and_on_no_later_day(start: date, months: int) -> None:
    end = add_months(start, months)
    assert (end.year - start.year) * 12 + end.month - start.month == months
    assert end.day == min(start.day, monthrange(end.year, end.month)[1])


@given(DAYS, DAYS, st.integers(0, 600))
def test_what_begins_later_never_ends_earlier(one: date, other: date, months: int) -> None:
    first, second = sorted((one, other))
    assert add_months(first, months) <= add_months(second, months)
