"""What an answer must be by what was recorded of it; pure.

An answer is believed as far as the entry commits to it, and refused where it says anything else. The shapes read here
are those that the gateway keeps; a form that this version does not know proves nothing to it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from connectors.names import VISIBLE, normal_name
from gateway.client.proofs import OpenedGroup, ProvenEntry, ReceiptRefused
from gateway.client.values import Argument, FactOutcome, NextStep, Person, Question, Step, Verdict, Verification
from ledger.canonical import Json

_ANSWER = "answer"
_QUESTION = "request"
_PER_FACT = "PER_FACT"
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
"""A time outside these is no message, and so none in what is told."""
_METHOD = "gateway.v1.VerificationService/Verify"


def require_recorded(told: Verification, proven: ProvenEntry, question: Question | None = None) -> None:
    """Require that everything an answer says stands in the entry that its receipt proves.

    With the `question` that was asked, also that it was recorded as it was asked, for the case that the answer names.
    Without, the case is not proven: the question is opened to whoever asked it only.

    Raises:
        ReceiptRefused: something differs, or is not proven; nothing of the answer may be believed.
    """
    try:
        _require_answer(told, _opened(proven, _ANSWER))
        if question is not None:
            _require_question(told, question, _opened(proven, _QUESTION))
    except (LookupError, TypeError, ValueError, ArithmeticError) as failure:
        raise ReceiptRefused("what was recorded is not of a form that this version knows") from failure


def _opened(proven: ProvenEntry, group: str) -> Mapping[str, Json]:
    opened: OpenedGroup | None = proven.opened.get(group)
    if opened is None:
        raise ReceiptRefused(f"nothing proves that entry {proven.index} is of this very {group}")
    return opened.value


def _require_answer(told: Verification, kept: Mapping[str, Json]) -> None:
    found = {
        "item": kept.get("item", told.item),  # not kept in the first answers that were recorded
        "verdict": _verdict(_text(kept["verdict"])),
        "reasons": tuple(_text(reason) for reason in _list(kept["reasons"])),
        "next_step": _next_step(_table(kept["next_step"])),
        "facts": tuple(_fact(_table(fact)) for fact in _list(kept["facts"])),
        "catalogue_version": kept["catalogue_version"],
        "policy_version": kept["policy_version"],
        "answered_at": _moment(kept["answered_at"]),
        "erased": False,
    }
    if kept["disclosure"] != _PER_FACT and found["facts"]:
        raise ReceiptRefused("facts came that the matter does not disclose")
    _require_same({name: getattr(told, name) for name in found}, found, "answer")


def _require_question(told: Verification, asked: Question, kept: Mapping[str, Json]) -> None:
    context = _table(kept["context"])
    operator = _table(context["operator"])
    subject, parameters = _table(kept["subject"]), _table(kept["parameters"])
    case = asked.case
    found = {
        "method": kept["method"],
        "item": (kept["item"], told.item),
        "matter": (context["matter"], told.case.matter),
        "case": (context["case_id"], told.case.case_id),
        "purpose": (context["purpose"], told.case.purpose),
        "operator": (operator["person"], told.case.operator),
        "unit": (operator["unit"], told.case.unit),
        "subject": _is_person(asked.subject, subject),
        "parameters": parameters.keys() == asked.parameters.keys()
        and all(_is_argument(value, _table(parameters[name])) for name, value in asked.parameters.items()),
    }
    expected = {
        "method": _METHOD,
        "item": (asked.item,) * 2,
        "matter": (case.matter,) * 2,
        "case": (case.case_id,) * 2,
        "purpose": (case.purpose,) * 2,
        "operator": (case.operator,) * 2,
        "unit": (case.unit,) * 2,
        "subject": True,
        "parameters": True,
    }
    _require_same(found, expected, "question")


def _require_same(told: Mapping[str, object], expected: Mapping[str, object], what: str) -> None:
    differing = [name for name, value in expected.items() if told[name] != value]
    if differing:
        raise ReceiptRefused(f"the {what} that was recorded is another: {', '.join(differing)}")


def _is_argument(value: Argument, kept: Mapping[str, Json]) -> bool:
    ((kind, found),) = kept.items()
    match value:
        case Person():
            return kind == "person" and _is_person(value, _table(found))
        case bool():
            return kind == "boolean" and found is value
        case int():
            return kind == "integer" and _number(found) == value
        case date():
            return (kind, found) == ("date", value.isoformat())
        case str():
            return (kind, found) == ("text", value)


def _is_person(asked: Person, kept: Mapping[str, Json]) -> bool:
    """Tell whether a recorded person is the one asked about, by number and name, however both were typed."""
    number, typed = _text(kept["id_number"]), _compact(asked.id_number)
    # A 15-digit number of before 1999 is recorded with the century and the check digit that it lacks (GB 11643).
    is_upgraded = len(typed) == 15 and len(number) == 18 and number[:17] == f"{typed[:6]}19{typed[6:]}"
    is_number = kept["id_type"] == asked.id_type and (typed == number or is_upgraded)
    return is_number and normal_name(_text(kept["name"])) == normal_name(asked.name)


def _compact(number: str) -> str:
    """Bring a number into the form in which the gateway records it (`gateway.rules.identifiers`)."""
    folded = unicodedata.normalize("NFKC", number.translate(VISIBLE))
    return "".join(c.upper() if c.isascii() else c for c in folded if not c.isspace() and c != "-")


def _verdict(word: str) -> Verdict:
    return Verdict(word) if word in {one.value for one in Verdict} else Verdict.UNKNOWN


def _next_step(kept: Mapping[str, Json]) -> NextStep:
    word, wait = _text(kept["kind"]), kept["retry_after_s"]
    return NextStep(
        kind=Step(word) if word in {one.value for one in Step} else Step.UNKNOWN,
        until=_moment(kept["until"]),
        since=_moment(kept.get("since")),
        retry_after=None if wait is None else timedelta(seconds=_number(wait)),
        attribute=_text(kept["attribute"]),
        attempts=tuple(_text(attempt) for attempt in _list(kept["attempts"])),
        confirm_by_clerk=kept.get("confirm_by_clerk") is True,
        explanation=_text(kept["explanation"]),
    )


def _fact(kept: Mapping[str, Json]) -> FactOutcome:
    asked_at, answered_at = _moment(kept["asked_at"]), _moment(kept["answered_at"])
    if asked_at is None or answered_at is None:
        raise TypeError("a time is kept here")
    return FactOutcome(
        fact_type=_text(kept["fact_type"]),
        source=_text(kept["source"]),
        outcome=_text(kept["outcome"]),
        cause=_text(kept["cause"]),
        asked_at=asked_at,
        answered_at=answered_at,
        as_of=_moment(kept["as_of"]),
        attempts=_number(kept["attempts"]),
        raw_digest=bytes.fromhex(_text(kept["raw_digest"])),
        cached=kept["cached"] is True,
        about_statement=kept.get("about_statement") is True,
        other_identity=kept.get("other_identity") is True,
    )


def _table(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise TypeError("a table is kept here")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError("a list is kept here")
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is kept here")
    return value


def _number(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a number is kept here")
    return value


def _moment(value: Json) -> datetime | None:
    read = None if value is None else datetime.fromisoformat(_text(value))
    return read if read is None or _FIRST <= read <= _LAST else None
