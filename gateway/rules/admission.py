"""From what arrived to what may be acted upon: every mistake of a request named at once, no value echoed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from connectors.connector import Subject
from connectors.names import is_blank
from connectors.veiled import Veiled
from gateway.catalogue.model import Catalogue, Parameter
from gateway.catalogue.words import Applicants
from gateway.errors import InvalidRequest, Violation
from gateway.rules.identifiers import IdentifierRefused, has_controls, parse_identifier, parse_name, parse_uscc
from gateway.rules.kept import table
from gateway.rules.plan import Argument, parameter_mistakes
from gateway.rules.roles import Caller
from ledger.canonical import Json

LONGEST_TEXT = 4000
LONGEST_CODE = 128
_PLAIN_NAME = re.compile(r"[a-z][a-z_]{,39}")


class RawSubject(Veiled, frozen=True, kw_only=True):
    """A subject as it arrived; `id_type` is empty where it was not said."""

    id_type: str
    id_number: str
    name: str
    shown: ClassVar = ("id_type",)


RawArgument = str | int | bool | date | RawSubject | None
"""A parameter as it arrived; None where no value was set or a date does not parse."""


class Operator(Struct, frozen=True, kw_only=True):
    """The person at the keyboard: a staff number and the unit."""

    person: str
    unit: str


class CaseContext(Struct, frozen=True, kw_only=True):
    """For what something is asked."""

    matter: str
    case_id: str
    purpose: str
    operator: Operator


class RawQuestion(Veiled, frozen=True, kw_only=True):
    """A question as it arrived."""

    request_id: str
    matter: str
    case_id: str
    purpose: str
    person: str
    unit: str
    item: str
    subject: RawSubject
    parameters: Mapping[str, RawArgument]
    shown: ClassVar = ("request_id", "matter", "case_id", "purpose", "person", "unit", "item", "subject")


class Question(Veiled, frozen=True, kw_only=True):
    """A question that may be asked: everything parsed, normalised and known to the catalogue."""

    context: CaseContext
    item: str
    subject: Subject
    parameters: Mapping[str, Argument]
    shown: ClassVar = ("context", "item", "subject")


class Mistakes:
    """Collects what is wrong with a request; `finish` refuses it with everything found."""

    def __init__(self) -> None:
        self._found: list[Violation] = []
        self._reason: str | None = None

    def add(self, where: str, what: str, chinese: str, *, reason: str | None = None) -> None:
        """Note one mistake; a `reason` narrows the error's, as long as all mistakes share it."""
        self._reason = reason if not self._found or self._reason == reason else None
        self._found.append(Violation(field=where, description=what, chinese=chinese))

    @property
    def found(self) -> Sequence[Violation]:
        """What was noted so far."""
        return self._found

    def finish(self) -> None:
        """Refuse if anything was noted.

        Raises:
            InvalidRequest: names every mistake.
        """
        if self._found:
            raise InvalidRequest(self._found, reason=self._reason)

    def uuid(self, where: str, text: str) -> UUID:
        """Read a UUID."""
        try:
            return UUID(text)
        except ValueError:
            self.add(where, "must be a UUID", "请求编号须为 UUID。")
            return UUID(int=0)

    def record(self, where: str, text: str) -> bytes:
        """Read a record id of 32 lower-case hexadecimal digits."""
        if len(text) == 32 and all(c in "0123456789abcdef" for c in text):
            return bytes.fromhex(text)
        self.add(where, "must be a record: 32 lower-case hexadecimal digits", "记录编号格式有误。")
        return bytes(16)

    def text(self, where: str, text: str, chinese: str, *, longest: int = LONGEST_TEXT) -> str:
        """Read a text of which something must be seen."""
        if is_blank(text):
            self.add(where, "is required", f"请填写{chinese}。")
        elif len(text) > longest:
            self.add(where, f"is longer than {longest} characters", f"{chinese}过长。")
        return text

    def line(self, where: str, text: str, chinese: str, *, longest: int = LONGEST_TEXT) -> str:
        """Read a text that `text` takes and that has no control characters: it goes to sources, and into headers."""
        self.text(where, text, chinese, longest=longest)
        return self.printable(where, text, chinese)

    def printable(self, where: str, text: str, chinese: str) -> str:
        """Read a text that has no control characters."""
        if has_controls(text):
            self.add(where, "has control characters", f"{chinese}含有控制字符。")
        return text

    def operator(self, where: str, person: str, unit: str, caller: Caller) -> Operator:
        """Read who acts; the unit must be the caller's own, as its certificate says, and the person the one who was
        proven to act, where one was."""
        self.line(f"{where}.person", person, "经办人", longest=LONGEST_CODE)
        if caller.person and person != caller.person and not is_blank(person):
            self.add(f"{where}.person", "is not the person of the assertion", "经办人与身份凭证不符。")
        self.line(f"{where}.unit", unit, "经办单位", longest=LONGEST_CODE)
        if not is_blank(unit) and unit != caller.unit:  # the caller's own was checked with its certificate
            try:
                parse_uscc(unit)
            except IdentifierRefused as error:
                self.add(f"{where}.unit", f"is not a unified social credit code ({error.rule.name})", error.chinese)
            else:
                self.add(f"{where}.unit", "is not the unit of the caller's certificate", "经办单位与证书不符。")
        return Operator(person=person, unit=unit)

    def subject(self, where: str, raw: RawSubject, *, today: date) -> Subject:
        """Read a person or organisation; numbers and names are normalised."""
        number, name = "", ""
        if not raw.id_type:
            self.add(f"{where}.id_type", "is required", "请选择证件类型。")
        else:
            try:
                number = parse_identifier(raw.id_type, raw.id_number, today=today).number
            except IdentifierRefused as error:
                self.add(f"{where}.id_number", f"breaks the rule {error.rule.name}", error.chinese)
        try:
            name = parse_name(raw.name)
        except IdentifierRefused as error:
            self.add(f"{where}.name", f"breaks the rule {error.rule.name}", error.chinese)
        return Subject(id_type=raw.id_type, id_number=number, name=name)


