"""Masking: how much of a name or a number a list shows, by rules that are data.

A rule keeps so many characters at the head and so many at the tail, as directories of credit platforms state it
(`desensitization` with `[keepHead, keepTail]`); what is between becomes `*`, one for one. Characters are what a reader
counts, never bytes, and a character with its variation selector is one. A value that is shorter than its rule expects
still loses a third of itself: nothing is ever shown whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

_FILL = "*"
_LEAST_HIDDEN = 3
"""At least every third character of a value is hidden, however long the rule's ends are."""

_NUMBER = r"(?<![0-9A-Za-z])(?:[0-9]{17}[0-9Xx]|[0-9]{15}|[0-9A-Z]{18})(?![0-9A-Za-z])"
_PHONE = r"(?<![0-9A-Za-z])(?:\+?86[- ]?)?1[3-9][0-9]{9}(?![0-9A-Za-z])"
_STOPS = r"\s()\uff08\uff09\u3001,;:\uff0c\uff1b\uff1a"
"""Where a name ends: spaces, brackets and punctuation, half and full width."""
_PERSON = re.compile(rf"(?P<name>[^{_STOPS}]+)(?P<open>[(\uff08])(?P<number>{_NUMBER})(?=[)\uff09])")
_NUMBERS = re.compile(_NUMBER)
_PHONES = re.compile(_PHONE)


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


def mask_words(text: str, rules: MaskRules) -> str:
    """Mask what a text says of people: numbers and telephones in it, and the name before a number in brackets."""
    text = _PERSON.sub(lambda found: f"{mask(found['name'], rules.name)}{found['open']}{found['number']}", text)
    text = _NUMBERS.sub(lambda found: mask(found[0], rules.id_number), text)
    return _PHONES.sub(lambda found: mask(found[0], rules.phone), text)


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
