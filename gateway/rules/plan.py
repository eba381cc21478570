"""From an item and what the applicant says to the facts that must be checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from msgspec import Struct

from connectors.connector import Claim, Subject, Value
from connectors.names import is_blank
from gateway.catalogue.expression import (
    APPLICANT,
    AllExpr,
    AnyExpr,
    ChooseExpr,
    Expr,
    FactExpr,
    NotExpr,
    Operand,
    ParameterRef,
)
from gateway.catalogue.model import FactType, Item, Parameter, SourcePolicy
from gateway.catalogue.words import Absence, Sensitivity, ValueKind
from gateway.rules.ages import birthday

Argument = Value | Subject
"""What can be given for a parameter: a value, or a second person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterMistake:
    """One thing wrong with the parameters: which, the rule in English, and in Chinese for the clerk."""

    parameter: str
    rule: str
    chinese: str


class ParametersRefused(ValueError):
    """The parameters do not fit the item; `mistakes` lists every one. No value is echoed."""

    def __init__(self, item: str, mistakes: tuple[ParameterMistake, ...]) -> None:
        super().__init__(f"item {item!r}: " + "; ".join(f"{m.parameter}: {m.rule}" for m in mistakes))
        self.item = item
        self.mistakes = mistakes


class NotVerifiable(ValueError):
    """The item has no expression: it is banned, or a committee issues it."""

    def __init__(self, item: str) -> None:
        super().__init__(f"item {item!r} is not verified by asking sources")
        self.item = item


class FactCheck(Struct, frozen=True, kw_only=True):
    """One leaf of a plan: a claim to be checked, and how its sources are weighed.

    `id` is unique within the plan (`f1`, `f2` …, left to right) and says nothing about anybody.
    """

    id: str
    fact_type: str
    claim: Claim
    absence_conclusive: bool
    policy: SourcePolicy
    sensitive: bool


class Leaf(Struct, frozen=True, kw_only=True):
    """The truth of one check."""

    id: str


class AnyOf(Struct, frozen=True, kw_only=True):
    """True if one is; `ordered`: asked one after the other."""

    of: tuple[Node, ...]
    ordered: bool = False


class AllOf(Struct, frozen=True, kw_only=True):
    """True if each is; `ordered`: asked one after the other."""

    of: tuple[Node, ...]
    ordered: bool = False


class NotOf(Struct, frozen=True, kw_only=True):
    """True if the inner one is false."""

    of: Node


Node = Leaf | AnyOf | AllOf | NotOf


class Plan(Struct, frozen=True, kw_only=True):
    """A closed expression; identical claims are one check, wherever they stand."""

    root: Node
    checks: Mapping[str, FactCheck]

    def fact_types(self) -> frozenset[str]:
        """Name the types of fact that it turns on."""
        return frozenset(check.fact_type for check in self.checks.values())

    def signs(self) -> dict[str, bool]:
        """Say of each check whether the applicant says that it is not so (True), or that it is.

        A check that stands in the plan both ways is not among them.
        """
        if isinstance(self.root, Leaf):  # one fact, as in most questions
            return {self.root.id: False}
        found: dict[str, set[bool]] = {}
        for check_id, negated in _signs(self.root, negated=False):
            found.setdefault(check_id, set()).add(negated)
        return {check_id: negated for check_id, (negated, *other) in found.items() if not other}


def _signs(node: Node, *, negated: bool) -> Iterator[tuple[str, bool]]:
    match node:
        case Leaf():
            yield node.id, negated
        case AnyOf() | AllOf():
            for inner in node.of:
                yield from _signs(inner, negated=negated)
        case NotOf():
            yield from _signs(node.of, negated=not negated)


def plan(
    item: Item,
    parameters: Mapping[str, Argument],
    subject: Subject,
    fact_types: Mapping[str, FactType],
    *,
    today: date,
) -> Plan:
    """Return what must be checked to answer `item` about `subject`; `today` ends the periods that run until now.

    Raises:
        ParametersRefused: parameters are missing, unknown or of a wrong type; every mistake is named.
        NotVerifiable: the item has no expression.
    """
    if item.expression is None:
        raise NotVerifiable(item.code)
    mistakes = parameter_mistakes(item, parameters)
    if mistakes:
        raise ParametersRefused(item.code, mistakes)
    closing = _Closing(arguments=parameters, applicant=subject, fact_types=fact_types, today=today)
    root = closing.node(item.expression)
    return Plan(root=root, checks={check.id: check for check in closing.checks})