class Reading(Veiled, frozen=True, kw_only=True):
    """A question as its form says it, whatever the catalogue says of it, and what is wrong with the form."""

    raw: RawQuestion
    request_id: UUID
    question: Question
    mistakes: Mistakes
    shown: ClassVar = ("request_id", "question")

    @property
    def is_well_formed(self) -> bool:
        """Whether nothing is wrong with the form: only then is the question what was meant."""
        return not self.mistakes.found


def read_question(raw: RawQuestion, caller: Caller, *, today: date) -> Reading:
    """Read a question by its form alone; what is wrong is noted, and refused by `require_admitted`."""
    mistakes = Mistakes()
    request_id = mistakes.uuid("request_id", raw.request_id)
    mistakes.text("context.matter", raw.matter, "办理事项", longest=LONGEST_CODE)
    mistakes.line("context.case_id", raw.case_id, "办件号", longest=LONGEST_CODE)
    mistakes.line("context.purpose", raw.purpose, "查询用途")
    operator = mistakes.operator("context.operator", raw.person, raw.unit, caller)
    mistakes.text("item", raw.item, "证明事项", longest=LONGEST_CODE)
    subject = mistakes.subject("subject", raw.subject, today=today)
    parameters = _parameters(raw, mistakes, today=today)
    context = CaseContext(matter=raw.matter, case_id=raw.case_id, purpose=raw.purpose, operator=operator)
    question = Question(context=context, item=raw.item, subject=subject, parameters=parameters)
    return Reading(raw=raw, request_id=request_id, question=question, mistakes=mistakes)


def require_admitted(reading: Reading, catalogue: Catalogue) -> Question:
    """Require that form and catalogue admit a question.

    Raises:
        InvalidRequest: names every mistake at once.
    """
    raw = reading.raw
    check_matter(reading.mistakes, catalogue, raw.matter, raw.purpose, where="context.")
    _check_item(reading, catalogue)
    reading.mistakes.finish()
    return reading.question


def check_matter(mistakes: Mistakes, catalogue: Catalogue, code: str, purpose: str, *, where: str = "") -> None:
    """Note a matter that the catalogue does not have, and a purpose that is none of the matter's; `where` is what comes
    before the names of both fields. That one is blank is for their form to say."""
    matter = catalogue.matters.get(code)
    if matter is None:
        if not is_blank(code):
            mistakes.add(f"{where}matter", "is not in the catalogue", "办理事项不在目录中。", reason="UNKNOWN_MATTER")
        return
    if not is_blank(purpose) and purpose not in matter.purposes:
        known = "、".join(matter.purposes)
        mistakes.add(f"{where}purpose", "is none of the purposes that the matter declares", f"查询用途须为:{known}。")


def _check_item(reading: Reading, catalogue: Catalogue) -> None:
    raw, mistakes = reading.raw, reading.mistakes
    item = catalogue.items.get(raw.item)
    if item is None:
        if not is_blank(raw.item):
            mistakes.add("item", "is not in the catalogue", "证明事项不在目录中。", reason="UNKNOWN_ITEM")
        return
    if raw.subject.id_type and not item.applicants.admits(raw.subject.id_type):
        whom = "organisations" if item.applicants is Applicants.ORGANISATION else "natural persons"
        chinese = "法人和其他组织" if item.applicants is Applicants.ORGANISATION else "自然人"
        mistakes.add("subject.id_type", f"the item is asked of {whom} only", f"该证明事项只适用于{chinese}。")
    for mistake in parameter_mistakes(item, reading.question.parameters):
        name = mistake.parameter
        if name not in raw.parameters or raw.parameters[name] is not None:
            where = f"parameters.{name}" if name in item.parameters else _numbered(raw, name)
            mistakes.add(where, mistake.rule, mistake.chinese)


