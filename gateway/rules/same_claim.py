"""Which questions of a case assert the same: by what was kept of them.

Another spelling is no other claim: it would be a way around what was found of the first. So whatever texts a source
takes for one (`connectors.compare`), in whatever form it compares them, are one here, and so are more habits of typing:
capitals, brackets, dashes, dots, blanks beside Chinese characters and signs. A letter or digit makes another claim, and
so does how digits are grouped: 1路12号 is not 11路2号, and "1 12" not "11 2". The number of a person, an organisation
or a document is the same in whatever groups it is typed.

What people found untrue bars more than the same words: whatever comes to the same checks (`asserts_alike`), or says
that and more (`asserts_more`). A parameter that the item does not look at here, one that is added, or another name
beside the number of the same person is no way around it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from connectors.compare import Unreadable, bare, day, old_number
from connectors.connector import Subject, Value
from connectors.names import MIDDLE_DOT, Signs, normal_name
from gateway.catalogue.model import Catalogue
from gateway.rules.admission import Question, argument_body, question_body
from gateway.rules.fallback import StepKind
from gateway.rules.identifiers import resident_id_check_character
from gateway.rules.kept import table
from gateway.rules.plan import NotVerifiable, ParametersRefused, Plan, plan
from gateway.rules.same_case import one_sign
from ledger.canonical import Json, canonical

_DOTS = frozenset(".。·")
"""What a full stop or a middle dot is, once `normal_name` made one dot of its look-alikes."""
_ZEROES = dict.fromkeys(map(ord, "○◯"), "〇")
_RUN = re.compile(r"(?<=-)-+|(?<=·)·+")
_BLANK = re.compile(r"(?<=(.)) (?=(.))", re.DOTALL)
_OLD = re.compile(r"\d{15}", re.ASCII)
_NUMBER = re.compile(r"[\dA-Z]{2}\d{6}[\dA-Z]{10}|[A-Z]{1,3}\d{7,12}", re.ASCII)
"""A text that is as long as the number of a person, an organisation or a passport, permit or residence card, and has
what these have: of the last some letters, and more digits than the parts of an address have together."""


def claim_of(question: Mapping[str, Json]) -> dict[str, Json]:
    """Give what a kept question asserts: item, person and parameters, texts in one spelling."""
    return {
        "item": question["item"],
        "subject": _compared(question["subject"]),
        "parameters": {name: _compared(value) for name, value in table(question["parameters"]).items()},
    }


def _compared(value: Json) -> Json:
    if isinstance(value, str):
        return _in_one_spelling(value)
    return {name: _compared(one) for name, one in value.items()} if isinstance(value, Mapping) else value


def _in_one_spelling(written: str) -> str:
    """Write a text as if there were one way to type it; see `_whole` for the number of an identity."""
    number = bare(written)
    if _NUMBER.fullmatch(number) or (_OLD.fullmatch(number) and _is_dated(number)):
        return _whole(number)
    named = normal_name(normal_name(written).translate(_ZEROES))
    signs = unicodedata.normalize("NFKC", named.translate(_ONE_SIGN))
    return _RUN.sub("", _BLANK.sub(lambda found: " " if _parts(found[1], found[2]) else "", signs))


def _whole(number: str) -> str:
    """Give the 18-digit number for one of 15, which stands for it whatever its check character; others as they are.

    Those whose day of birth is none had no other number.
    """
    old = number if _OLD.fullmatch(number) else old_number(number)
    if not old or not _is_dated(old) or old[12:] >= "996":  # of whom was born before 1900
        return number
    seventeen = f"{old[:6]}19{old[6:]}"
    return seventeen + resident_id_check_character(seventeen)


def _is_dated(old: str) -> bool:
    """Tell whether a text of 15 digits holds a day of birth, as the number of a person does."""
    try:
        day(f"19{old[6:12]}")
    except Unreadable:
        return False
    return True


def _one_sign(character: str) -> str:
    if character in _DOTS:
        return MIDDLE_DOT
    sign = one_sign(character)
    return sign.upper() if sign.isascii() else sign


_ONE_SIGN = Signs(_one_sign)


def _parts(before: str, after: str) -> bool:
    """Tell whether a blank parts two letters or digits; beside Chinese characters, `normal_name` left none."""
    return unicodedata.category(before)[0] in "LNM" and unicodedata.category(after)[0] in "LNM"


def is_same_claim(first: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Tell whether two questions assert the same of the same person: item, person and every parameter are alike."""
    return claim_of(first) == claim_of(other)


