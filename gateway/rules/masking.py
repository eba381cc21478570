"""Masking: how much of a name or a number a list shows, by rules that are data.

A rule keeps so many characters at the head and so many at the tail, as directories of credit platforms state it
(`desensitization` with `[keepHead, keepTail]`); what is between becomes `*`, one for one. Characters are what a reader
counts, never bytes, and a character with its variation selector is one. A value that is shorter than its rule expects
still loses a third of itself: nothing is ever shown whole.

In texts, numbers are found however they were typed, and so are the names of people who are known. Two kinds of texts:
in prose whatever may be somebody's number is masked; of a code (the number of a case), by which people find what they
look for, only what is surely a person's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from connectors.names import Signs, is_invisible, normal_name

_FILL = "*"
_LEAST_HIDDEN = 3
"""At least every third character of a value is hidden, however long the rule's ends are."""

_TYPED: Mapping[int, int | str] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "\u00d7\u2169"), "X"),
    **dict.fromkeys(map(ord, "\u00ad\u02d7\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"), "-"),
    **dict.fromkeys((*range(0x09, 0x0E), *range(0x2000, 0x200E)), " "),
    **dict.fromkeys(map(ord, "\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"), " "),
}
"""One spelling of how numbers are typed, character for character: full width, blanks and dashes of all kinds, any X."""
_BETWEEN = str.maketrans("", "", " -")
_DOTS = re.compile(r"[·.]+")
_MARKS = re.compile("[·./_]+")
"""What may stand between the parts of a name or a number that is known."""
_GAP = "[ -]{0,2}"
"""What people put between the parts of a number."""
_ALONE, _END = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_APART, _PARTED = rf"{_ALONE}(?<![0-9A-Za-z]-)", rf"{_END}(?!-[0-9A-Za-z])"
"""Around what may have hyphens in it: it is no part of a code with hyphens, such as a UUID."""

_NUMBER = rf"{_ALONE}(?:[0-9]{{17}}[0-9Xx]|[0-9]{{15}}|[0-9A-Z]{{18}}){_END}"
_RESIDENT = rf"(?<![0-9])[0-9](?:{_GAP}[0-9]){{16}}{_GAP}[0-9Xx](?![0-9])"
_OLD_RESIDENT = rf"{_ALONE}[0-9]{{6}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{3}}{_END}"
_FIRST_YEAR = 1910
"""Nobody alive was born before; what has an earlier date in it is another number."""
_MOBILE = rf"{_ALONE}(?:\+?86[- ]?)?1[3-9][0-9]{{9}}{_END}"
_MOBILE_IN_PARTS = rf"{_APART}(?:\+?86{_GAP})?1[3-9](?:" + "|".join(
    rf"[0-9]{{{first}}}{_GAP}[0-9]{{{second}}}{_GAP}[0-9]{{{third}}}"
    for first, second, third in ((1, 4, 4), (2, 3, 4), (1, 3, 5), (3, 3, 3), (2, 4, 3))
) + rf"){_PARTED}"  # fmt: skip
_AREA = r"(?:10|2[0-9]|[3-9][0-9]{2})"
_LANDLINE = (
    rf"{_APART}(?:\(0{_AREA}\)|0{_AREA}|\+?86{_GAP}0?{_AREA}){_GAP}[2-9][0-9]{{2,3}}{_GAP}[0-9]{{4}}"
    rf"(?:-[0-9]{{1,6}})?{_PARTED}"
)
_LANDLINE_IN_PARTS = rf"{_APART}(?:\(0{_AREA}\){_GAP}|0{_AREA}[ -]{{1,2}})(?!20)[2-9][0-9]{{6,7}}{_PARTED}"
"""In a code: 045182345678 may be a serial number, and 0451-20260001 one of this year."""
_STOPS = r"\s()\u3001,;:"
"""Where a name ends: spaces, brackets and punctuation."""
_PERSON = rf"(?<![^{_STOPS}])(?P<name>[^{_STOPS}]+)[(](?P<number>{_NUMBER}|{_RESIDENT})[)]"