def parameter_mistakes(item: Item, parameters: Mapping[str, Argument]) -> tuple[ParameterMistake, ...]:
    """List everything wrong with the parameters: unknown names, missing required ones, wrong types."""
    found = [
        ParameterMistake(parameter=name, rule="the item has no such parameter", chinese="该事项没有此参数。")
        for name in sorted(parameters.keys() - item.parameters.keys())
    ]
    for name, declared in item.parameters.items():
        if name not in parameters:
            if declared.required:
                chinese = f"请填写“{declared.label}”。"
                found.append(ParameterMistake(parameter=name, rule="required", chinese=chinese))
        elif not _fits(parameters[name], declared):
            chinese = f"“{declared.label}”的类型不符。"
            found.append(ParameterMistake(parameter=name, rule=f"must be {declared.type}", chinese=chinese))
    return tuple(found)


def _fits(value: Argument, declared: Parameter) -> bool:
    match declared.type.kind:
        case ValueKind.PERSON:
            return isinstance(value, Subject)
        case ValueKind.BOOLEAN:
            return isinstance(value, bool)
        case ValueKind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case ValueKind.DATE:
            return type(value) is date  # a datetime is a date to Python, and not to a source
        case ValueKind.ENUM:
            return isinstance(value, str) and value in declared.type.words
        case ValueKind.DIVISION:
            return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 6
        case ValueKind.STRING | ValueKind.NAME | ValueKind.ID_NUMBER:
            return isinstance(value, str) and not is_blank(value)


def _born(subject: Subject) -> date | None:
    """Read the birth date out of a resident id or permit number (GB 11643, digits 7 to 14)."""
    number = subject.id_number
    if subject.id_type not in ("resident-id", "permit") or len(number) != 18 or not number[6:14].isdigit():
        return None
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


@dataclass(slots=True, kw_only=True)
class _Closing:
    """Closes one expression; keeps the checks found so far so that equal claims share one."""

    arguments: Mapping[str, Argument]
    applicant: Subject
    fact_types: Mapping[str, FactType]
    today: date
    checks: list[FactCheck] = field(default_factory=list)

    def node(self, expr: Expr) -> Node:
        match expr:
            case FactExpr():
                return Leaf(id=self._share(self._claim(expr)))
            case AnyExpr():
                return AnyOf(of=tuple(self.node(e) for e in expr.of), ordered=expr.ordered)
            case AllExpr():
                return AllOf(of=tuple(self.node(e) for e in expr.of), ordered=expr.ordered)
            case NotExpr():
                return NotOf(of=self.node(expr.of))
            case ChooseExpr():
                return self.node(expr.cases[str(self.arguments[expr.parameter])])

    def _share(self, claim: Claim) -> str:
        for check in self.checks:
            if check.claim == claim:
                return check.id
        fact = self.fact_types[claim.fact_type]
        check = FactCheck(
            id=f"f{len(self.checks) + 1}",
            fact_type=fact.code,
            claim=claim,
            absence_conclusive=fact.absence is Absence.CONCLUSIVE,
            policy=fact.sources,
            sensitive=fact.sensitivity is Sensitivity.SENSITIVE,
        )
        self.checks.append(check)
        return check.id

    def _claim(self, expr: FactExpr) -> Claim:
        subject = self._person(expr.subject)
        return Claim(
            fact_type=expr.fact,
            subject=subject,
            expected=self._values(expr.expect),
            given=self._values(expr.given),
            forms=self.fact_types[expr.fact].forms,
            place=str(self._value(expr.place) or ""),
            period=self._period(expr, subject),
        )

    def _period(self, expr: FactExpr, subject: Subject) -> tuple[date, date] | None:
        """Say when the fact lies; None where nothing says it, which no source of limited years then covers wholly."""
        if expr.from_age:
            born = _born(subject)
            return None if born is None else (min(birthday(born, expr.from_age), self.today), self.today)
        on = self._value(expr.on)
        return (on, on) if isinstance(on, date) else None

    def _person(self, name: str) -> Subject:
        if not name:
            return self.applicant
        person = self.arguments[name]
        if not isinstance(person, Subject):
            raise TypeError(f"parameter {name!r} is not a person")
        return person

    def _value(self, operand: Operand | None) -> Argument | None:
        if not isinstance(operand, ParameterRef):
            return operand
        argument = self.applicant if operand.name == APPLICANT else self.arguments.get(operand.name)
        if operand.part and isinstance(argument, Subject):
            return argument.id_number if operand.part == "id_number" else argument.name
        return argument

    def _values(self, operands: Mapping[str, Operand]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, operand in operands.items():
            value = self._value(operand)
            if isinstance(value, Subject):
                values |= {f"{name}_name": value.name, f"{name}_id_number": value.id_number}
                values[f"{name}_id_type"] = value.id_type
            elif value is not None:
                values[name] = value
        return values