def asks_again(first: Mapping[str, Json], step: str, later: Mapping[str, Json]) -> bool:
    """Tell whether a later question asks a first one again, whose answer called for `step`.

    That is the same claim; or, where the applicant was to be asked for one thing more, the same claim with that added.
    Another claim about the person says nothing about the first.
    """
    one, other = claim_of(first), claim_of(later)
    if one == other:
        return True
    if step != StepKind.ASK_APPLICANT.value or any(one[part] != other[part] for part in ("item", "subject")):
        return False
    told, added = table(one["parameters"]), table(other["parameters"])
    return all(name in added and added[name] == value for name, value in told.items())


class AssertedCheck(Struct, frozen=True, kw_only=True):
    """One check: of which type of fact, of whose number, what is expected and given, and whether it is said not to be
    so (None: both)."""

    fact_type: str
    subject: str
    said: frozenset[bytes]
    negated: bool | None


class Asserted(Struct, frozen=True, kw_only=True):
    """What a question comes to under a catalogue: its item, its parameters in one spelling, and its checks, in the
    order of the item's expression. Persons are their numbers.

    There are no checks (None) where the catalogue cannot plan the question.
    """

    item: str
    parameters: Mapping[str, Json]
    checks: tuple[AssertedCheck, ...] | None

    @property
    def key(self) -> bytes | frozenset[AssertedCheck]:
        """What questions of one item that assert the same have in common."""
        return canonical(dict(self.parameters)) if self.checks is None else frozenset(self.checks)


def asserted(question: Question, catalogue: Catalogue, *, today: date) -> Asserted:
    """Give what a question asserts, as the catalogue has it checked."""
    nameless = replace(
        question,
        subject=_numbered(question.subject),
        parameters={
            name: _numbered(value) if isinstance(value, Subject) else value
            for name, value in question.parameters.items()
        },
    )
    parameters = table(claim_of(question_body(nameless))["parameters"])
    planned = _planned(nameless, catalogue, today)
    return Asserted(
        item=question.item, parameters=parameters, checks=None if planned is None else tuple(_checks(planned))
    )


def asserts_alike(one: Asserted, other: Asserted) -> bool:
    """Tell whether two questions about the same person assert the same: what was found of one holds of the other."""
    return one.item == other.item and one.key == other.key


def asserts_more(one: Asserted, found: Asserted, fact_type: str) -> bool:
    """Tell whether a question about the same person cannot be true where another is untrue, of which people found a
    type of fact; that the other is true says nothing of it.

    It cannot where it says all that the other does and more. Where the catalogue in force cannot say what one of them
    comes to (its item has changed), it cannot unless they say different things in a parameter of the same name, or the
    type of fact has nothing to do with it: that the item changed takes nothing back.
    """
    if one.item != found.item:
        return False
    if one.checks is not None and found.checks is not None:
        return len(one.checks) == len(found.checks) and all(map(_says_all, one.checks, found.checks))
    if one.checks is not None and all(check.fact_type != fact_type for check in one.checks):
        return False
    return all(found.parameters[name] == value for name, value in one.parameters.items() if name in found.parameters)


def _says_all(one: AssertedCheck, other: AssertedCheck) -> bool:
    """Tell whether a check that comes out for the applicant means that another does: a fact is another's with more said
    of it, and is said not to be with less."""
    if (one.fact_type, one.subject, one.negated) != (other.fact_type, other.subject, other.negated):
        return False
    if one.negated is None:
        return one.said == other.said
    return one.said <= other.said if one.negated else one.said >= other.said


def _numbered(person: Subject) -> Subject:
    number = _in_one_spelling(person.id_number)
    return replace(person, id_number=number, name=number)


def _planned(question: Question, catalogue: Catalogue, today: date) -> Plan | None:
    item = catalogue.items.get(question.item)
    if item is None:
        return None
    try:
        return plan(item, question.parameters, question.subject, catalogue.fact_types, today=today)
    except (ParametersRefused, NotVerifiable):
        return None


def _checks(planned: Plan) -> list[AssertedCheck]:
    signs = planned.signs()
    return [
        AssertedCheck(
            fact_type=check.fact_type,
            subject=check.claim.subject.id_number,
            said=_said("expected", check.claim.expected) | _said("given", check.claim.given),
            negated=signs.get(check.id),
        )
        for check in planned.checks.values()
    ]


def _said(part: str, values: Mapping[str, Value]) -> frozenset[bytes]:
    return frozenset(canonical([part, name, _compared(argument_body(value))]) for name, value in values.items())
