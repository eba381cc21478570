"""Everybody reaches an age on one day, whoever asks: who was born on 29 February, on the 28th of a year without one."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.connector import Subject
from gateway.flows.commitments.stand import has_full_capacity
from gateway.rules.ages import age_on, birthday
from gateway.rules.identifiers import resident_id_check_character

BORN = st.dates(date(1900, 1, 1), date(2026, 12, 31)) | st.sampled_from([date(2004, 2, 29), date(2008, 2, 29)])


def person(born: date) -> Subject:
    first = f"110105{born:%Y%m%d}002"
    return Subject(id_type="resident-id", id_number=first + resident_id_check_character(first), name="示例甲")


@pytest.mark.parametrize(
    ("born", "of_age"),
    [
        (date(2008, 2, 28), date(2026, 2, 28)),
        (date(2008, 2, 29), date(2026, 2, 28)),
        (date(2008, 3, 1), date(2026, 3, 1)),
        (date(2010, 2, 28), date(2028, 2, 28)),
    ],
)
def test_a_person_is_of_full_capacity_from_the_eighteenth_birthday_on_and_not_before(born: date, of_age: date) -> None:
    assert has_full_capacity(person(born), of_age)
    assert not has_full_capacity(person(born), of_age - timedelta(days=1))


@given(BORN, st.integers(0, 120))
def test_an_age_is_reached_on_the_birthday_and_not_the_day_before(born: date, age: int) -> None:
    day = birthday(born, age)

    assert age_on(day, born=born) == age
    assert age_on(day - timedelta(days=1), born=born) == age - 1


@given(BORN, st.integers(0, 120))
def test_a_birthday_is_the_same_day_of_the_year_but_for_a_leap_day(born: date, age: int) -> None:
    day = birthday(born, age)

    assert day.year == born.year + age
    assert (day.month, day.day) == (born.month, born.day) or ((born.month, born.day), day.day) == ((2, 29), 28)
