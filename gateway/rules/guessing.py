"""What a source's answer tells whoever guesses: which answers count as a wrong guess, and of what.

A claim names more than its person: a name, what the record should hold (`expected`), what it should be found by
(`given`). An answer that came out as it did because of one of these tells that this one is wrong:

| outcome     | nothing given                             | something given                     |
|-------------|-------------------------------------------|-------------------------------------|
| MISMATCH    | the whole claim                           | the whole claim                     |
| NO_RECORD   | nothing: there is none, whatever is said  | what was given, under this name     |
| AMBIGUOUS   | the name: another's, under an old number  | what was given, under this name     |
| NOT_HELD    | nothing; of several attributes the whole: | what was given, under this name; of |
|             | the others agree                          | several attributes the whole claim  |
| NOT_COVERED | nothing                                   | of a source that was asked: what    |
|             |                                           | was given, under this name          |
| every other | nothing                                   | nothing                             |

A source that is asked and holds a part only says NOT_COVERED where it found none: had what was given been right, it
would have found one. MATCH is no wrong guess. Of the others, a source says nothing of the record, or nothing that
depends on what was said.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from datetime import date

from connectors.compare import bare, normalise, old_number
from connectors.connector import Claim, Form, Value
from connectors.outcome import Evidence, Kind
from ledger.canonical import Json


class Tells(enum.IntEnum):
    """How much of a claim an answer shows to be wrong; the greater includes the lesser."""

    NOTHING = 0
    FINDING = 1
    """What the record was looked for by: the name, and what was given."""
    WHOLE = 2


def told_by(claim: Claim, said: Iterable[Evidence]) -> Tells:
    """Say what the answers of a claim's sources tell of it together."""
    return max((_told(claim, one) for one in said), default=Tells.NOTHING)


def _told(claim: Claim, evidence: Evidence) -> Tells:
    match evidence.outcome.kind:
        case Kind.MISMATCH:
            return Tells.WHOLE
        case Kind.AMBIGUOUS:
            return Tells.FINDING
        case Kind.NO_RECORD if claim.given:
            return Tells.FINDING
        case Kind.NOT_COVERED if claim.given and evidence.attempts:
            return Tells.FINDING
        case Kind.NOT_HELD if len(claim.expected) > 1:
            return Tells.WHOLE
        case Kind.NOT_HELD if claim.given:
            return Tells.FINDING
    return Tells.NOTHING


def said(claim: Claim, tells: Tells) -> list[Json]:
    """Give what makes one guess differ from another about the same fact of the same person, as far as it is told.

    Texts are in the form in which they are compared: spellings that compare equal are one guess.
    """
    found: list[Json] = [claim.subject.name, _values(claim.given)]
    if tells is Tells.WHOLE:
        period: list[Json] = [day.isoformat() for day in claim.period] if claim.period else []
        found += [_values(claim.expected), claim.place, period]
    return found


def named(claim: Claim) -> list[tuple[str, str]]:
    """Give whom a claim names by number: the attribute, and the number in one form for all its spellings.

    An old number stands for the one of 18 digits that it was until 1999; a name alone tells nobody from others.
    """
    numbers = [
        (name, bare(value))
        for name, value in {**claim.given, **claim.expected}.items()
        if claim.forms.get(name) is Form.ID_NUMBER and isinstance(value, str)
    ]
    return [(name, old_number(number) or number) for name, number in numbers]


def _values(values: Mapping[str, Value]) -> Json:
    return {name: [type(value).__name__, _value(value)] for name, value in values.items()}


def _value(value: Value) -> Json:
    match value:
        case str():
            return normalise(value)
        case date():
            return value.isoformat()
        case _:
            return value