_Pattern = re.Pattern[str]
_PERSONS, _NUMBERS, _RESIDENTS, _OLD_RESIDENTS = map(re.compile, (_PERSON, _NUMBER, _RESIDENT, _OLD_RESIDENT))
_MOBILES = (re.compile(_MOBILE), re.compile(_MOBILE_IN_PARTS))
_LANDLINES, _LANDLINES_IN_PARTS = re.compile(_LANDLINE), re.compile(_LANDLINE_IN_PARTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person whom a text may name: the name, and the number, both without gaps."""

    name: str = field(repr=False)
    number: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """How many characters stay at the head and at the tail of a value."""

    head: int
    tail: int

    def __post_init__(self) -> None:
        if self.head < 0 or self.tail < 0:
            raise ValueError("a rule keeps no negative number of characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRules:
    """The rules of a list, by what a value is.

    The defaults show a surname (张*), and of numbers the division's head and the last four (230***********0072); no
    rule of 信用中国 for natural persons is published, so they are configuration.
    """

    name: MaskRule = field(default_factory=lambda: MaskRule(head=1, tail=0))
    id_number: MaskRule = field(default_factory=lambda: MaskRule(head=3, tail=4))
    phone: MaskRule = field(default_factory=lambda: MaskRule(head=3, tail=4))


def mask(text: str, rule: MaskRule) -> str:
    """Hide the middle of a value; where it is too short for its rule, the tail gives way first, then the head."""
    characters = _characters(text)
    shown = len(characters) - max(1, -(-len(characters) // _LEAST_HIDDEN))
    head = min(rule.head, max(shown, 0))
    tail = min(rule.tail, max(shown - head, 0))
    hidden = len(characters) - head - tail
    return "".join([*characters[:head], *_FILL * hidden, *(characters[-tail:] if tail else ())])


def mask_words(text: str, rules: MaskRules, people: Iterable[Person] = ()) -> str:
    """Mask what a text says of people: numbers, telephones, the name before a number in brackets, and who is known."""
    text = _masked(text, _PERSONS, rules.name, group="name")
    text = _without(text, people, rules)
    for pattern in (_RESIDENTS, _OLD_RESIDENTS):
        text = _masked(text, pattern, rules.id_number, counts=lambda number: _birth_year(number) > 0)
    text = _masked(text, _NUMBERS, rules.id_number)
    for pattern in (*_MOBILES, _LANDLINES):
        text = _masked(text, pattern, rules.phone)
    return text


def mask_code(code: str, rules: MaskRules, people: Iterable[Person] = (), *, on: date) -> str:
    """Mask in a code given about a day what is surely a person's: who is known, numbers with a birthday, telephones.

    A date of that year or the year before is that of the case, and no birthday.
    """
    code = _without(code, people, rules)
    years = (on.year - 1, on.year)
    for pattern in (_RESIDENTS, _OLD_RESIDENTS):
        code = _masked(code, pattern, rules.id_number, counts=lambda number: _is_birthday(number, years))
    for pattern in (*_MOBILES, _LANDLINES_IN_PARTS):
        code = _masked(code, pattern, rules.phone)
    return code


def people_in(text: str) -> list[Person]:
    """Find the people of whom a text gives the name, and after it in brackets the number."""
    typed = text.translate(_TYPED)
    return [
        Person(name=text[slice(*found.span("name"))], number=found["number"].translate(_BETWEEN).upper())
        for found in _PERSONS.finditer(typed)
    ]


def mask_name(name: str, id_type: str, rules: MaskRules) -> str:
    """Mask the name of a person; that of an organisation is public as it is registered."""
    return name if id_type == "uscc" else mask(name, rules.name)


def mask_number(number: str, id_type: str, rules: MaskRules) -> str:
    """Mask the number of a person; the unified code of an organisation is public."""
    return number if id_type == "uscc" else mask(number, rules.id_number)


def read_rule(kept: object) -> MaskRule | None:
    """Read `[keepHead, keepTail]`, as configuration gives it; None if it is not two numbers from 0 to 32."""
    if not isinstance(kept, Sequence) or isinstance(kept, str) or len(kept) != 2:
        return None
    if not all(type(one) is int and 0 <= one <= 32 for one in kept):
        return None
    head, tail = kept
    return MaskRule(head=head, tail=tail)


def _characters(text: str) -> list[str]:
    """Split a text into what a reader counts: a mark or a variation selector belongs to the character before it."""
    found: list[str] = []
    for one in text:
        if found and (unicodedata.category(one) in ("Mn", "Me") or one == "\u200d"):
            found[-1] += one
        else:
            found.append(one)
    return found


def _masked(
    text: str, pattern: _Pattern, rule: MaskRule, *, group: str | int = 0, counts: Callable[[str], bool] = bool
) -> str:
    """Mask each place of a text that a pattern finds, if what stands there without its gaps counts."""
    typed = text.translate(_TYPED)
    parts: list[str] = []
    done = at = 0
    while found := pattern.search(typed, at):
        if counts(found[group].translate(_BETWEEN)):
            start, end = found.span(group)
            parts += (text[done:start], mask(text[start:end], rule))
            done = at = max(end, found.start() + 1)
        else:
            at = found.start() + 1
    return "".join((*parts, text[done:]))


def _without(text: str, people: Iterable[Person], rules: MaskRules) -> str:
    """Mask names and numbers that are known, wherever and however they stand; a name of one character is any word."""
    for person in people:
        for number in _numbers_of(person):
            text = _masked_known(text, _MARKS.sub("", number.translate(_SEEN)), rules.id_number, between="[·./_]{0,2}")
        name = person.name.translate(_SEEN)
        if len(_MARKS.sub("", name)) > 1:
            text = _masked_known(text, name, rules.name, between="·*")
    return text


def _numbers_of(person: Person) -> tuple[str, ...]:
    """Give the number, and the one of 15 digits that people born in the 1900s had before."""
    number = person.number
    return (number, number[:6] + number[8:17]) if len(number) == 18 and number[6:8] == "19" else (number,)


def _masked_known(text: str, known: str, rule: MaskRule, *, between: str) -> str:
    """Mask what is known (as `_SEEN` writes it) wherever it stands; `between` is what its characters may have between.

    For a middle dot in it any dots or full stops may stand, or none.
    """
    seen = text.translate(_SEEN)
    if not known or _MARKS.sub("", known) not in _MARKS.sub("", seen):
        return text  # as nearly always, and a pattern of its own costs more than all the rest
    pattern = "[·.]*".join(between.join(map(re.escape, part)) for part in _DOTS.split(known))
    places = [place for place, character in enumerate(text) for _ in character.translate(_SEEN)]
    parts: list[str] = []
    done = 0
    for found in re.finditer(pattern, seen):
        start, end = places[found.start()], places[found.end() - 1] + 1
        while end < len(text) and is_invisible(text[end]):
            end += 1
        if start >= done:
            parts += (text[done:start], mask(text[start:end], rule))
            done = end
    return "".join((*parts, text[done:]))


def _seen(character: str) -> str:
    """Write a character as it is compared with those of a known name or number; blanks, hyphens and what nobody sees as
    nothing, for people put these anywhere."""
    read = normal_name(character.translate(_TYPED)).casefold().translate(_BETWEEN)
    return unicodedata.normalize("NFD", read).replace("。", ".")


_SEEN = Signs(_seen)


def _birth_year(number: str) -> int:
    """Give the year of the date that a number of 15 or 18 has in it; 0 if nobody alive was born on such a date."""
    day = number[6:14] if len(number) == 18 else f"19{number[6:12]}"
    try:
        born = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        return 0
    return born.year if born.year >= _FIRST_YEAR else 0


def _is_birthday(number: str, years: tuple[int, int]) -> bool:
    """Say whether the date in a number is somebody's birthday, where a case may have one of these years in its code."""
    year = _birth_year(number)
    return 0 < year < years[0] and (len(number) == 18 or year + 100 not in years)
