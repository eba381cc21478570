"""The one translator between the messages of `connectors.v1.SourceService` and our values, in both directions.

What arrives is read strictly. Of an answer, each evidence is read for itself, so that one that is outside the agreed
format spoils no other. Of a question, every mistake is named at once, by field and never by value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from google.protobuf import duration_pb2, timestamp_pb2

from connectors.connector import Claim, Coverage, Form, Manifest, QueryContext, Subject, Value
from connectors.outcome import Cause, Evidence, Kind, Outcome
from connectors.v1 import source_pb2 as pb

MOST_CLAIMS = 100
_DIGEST_BYTES = 32
_LONGEST = 4000
_MOST_VALUES = 64
_KINDS = {pb.OutcomeKind.Value(f"OUTCOME_KIND_{kind.value}"): kind for kind in Kind}
_KIND_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_CAUSES = {pb.Cause.Value(f"CAUSE_{cause.value}"): cause for cause in Cause}
_CAUSE_NUMBERS = {cause: number for number, cause in _CAUSES.items()}
_FORMS = {pb.Form.Value(f"FORM_{form.name}"): form for form in Form}
_FORM_NUMBERS = {form: number for number, form in _FORMS.items()}
_ID_TYPES = ("resident-id", "permit", "uscc")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,62}", re.ASCII)
UNNAMED_RULE = "RULE_NOT_A_CODE"
"""Stands for a rule that is told in other words than a code."""
_PLACE = re.compile(r"(?:\d{6})?", re.ASCII)
_CONCLUSIONS = (Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD)
"""What is concluded from a record, or from there being none: of these the raw answer must be digested."""


class Malformed(ValueError):
    """A message is outside the contract; the text names the condition, never a value."""


class Told(NamedTuple):
    """What an evidence says: the outcome, the date of the data, and the digest of the raw answer."""

    outcome: Outcome
    as_of: datetime | None
    raw_digest: bytes


def is_code(text: str) -> bool:
    """Say whether a text is a code: capitals, digits and underscores, 63 at most."""
    return _CODE.fullmatch(text) is not None


# Questions.


def write_question(claims: Sequence[Claim], context: QueryContext) -> pb.CheckManyRequest:
    """Write a question.

    Raises:
        ValueError: a value has no form on the wire (half a character, a number beyond 64 bits).
    """
    request = pb.CheckManyRequest()
    asked = request.context
    asked.matter, asked.case, asked.item = context.matter, context.case, context.item
    asked.operator, asked.unit, asked.reason = context.operator, context.unit, context.reason
    for claim in claims:
        _write_claim(request.claims.add(), claim)
    return request


def _write_claim(message: pb.Claim, claim: Claim) -> None:
    message.fact_type, message.place = claim.fact_type, claim.place
    subject = claim.subject
    message.subject.id_type, message.subject.id_number = subject.id_type, subject.id_number
    message.subject.name = subject.name
    for values, written in ((claim.expected, message.expected), (claim.given, message.given)):
        for name, value in values.items():
            _write_value(written[name], value)
    for name, form in claim.forms.items():
        if name in claim.expected or name in claim.given:  # the forms of a fact type are known whole
            message.forms[name] = _FORM_NUMBERS[form]
    if claim.period is not None:
        since, until = claim.period
        _write_day(message.period.since, since)
        _write_day(message.period.until, until)


def _write_value(message: pb.Value, value: Value) -> None:
    match value:
        case bool():
            message.truth = value
        case int():
            message.number = value
        case str():
            message.text = value
        case date():
            _write_day(message.day, value)


def _write_day(message: pb.Date, day: date) -> None:
    message.year, message.month, message.day = day.year, day.month, day.day


class Mistakes:
    """What is wrong with a question: the field's path, and what is wrong with it."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def add(self, where: str, what: str) -> None:
        """Note one."""
        self.found.append((where, what))

    def text(self, where: str, text: str) -> str:
        """Read a text that may not be empty, nor be longer than anybody needs."""
        if not text:
            self.add(where, "is required")
        elif len(text) > _LONGEST:
            self.add(where, f"is longer than {_LONGEST} characters")
        return text


