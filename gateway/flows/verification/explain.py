"""Explain: who would be asked, in which order and why, and what the caller may not ask; asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from gateway.catalogue.expression import AllExpr, AnyExpr, ChooseExpr, Expr, FactExpr, NotExpr
from gateway.catalogue.model import Catalogue, FactType, Item, Matter, SourcePolicy
from gateway.catalogue.words import Sensitivity, SourcePolicyKind
from gateway.errors import GatewayError
from gateway.flows.verification.verify import require_entitled
from gateway.rules.roles import Caller, Role

SourcesFor = Callable[[str], Sequence[str]]
"""Names the configured sources of a type of fact, in order."""
DepartmentOf = Callable[[str], str]
"""Names the department of a configured source; empty where none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedFact:
    """One fact that would be asked, at which step (from 1), of whom, and why, in Chinese."""

    step: int
    fact_type: str
    sources: tuple[str, ...]
    why: str
    sensitive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A plan in words: its facts in the order of asking, what the caller may not ask, and the text for a person."""

    facts: tuple[ExplainedFact, ...]
    not_entitled: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    step: int
    fact: FactExpr
    role: str


def explain_plan(
    catalogue: Catalogue,
    item: Item,
    matter: Matter,
    caller: Caller,
    *,
    words: dict[str, str],
    sources_for: SourcesFor,
    department_of: DepartmentOf,
    askers: Collection[Role],
) -> Explained:
    """Explain what asking an item for a matter comes to; `words` are the enumeration values that are known already."""
    placed = _placed(item, words)
    facts = tuple(_fact(catalogue.fact_types[one.fact.fact], one, sources_for) for one in placed)
    refused = tuple(_refusals(item, matter, caller, askers))
    heading = f"“{matter.title}”核验“{item.title}”:"
    text = _text(catalogue, heading, facts, refused, department_of)
    return Explained(facts=facts, not_entitled=refused, text=text)


def _refusals(item: Item, matter: Matter, caller: Caller, askers: Collection[Role]) -> Iterator[str]:
    if not caller.roles & set(askers):
        yield "NOT_ENTITLED: 该系统没有提出核验的角色。"
    try:
        require_entitled(caller, item, matter)
    except GatewayError as refusal:
        yield f"{refusal.reason}: {refusal.chinese}"


def _placed(item: Item, words: dict[str, str]) -> list[_Placed]:
    """Give each fact once, at its earliest step, with everything it is asked for."""
    if item.expression is None:
        return []
    found: dict[tuple[str, str], _Placed] = {}
    for one in _walk(item.expression, item, words, 1, "核实申请人所述"):
        key = (one.fact.fact, one.fact.subject)
        before = found.get(key)
        if before is None:
            found[key] = one
        elif one.role not in before.role:
            found[key] = replace(before, step=min(before.step, one.step), role=f"{before.role};{one.role}")
    return sorted(found.values(), key=lambda one: one.step)


def _walk(expr: Expr, item: Item, words: dict[str, str], step: int, role: str) -> Iterator[_Placed]:
    match expr:
        case FactExpr():
            yield _Placed(step=step, fact=expr, role=role)
        case NotExpr():
            yield from _walk(expr.of, item, words, step, f"{role}(查无相反记录)")
        case AnyExpr() | AllExpr():
            part = "其中任一项属实即可" if isinstance(expr, AnyExpr) else "各项均须属实"
            for inner in expr.of:
                yield from _walk(inner, item, words, step, f"{role},{part}")
                if expr.ordered:
                    step += _depth(inner, item, words)
        case ChooseExpr():
            known = words.get(expr.parameter)
            labels = item.parameters[expr.parameter].labels
            for word, inner in expr.cases.items():
                if known is None:
                    yield from _walk(inner, item, words, step, f"申请人选择“{labels.get(word, word)}”时,{role}")
                elif known == word:
                    yield from _walk(inner, item, words, step, role)


def _depth(expr: Expr, item: Item, words: dict[str, str]) -> int:
    return max((one.step for one in _walk(expr, item, words, 1, "")), default=1)


def _fact(fact: FactType, placed: _Placed, sources_for: SourcesFor) -> ExplainedFact:
    sources = tuple(sources_for(fact.code))
    reasons = [placed.role, _weighing(fact.sources, len(sources))]
    if placed.fact.subject:
        reasons.append(f"核查对象为参数“{placed.fact.subject}”所指的人")
    if fact.sensitivity is Sensitivity.SENSITIVE:
        reasons.append("涉及敏感个人信息")
    return ExplainedFact(
        step=placed.step,
        fact_type=fact.code,
        sources=sources,
        why=";".join(reason for reason in reasons if reason),
        sensitive=fact.sensitivity is Sensitivity.SENSITIVE,
    )


def _weighing(policy: SourcePolicy, sources: int) -> str:
    if not sources:
        return "本地没有部门共享此项数据,视为未覆盖"
    if sources == 1:
        return ""
    match policy.kind:
        case SourcePolicyKind.FIRST:
            return "按顺序逐个询问,有一个来源能够确定即止"
        case SourcePolicyKind.QUORUM:
            return f"同时询问,至少 {policy.k} 个来源一致"
        case SourcePolicyKind.ALL_AGREE:
            return "同时询问,全部来源须一致"


def _text(
    catalogue: Catalogue,
    heading: str,
    facts: Sequence[ExplainedFact],
    refused: Sequence[str],
    department_of: DepartmentOf,
) -> str:
    lines = [heading]
    if not facts:
        lines.append("不向任何部门询问。")
    for fact in facts:
        known = catalogue.fact_types[fact.fact_type]
        named = dict.fromkeys(department_of(source) or f"“{source}”" for source in fact.sources)
        asked = "、".join(named) or "(无来源)"
        lines.append(f"第 {fact.step} 步 {known.title}({known.authority}):询问{asked}。{fact.why}。")
    lines += [f"不得询问:{rule}" for rule in refused]
    return "\n".join(lines)
