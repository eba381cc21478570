"""What an item means: an expression over facts, with parameters still open.

`gateway.rules.plan` closes it for one applicant. Nothing here is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from connectors.connector import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRef:
    """`$name`: the value the applicant gives for that parameter; `$name.id_number` and `$name.name` of a person.

    `$applicant` is the applicant, for the facts whose subject is somebody else.
    """

    name: str
    part: str = ""


Operand = Value | ParameterRef

APPLICANT = "applicant"
"""The name under which an expression speaks of the applicant; no parameter may take it."""
PERSON_PARTS = ("id_number", "name")
"""What an attribute can be compared with of a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactExpr:
    """The record of `subject` for `fact` carries the expected attributes.

    `subject` is empty for the applicant, else the name of a person parameter. An operand whose optional parameter
    is not given falls away. `place` and `on` (a division and a date) say where and when the fact lies; `from_age`
    (years) says that it lies between the day its subject reached that age and today. 0 says nothing.
    """

    fact: str
    expect: Mapping[str, Operand] = field(default_factory=dict)
    given: Mapping[str, Operand] = field(default_factory=dict)
    subject: str = ""
    place: Operand | None = None
    on: Operand | None = None
    from_age: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyExpr:
    """True if one of them is; `ordered` asks them one after the other (sensitive sources last)."""

    of: tuple[Expr, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AllExpr:
    """True if each of them is; `ordered` asks them one after the other."""

    of: tuple[Expr, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotExpr:
    """True if the inner one is false; an unknown stays unknown."""

    of: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseExpr:
    """One of several expressions, by the word given for an enumeration; resolved before anything is asked."""

    parameter: str
    cases: Mapping[str, Expr]


Expr = FactExpr | AnyExpr | AllExpr | NotExpr | ChooseExpr


def facts_of(expr: Expr) -> Iterator[FactExpr]:
    """Yield each fact expression inside, left to right, with repetitions."""
    match expr:
        case FactExpr():
            yield expr
        case AnyExpr() | AllExpr():
            for inner in expr.of:
                yield from facts_of(inner)
        case NotExpr():
            yield from facts_of(expr.of)
        case ChooseExpr():
            for inner in expr.cases.values():
                yield from facts_of(inner)