def _parameters(raw: RawQuestion, mistakes: Mistakes, *, today: date) -> dict[str, Argument]:
    read: dict[str, Argument] = {}
    for name in sorted(name for name, value in raw.parameters.items() if value is None):
        where = _where(raw, name)
        mistakes.add(where, "has no usable value", f"参数“{where}”没有有效的值。")
    for name, value in raw.parameters.items():
        where = _where(raw, name)
        if isinstance(value, RawSubject):
            if value.id_type == "uscc":
                mistakes.add(where, "must be a natural person", f"参数“{where}”须为自然人。")
            read[name] = mistakes.subject(where, value, today=today)
        elif isinstance(value, str):
            if len(value) > LONGEST_TEXT:
                mistakes.add(where, f"is longer than {LONGEST_TEXT} characters", f"参数“{where}”过长。")
            read[name] = mistakes.printable(where, value, f"参数“{where}”")
        elif value is not None:
            read[name] = value
    return read


def _where(raw: RawQuestion, name: str) -> str:
    """Name a parameter by a name that says nothing of anybody, or by its number."""
    return f"parameters.{name}" if _PLAIN_NAME.fullmatch(name) else _numbered(raw, name)


def _numbered(raw: RawQuestion, name: str) -> str:
    """Name a parameter by its number in the order of the names: what is put in a name's place may be personal data."""
    return f"parameters[{sorted(raw.parameters).index(name) + 1}]"


def question_body(question: Question) -> dict[str, Json]:
    """Give a question as a canonical value: what is kept of it, and what a repeat is compared with."""
    return {
        "method": "gateway.v1.VerificationService/Verify",
        "item": question.item,
        "context": {
            "matter": question.context.matter,
            "case_id": question.context.case_id,
            "purpose": question.context.purpose,
            "operator": {
                "person": question.context.operator.person,
                "unit": question.context.operator.unit,
            },
        },
        "subject": subject_body(question.subject),
        "parameters": {name: argument_body(value) for name, value in question.parameters.items()},
    }


def subject_body(subject: Subject) -> dict[str, Json]:
    """Give a subject as a canonical value."""
    return {"id_type": subject.id_type, "id_number": subject.id_number, "name": subject.name}


def subject_from_body(kept: Mapping[str, Json]) -> Subject:
    """Read a subject back from what was kept of it; the inverse of `subject_body`."""
    return Subject(id_type=str(kept["id_type"]), id_number=str(kept["id_number"]), name=str(kept["name"]))


def argument_body(value: Argument) -> Json:
    """Give a parameter as a canonical value that says its type."""
    match value:
        case Subject():
            return {"person": subject_body(value)}
        case bool():
            return {"boolean": value}
        case int():
            return {"integer": value}
        case date():
            return {"date": value.isoformat()}
        case _:
            return {"text": value}


def argument_words(value: Argument, parameter: Parameter) -> str:
    """Say a parameter's value in Chinese, as a person reads it in a letter."""
    match value:
        case Subject():
            return f"{value.name}（{value.id_number}）"
        case bool():
            return "是" if value else "否"
        case date():
            return f"{value.year}年{value.month}月{value.day}日"
        case str():
            return parameter.labels.get(value, value)
        case _:
            return str(value)


def question_from_body(body: Mapping[str, Json]) -> Question:
    """Read a question back from what was kept of it; the inverse of `question_body`."""
    context = table(body["context"])
    operator = table(context["operator"])
    return Question(
        context=CaseContext(
            matter=str(context["matter"]),
            case_id=str(context["case_id"]),
            purpose=str(context["purpose"]),
            operator=Operator(person=str(operator["person"]), unit=str(operator["unit"])),
        ),
        item=str(body["item"]),
        subject=subject_from_body(table(body["subject"])),
        parameters={name: _argument(table(value)) for name, value in table(body["parameters"]).items()},
    )


def _argument(kept: Mapping[str, Json]) -> Argument:
    ((kind, value),) = kept.items()
    if kind == "person":
        return subject_from_body(table(value))
    if kind == "date":
        return date.fromisoformat(str(value))
    if not isinstance(value, str | int | bool):
        raise TypeError("a kept parameter is a text, a number or a boolean")
    return value
