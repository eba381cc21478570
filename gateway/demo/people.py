"""Fictitious people for a demonstration: the same for the same seed, and impossible to take for anybody real.

Surnames are words such as 示 and 虚, numbers carry the area code 230199, which no division has, and valid check
characters (GB 11643). The first ten people play parts in the story; `cast` names them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

from gateway.rules.identifiers import resident_id_check_character

Marital = Literal["unmarried", "married", "divorced", "widowed"]
Sex = Literal["male", "female"]

AREA = "230199"
"""An area code that is assigned to no division."""
CAST_SIZE = 10
"""People at the beginning of every population who play parts; a population is never smaller."""
_SURNAMES = "示演测虚拟"
_GIVEN = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥"
_FIRST_BIRTH, _LAST_BIRTH = date(1940, 1, 1), date(2000, 12, 31)
_LAST_YOUNG_BIRTH = date(2010, 12, 31)
_MINOR_BORN = date(2018, 6, 1)
_MARRIED, _OWNER, _CONTRADICTED, _MISSING, _HONEST, _DEAD, _DOTTED, _LOWER_X, _MINOR = 0, 2, 3, 4, 5, 6, 7, 8, 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One fictitious person as the departments together know them. Addresses are invented; `spouse_*` may be empty."""

    name: str = field(repr=False)
    id_number: str = field(repr=False)
    """18 characters, check character in upper case."""
    born: date = field(repr=False)
    sex: Sex = field(repr=False)
    marital: Marital = field(repr=False)
    spouse_id_number: str = field(repr=False)
    spouse_name: str = field(repr=False)
    alive: bool = field(repr=False)
    address: str = field(repr=False)
    address_code: str = field(repr=False)
    """Six-digit division."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The people who play parts."""

    married: Person
    """Married, and both in the books of civil affairs."""
    owner: Person
    """The housing record agrees with the address."""
    contradicted: Person
    """The housing record holds another address."""
    missing: Person
    """No housing record at first; the late one contradicts."""
    honest: Person
    """No housing record at first; the late one agrees."""
    dead: Person
    dotted: Person
    """The name has a middle dot."""
    lower_x: Person
    """The number ends with X, which people type as x."""
    minor: Person


def population(seed: int, size: int) -> tuple[Person, ...]:
    """Return `size` people; a greater population of the same seed begins with the same people.

    Raises:
        ValueError: `size` is smaller than the cast.
    """
    if size < CAST_SIZE:
        raise ValueError(f"a population has at least {CAST_SIZE} people")
    taken: set[str] = set()
    people: list[Person] = []
    for index in range(0, size, 2):
        people += _couple(_single(seed, index, taken), _single(seed, index + 1, taken), seed, index)
    return tuple(people[:size])


def cast(seed: int) -> Cast:
    """Return the people who play parts in the population of a seed."""
    return cast_among(population(seed, CAST_SIZE))


def cast_among(people: Sequence[Person]) -> Cast:
    """Return the people who play parts, by their places at the beginning of a population."""
    return Cast(
        married=people[_MARRIED],
        owner=people[_OWNER],
        contradicted=people[_CONTRADICTED],
        missing=people[_MISSING],
        honest=people[_HONEST],
        dead=people[_DEAD],
        dotted=people[_DOTTED],
        lower_x=people[_LOWER_X],
        minor=people[_MINOR],
    )


def _single(seed: int, index: int, taken: set[str]) -> Person:
    chance = random.Random(f"{seed}/{index}")  # noqa: S311 - fictitious people, nothing secret
    sex: Sex = "male" if index % 2 == 0 else "female"
    name = chance.choice(_SURNAMES) + ("例·" if index == _DOTTED else "") + "".join(chance.choices(_GIVEN, k=2))
    born = _birth(chance, index)
    return Person(
        name=name,
        id_number=_number(chance, born, sex, taken, ends_with_x=index == _LOWER_X),
        born=born,
        sex=sex,
        marital="unmarried",
        spouse_id_number="",
        spouse_name="",
        alive=index != _DEAD and (index < CAST_SIZE or chance.random() > 0.03),
        address=f"黑龙江省示例市演示区虚拟路{index + 1}号{chance.randint(1, 30)}单元{chance.randint(101, 2999)}室",
        address_code=AREA,
    )


def _birth(chance: random.Random, index: int) -> date:
    if index == _MINOR:
        return _MINOR_BORN
    last = _LAST_BIRTH if index < CAST_SIZE else _LAST_YOUNG_BIRTH
    return _FIRST_BIRTH + timedelta(days=chance.randrange((last - _FIRST_BIRTH).days + 1))


def _number(chance: random.Random, born: date, sex: Sex, taken: set[str], *, ends_with_x: bool) -> str:
    while True:
        order = chance.randrange(500) * 2 + (sex == "male")  # odd orders are men's (GB 11643)
        first = f"{AREA}{born:%Y%m%d}{order:03d}"
        number = first + resident_id_check_character(first)
        if number not in taken and (number.endswith("X") or not ends_with_x):
            taken.add(number)
            return number


def _couple(he: Person, she: Person, seed: int, index: int) -> tuple[Person, Person]:
    """Marry two neighbours or not; the couple of the story always, the rest of the cast never, nobody young."""
    chance = random.Random(f"{seed}/couple/{index}")  # noqa: S311 - as above
    grown = max(he.born, she.born) <= _LAST_BIRTH
    wed = index == _MARRIED or (index >= CAST_SIZE and grown and chance.random() < 0.6)
    if not wed:
        return he, she
    parted = index >= CAST_SIZE and chance.random() < 0.15
    return _with_spouse(he, she, parted=parted), _with_spouse(she, he, parted=parted)


def _with_spouse(person: Person, spouse: Person, *, parted: bool) -> Person:
    marital: Marital = "divorced" if parted else "married" if spouse.alive else "widowed"
    return replace(person, marital=marital, spouse_id_number=spouse.id_number, spouse_name=spouse.name)
