"""Reads fact types and items of a catalogue file."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.catalogue.expression import APPLICANT, Expr, facts_of
from gateway.catalogue.expressions import ExpressionReader
from gateway.catalogue.fields import Fields
from gateway.catalogue.mistakes import Mistakes
from gateway.catalogue.model import (
    AuditRules,
    Basis,
    CommitmentRules,
    FactType,
    Issuing,
    Item,
    Parameter,
    SourcePolicy,
    Transition,
    ValueType,
    Withdrawal,
)
from gateway.catalogue.nodes import Node, Scalar, whole_number
from gateway.catalogue.words import (
    LADDER_ORDER,
    Absence,
    Applicants,
    AuditTiming,
    Certainty,
    CommitmentAllowance,
    CommitmentMode,
    Disclosure,
    ItemState,
    Publication,
    Risk,
    Rung,
    Sensitivity,
    Sharing,
    SourcePolicyKind,
    ValueKind,
    WithdrawalEffect,
    WithdrawalUntil,
)

_VERIFIED = (ItemState.NOT_ISSUED_BY_COMMITTEE, ItemState.TRANSITIONAL)
_NOT_ASKED = (ValueKind.NAME, ValueKind.ID_NUMBER)
"""What no parameter is: applicants write texts and name persons, and fact types say how those are compared."""


def read_fact_type(node: Node, mistakes: Mistakes) -> FactType:
    """Read one fact type."""
    fields = Fields(node, "fact type", mistakes)
    code = fields.code("code")
    title = fields.text("title")
    fields.what = f"fact type {code!r} {title}".rstrip()
    attributes = fields.names("attributes", without=(ValueKind.PERSON,))
    fact = FactType(
        code=code,
        title=title,
        authority=fields.text("authority"),
        attributes=attributes,
        given=fields.names("given"),
        absence=fields.word("absence", Absence),
        sensitivity=fields.word("sensitivity", Sensitivity, Sensitivity.ORDINARY),
        sharing=fields.word("sharing", Sharing, Sharing.CONDITIONAL),
        sources=_source_policy(fields),
        labels=_labels(fields, attributes),
    )
    fields.done()
    return fact


def _labels(fields: Fields, attributes: Mapping[str, ValueType]) -> dict[str, str]:
    known = set(attributes).union(*(declared.words for declared in attributes.values()))
    labels = {}
    for name, node in fields.mapping("labels").items():
        labels[name] = _text_of(node)
        if name not in known or not labels[name]:
            fields.mistake(
                f"'labels' gives the Chinese for attributes and their words; {name!r} is neither", node.place
            )
    return labels


def _source_policy(fields: Fields) -> SourcePolicy:
    inner = fields.inner("sources", "sources")
    if inner is None:
        return SourcePolicy()
    kind = inner.word("policy", SourcePolicyKind)
    if kind is SourcePolicyKind.QUORUM and not inner.has("k"):
        inner.mistake("a quorum needs 'k', how many sources must decide alike")
    if kind is SourcePolicyKind.FIRST and inner.has("k"):
        inner.mistake("'k' belongs to quorum and all-agree", inner.place_of("k"))
    policy = SourcePolicy(kind=kind, k=inner.integer("k", 1, low=1, high=16))
    inner.done()
    return policy


def read_item(node: Node, list_code: str, facts: Mapping[str, FactType], mistakes: Mistakes) -> Item:
    """Read one item; every reference of its expression is checked against `facts`."""
    fields = Fields(node, "item", mistakes)
    code = fields.code("code")
    title = fields.text("title")
    fields.what = f"item {code!r} {title}".rstrip()
    state = fields.word("state", ItemState)
    parameters = _parameters(fields)
    commitment = _commitment(fields)
    item = Item(
        code=code,
        number=fields.integer("number", 0, low=0, high=9999),
        title=title,
        list_code=list_code,
        state=state,
        legal_basis=_legal_basis(fields),
        demanded_by=fields.text("demanded_by"),
        issued_by=fields.text("issued_by"),
        checked_by=fields.text("checked_by"),
        guide=fields.text("guide"),
        parameters=parameters,
        expression=_expression(fields, state, facts, parameters, mistakes),
        ladder=_ladder(fields, commitment.allowed),
        commitment=commitment,
        audit=_audit(fields),
        disclosure=fields.word("disclosure", Disclosure, Disclosure.PER_FACT),
        sensitivity=fields.word("sensitivity", Sensitivity, Sensitivity.ORDINARY),
        issuing=_issuing(fields, state),
        transition=_transition(fields, state),
        applicants=fields.word("applicants", Applicants, Applicants.PERSON),
    )
    _check_item(item, facts, fields)
    fields.done()
    return item


def _check_item(item: Item, facts: Mapping[str, FactType], fields: Fields) -> None:
    if item.sensitivity is Sensitivity.ORDINARY and item.expression is not None:
        used = {e.fact for e in facts_of(item.expression) if e.fact in facts}
        sensitive = sorted(code for code in used if facts[code].sensitivity is Sensitivity.SENSITIVE)
        if sensitive:
            fields.mistake(f"must be SENSITIVE, because it asks {', '.join(sensitive)}")
    committable = Rung.COMMITMENT in item.ladder or item.commitment.allowed is not CommitmentAllowance.NEVER
    if committable and not item.commitment.template:
        fields.mistake("'commitment' needs a 'template' where a commitment is possible", fields.place_of("commitment"))
    if committable and item.audit.timing is AuditTiming.NONE and not item.audit.due_source:
        fields.mistake("'audit' must say when a commitment is checked, or the 'due_source' that exempts it")


def _legal_basis(fields: Fields) -> tuple[Basis, ...]:
    found = []
    for node in fields.list("legal_basis", required=True):
        inner = Fields(node, f"{fields.what}: legal_basis", fields.mistakes)
        found.append(
            Basis(text=inner.text("text"), source=inner.text("source"), certainty=inner.word("certainty", Certainty))
        )
        inner.done()
    return tuple(found)


def _parameters(fields: Fields) -> dict[str, Parameter]:
    found = {}
    for name, node in fields.mapping("parameters").items():
        inner = Fields(node, f"{fields.what}: parameter {name!r}", fields.mistakes)
        if name == APPLICANT:
            inner.mistake("the name is taken: it means the applicant")
        type_node = inner.node("type", required=True)
        declared = inner.type_of(name, type_node, without=_NOT_ASKED) if type_node else ValueType(kind=ValueKind.STRING)
        labels = {word: _text_of(text) for word, text in inner.mapping("labels").items()}
        if set(labels) != set(declared.words) or not all(labels.values()):
            inner.mistake("'labels' gives the Chinese for each word of the enumeration and for nothing else")
        found[name] = Parameter(
            name=name,
            type=declared,
            label=inner.text("label"),
            required=inner.boolean("required", default=True),
            labels=labels,
        )
        inner.done()
    return found


def _text_of(node: Node) -> str:
    return node.raw.strip() if isinstance(node, Scalar) else ""


def _expression(
    fields: Fields,
    state: ItemState,
    facts: Mapping[str, FactType],
    parameters: Mapping[str, Parameter],
    mistakes: Mistakes,
) -> Expr | None:
    node = fields.node("expression", required=state in _VERIFIED)
    if node is None:
        return None
    reader = ExpressionReader(fields.what, facts, parameters, mistakes)
    expr = reader.read(node)
    reader.check_all_used(node.place)
    return expr


def _ladder(fields: Fields, allowed: CommitmentAllowance) -> tuple[Rung, ...]:
    place = fields.place_of("ladder")
    ladder = fields.words("ladder", Rung) or ()
    if list(ladder) != [rung for rung in LADDER_ORDER if rung in ladder]:
        order = ", ".join(rung.value for rung in LADDER_ORDER)
        fields.mistake(f"'ladder' keeps the order {order}, each once", place)
    if (Rung.COMMITMENT in ladder) != (allowed is CommitmentAllowance.BY_DEFAULT):
        fields.mistake("'ladder' ends in COMMITMENT exactly when 'commitment: allowed' is BY_DEFAULT", place)
    return ladder


def _commitment(fields: Fields) -> CommitmentRules:
    inner = fields.inner("commitment", "commitment")
    if inner is None:
        return CommitmentRules(allowed=CommitmentAllowance.NEVER)
    rules = CommitmentRules(
        allowed=inner.word("allowed", CommitmentAllowance),
        mode=inner.word("mode", CommitmentMode, CommitmentMode.LAST_RESORT),
        template=inner.text("template", required=False),
        proxy=inner.boolean("proxy", default=False),
        withdrawal=_withdrawal(inner),
        publication=inner.word("publication", Publication, Publication.NOT_PUBLIC),
    )
    inner.done()
    return rules


def _withdrawal(fields: Fields) -> Withdrawal:
    inner = fields.inner("withdrawal", "withdrawal")
    if inner is None:
        return Withdrawal()
    withdrawal = Withdrawal(
        until=inner.word("until", WithdrawalUntil, WithdrawalUntil.DECISION),
        after_effect=inner.word("after_effect", WithdrawalEffect, WithdrawalEffect.NONE),
    )
    inner.done()
    return withdrawal


def _audit(fields: Fields) -> AuditRules:
    inner = fields.inner("audit", "audit")
    if inner is None:
        return AuditRules(timing=AuditTiming.NONE)
    timing = inner.word("timing", AuditTiming)
    sampling = dict.fromkeys(Risk, 0)
    for word, node in inner.mapping("sampling").items():
        percent = whole_number(node.raw) if isinstance(node, Scalar) and node.kind == "int" else None
        if word not in Risk.__members__ or not isinstance(percent, int) or not 0 <= percent <= 100:
            inner.mistake("'sampling' gives LOW, MEDIUM and HIGH a whole percentage", node.place)
        else:
            sampling[Risk[word]] = percent
    rules = AuditRules(
        timing=timing,
        due_working_days=inner.integer("due_working_days", 60, low=1, high=750),
        due_source=inner.text("due_source", required=timing is not AuditTiming.NONE),
        sampling=sampling,
    )
    inner.done()
    return rules


def _issuing(fields: Fields, state: ItemState) -> Issuing | None:
    inner = fields.inner("issuing", "issuing")
    if inner is None:
        if state is ItemState.RETAINED:
            fields.mistake("a RETAINED item states 'issuing': form, procedure, time_limit, use and flow")
        return None
    communal = inner.boolean("communal_interest", default=False)
    issuing = Issuing(
        form=inner.text("form"),
        procedure=inner.text("procedure"),
        time_limit=inner.text("time_limit"),
        use=inner.text("use"),
        flow=inner.text("flow"),
        communal_interest=communal,
        deliberation=inner.text("deliberation", required=communal),
    )
    inner.done()
    # A list below may take the certificate from the committees; how they issued it then no longer applies.
    return issuing if state in (ItemState.RETAINED, ItemState.TRANSITIONAL) else None


def _transition(fields: Fields, state: ItemState) -> Transition | None:
    inner = fields.inner("transition", "transition")
    if inner is None:
        if state is ItemState.TRANSITIONAL:
            fields.mistake("a TRANSITIONAL item states 'transition': scope, risk_assessment and review_by")
        return None
    transition = Transition(
        scope=inner.text("scope"), risk_assessment=inner.text("risk_assessment"), review_by=inner.day("review_by")
    )
    inner.done()
    return transition if state is ItemState.TRANSITIONAL else None