def read_question(request: pb.CheckManyRequest, deadline: float) -> tuple[list[Claim], QueryContext, Mistakes]:
    """Read a question; with mistakes, claims and context are not usable."""
    mistakes = Mistakes()
    asked = request.context
    context = QueryContext(
        matter=mistakes.text("context.matter", asked.matter),
        case=mistakes.text("context.case", asked.case),
        item=mistakes.text("context.item", asked.item),
        operator=mistakes.text("context.operator", asked.operator),
        unit=mistakes.text("context.unit", asked.unit),
        reason=mistakes.text("context.reason", asked.reason),
        deadline=deadline,
    )
    if not 1 <= len(request.claims) <= MOST_CLAIMS:
        mistakes.add("claims", f"must be 1 to {MOST_CLAIMS}")
        return [], context, mistakes
    claims = [_read_claim(f"claims[{number}]", claim, mistakes) for number, claim in enumerate(request.claims)]
    return claims, context, mistakes


def _read_claim(where: str, message: pb.Claim, mistakes: Mistakes) -> Claim:
    subject = message.subject
    if subject.id_type not in _ID_TYPES:
        mistakes.add(f"{where}.subject.id_type", f"must be one of {', '.join(_ID_TYPES)}")
    if not _PLACE.fullmatch(message.place):
        mistakes.add(f"{where}.place", "must be six digits, or empty")
    expected = _read_values(f"{where}.expected", message.expected, mistakes)
    given = _read_values(f"{where}.given", message.given, mistakes)
    forms: dict[str, Form] = {}
    for number, (name, form) in enumerate(sorted(message.forms.items()), 1):
        if name not in expected and name not in given:
            mistakes.add(f"{where}.forms[{number}]", "is of nothing that is expected or given")
        elif form not in _FORMS:
            mistakes.add(f"{where}.forms[{number}]", "must be a form of the contract")
        else:
            forms[name] = _FORMS[form]
    return Claim(
        fact_type=mistakes.text(f"{where}.fact_type", message.fact_type),
        subject=Subject(
            id_type=subject.id_type,
            id_number=mistakes.text(f"{where}.subject.id_number", subject.id_number),
            name=mistakes.text(f"{where}.subject.name", subject.name),
        ),
        expected=expected,
        given=given,
        forms=forms,
        place=message.place,
        period=_read_period(f"{where}.period", message, mistakes),
    )


def _read_values(where: str, values: Mapping[str, pb.Value], mistakes: Mistakes) -> dict[str, Value]:
    read: dict[str, Value] = {}
    if len(values) > _MOST_VALUES:
        mistakes.add(where, f"are more than {_MOST_VALUES}")
        return read
    for number, (name, value) in enumerate(sorted(values.items()), 1):  # a name may be anything, and is not repeated
        own = f"{where}[{number}]"
        if not _NAME.fullmatch(name):
            mistakes.add(own, "has a name that is none of an attribute")
        match value.WhichOneof("kind"):
            case "text":
                if len(value.text) > _LONGEST:
                    mistakes.add(own, f"is longer than {_LONGEST} characters")
                read[name] = value.text
            case "number":
                read[name] = value.number
            case "truth":
                read[name] = value.truth
            case "day":
                day = _read_day(own, value.day, mistakes)
                if day is not None:
                    read[name] = day
            case _:
                mistakes.add(own, "has no value")
    return read


def _read_period(where: str, message: pb.Claim, mistakes: Mistakes) -> tuple[date, date] | None:
    if not message.HasField("period"):
        return None
    since = _read_day(f"{where}.since", message.period.since, mistakes)
    until = _read_day(f"{where}.until", message.period.until, mistakes)
    if since is None or until is None:
        return None
    if until < since:
        mistakes.add(where, "ends before it begins")
        return None
    return since, until


def _read_day(where: str, message: pb.Date, mistakes: Mistakes) -> date | None:
    try:
        return date(message.year, message.month, message.day)
    except ValueError:
        mistakes.add(where, "is no day of the calendar")
        return None


# Answers.


