"""How old a person is by law."""

from __future__ import annotations

from datetime import date


def birthday(born: date, age: int) -> date:
    """Give the day on which somebody reaches an age: the birthday.

    Who was born on 29 February has it on the 28th where a year has no 29th: where the day that corresponds is missing,
    the last of the month stands in its place (Civil Code, article 202).
    """
    try:
        return born.replace(year=born.year + age)
    except ValueError:
        return born.replace(year=born.year + age, day=28)


def age_on(day: date, *, born: date) -> int:
    """Give how many years old somebody is on a day."""
    years = day.year - born.year
    return years - (day < birthday(born, years))
