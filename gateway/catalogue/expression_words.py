"""An item's expression in plain Chinese, a line for each thing that is asked, indented as it is nested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.catalogue.chinese import chinese
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
from gateway.catalogue.model import FactType, Item, Parameter
from gateway.catalogue.words import ValueKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, at a depth from 0."""

    depth: int
    text: str


def expression_lines(item: Item, facts: Mapping[str, FactType]) -> tuple[Line, ...]:
    """Say what is asked of whom; nothing for an item without an expression."""
    if item.expression is None:
        return ()
    return tuple(_Words(item.parameters, facts).lines(item.expression, 0))


def parameter_type_words(parameter: Parameter) -> str:
    """Say what may be given for a parameter."""
    if parameter.type.kind is ValueKind.ENUM:
        return f"{chinese(ValueKind.ENUM)}:" + "、".join(parameter.labels[word] for word in parameter.type.words)
    return chinese(parameter.type.kind)


class _Words:
    def __init__(self, parameters: Mapping[str, Parameter], facts: Mapping[str, FactType]) -> None:
        self._parameters = parameters
        self._facts = facts

    def lines(self, expr: Expr, depth: int) -> Iterator[Line]:
        match expr:
            case FactExpr():
                yield Line(depth=depth, text=self._fact(expr))
            case AnyExpr() | AllExpr():
                yield Line(depth=depth, text=_together(expr))
                for inner in expr.of:
                    yield from self.lines(inner, depth + 1)
            case NotExpr():
                yield Line(depth=depth, text="须查明以下情况不存在:")
                yield from self.lines(expr.of, depth + 1)
            case ChooseExpr():
                parameter = self._parameters[expr.parameter]
                for word, inner in expr.cases.items():
                    text = f"申请人填写“{parameter.label}”为“{parameter.labels[word]}”的:"
                    yield Line(depth=depth, text=text)
                    yield from self.lines(inner, depth + 1)

    def _fact(self, expr: FactExpr) -> str:
        fact = self._facts[expr.fact]
        whose = f"“{self._parameters[expr.subject].label}”的" if expr.subject else "申请人的"
        compared = list(dict.fromkeys(self._labels(expr.expect)))
        told = list(dict.fromkeys(self._labels(expr.given)))
        text = f"向{fact.authority}核查{whose}“{fact.title}”"
        for said in self._literals(expr, fact):
            text += f",{said}"
        if compared:
            text += f",核对与{'、'.join(compared)}是否一致"
        if told:
            text += f",同时提供{'、'.join(told)}"
        if expr.from_age:
            text += f"(自年满 {expr.from_age} 周岁起)"
        return text

    def _literals(self, expr: FactExpr, fact: FactType) -> Iterator[str]:
        for name, operand in expr.expect.items():
            if not isinstance(operand, ParameterRef) and name in fact.labels:
                value = (
                    ("是" if operand else "否") if isinstance(operand, bool) else fact.labels.get(str(operand), operand)
                )
                yield f"“{fact.labels[name]}”须为“{value}”"

    def _labels(self, operands: Mapping[str, Operand]) -> Iterator[str]:
        for operand in operands.values():
            if isinstance(operand, ParameterRef):
                yield "申请人信息" if operand.name == APPLICANT else f"“{self._parameters[operand.name].label}”"


def _together(expr: AnyExpr | AllExpr) -> str:
    order = "依次核查" if expr.ordered else "同时核查"
    if isinstance(expr, AnyExpr):
        return f"以下任一项属实即可({order},已能确定的不再核查):"
    return f"以下各项均须属实({order}):"