def write_evidence(message: pb.Evidence, evidence: Evidence) -> None:
    """Write what was found of one claim."""
    message.fact_type, message.raw_digest = evidence.fact_type, evidence.raw_digest
    outcome = evidence.outcome
    if evidence.undeclared and outcome.kind is Kind.NO_RECORD:
        # The contract has no word for an absence that proves nothing but this one.
        outcome = Outcome(kind=Kind.NOT_COVERED)
    _write_outcome(message.outcome, outcome)
    _write_moment(message.asked_at, evidence.asked_at)
    _write_moment(message.answered_at, evidence.answered_at)
    if evidence.as_of is not None:
        _write_moment(message.as_of, evidence.as_of)


def _write_outcome(message: pb.Outcome, outcome: Outcome) -> None:
    message.kind = _KIND_NUMBERS[outcome.kind]
    if outcome.cause is not None:
        message.cause = _CAUSE_NUMBERS[outcome.cause]
    if outcome.until is not None:
        _write_moment(message.until, outcome.until)
    message.attribute, message.rule, message.other_identity = outcome.attribute, outcome.rule, outcome.other_identity


def _write_moment(message: timestamp_pb2.Timestamp, at: datetime) -> None:
    message.FromDatetime(at.astimezone(UTC))


def read_evidence(message: pb.Evidence, claim: Claim) -> Told:
    """Read what a source says of a claim.

    Raises:
        Malformed: it is outside the contract, or of another claim.
    """
    if message.fact_type != claim.fact_type:
        raise Malformed("an answer to another question")
    outcome = _read_outcome(message.outcome)
    if len(message.raw_digest) not in (0, _DIGEST_BYTES):
        raise Malformed("a digest that is not 32 bytes")
    if outcome.kind in _CONCLUSIONS and not message.raw_digest:
        raise Malformed("a conclusion without the digest of what was answered")
    as_of = _read_moment(message.as_of) if message.HasField("as_of") else None
    return Told(outcome, as_of, message.raw_digest)


def _read_outcome(message: pb.Outcome) -> Outcome:
    kind = _KINDS.get(message.kind)
    if kind is None:
        raise Malformed("an outcome that is none of the twelve")
    if message.cause and message.cause not in _CAUSES:
        raise Malformed("a cause that is none of the contract")
    if message.attribute and not _NAME.fullmatch(message.attribute):
        raise Malformed("an attribute that is no name of one")
    until = _read_moment(message.until) if message.HasField("until") else None
    try:
        return Outcome(
            kind=kind,
            cause=_CAUSES.get(message.cause),
            until=until,
            attribute=message.attribute,
            rule=_rule(message.rule),
            other_identity=message.other_identity,
        )
    except ValueError as error:
        raise Malformed(str(error)) from None


def _rule(told: str) -> str:
    """Take a rule that is a code; in the place of any other text, which may name anybody, stands that there is one."""
    return told if not told or is_code(told) else UNNAMED_RULE


def _read_moment(message: timestamp_pb2.Timestamp) -> datetime:
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Malformed("a time that is none") from None


# Manifests.


def write_manifest(manifest: Manifest) -> pb.Manifest:
    """Write what a source declares of itself."""
    message = pb.Manifest(
        source=manifest.source,
        department=manifest.department,
        fact_types=sorted(manifest.fact_types),
        sensitive=sorted(manifest.sensitive),
    )
    for fact_type, coverage in manifest.coverage.items():
        written = message.coverage[fact_type]
        written.places.extend(coverage.places)
        if coverage.since is not None:
            _write_day(written.since, coverage.since)
        if coverage.until is not None:
            _write_day(written.until, coverage.until)
    if manifest.freshness is not None:
        message.freshness.CopyFrom(_duration(manifest.freshness))
    return message


def _duration(span: timedelta) -> duration_pb2.Duration:
    message = duration_pb2.Duration()
    message.FromTimedelta(span)
    return message


def read_coverage(message: pb.Coverage) -> Coverage:
    """Read where and since when a source says that it is complete.

    Raises:
        Malformed: a day is none.
    """
    mistakes = Mistakes()
    since = _read_day("since", message.since, mistakes) if message.HasField("since") else None
    until = _read_day("until", message.until, mistakes) if message.HasField("until") else None
    if mistakes.found:
        raise Malformed("a day of a coverage that is none")
    return Coverage(places=tuple(message.places), since=since, until=until)
