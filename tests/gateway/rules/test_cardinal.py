"""The cardinal rule, over everything the rules can be told: only missing data lead to a commitment."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.connector import Claim, Subject
from connectors.outcome import Cause, Evidence, Kind, Outcome
from gateway.catalogue.inheritance import refusals
from gateway.catalogue.model import FactType, SourcePolicy
from gateway.catalogue.strictness import compare_fact_types
from gateway.catalogue.words import (
    LADDER_ORDER,
    Absence,
    CommitmentMode,
    Rung,
    Sensitivity,
    Sharing,
    SourcePolicyKind,
)
from gateway.rules.fallback import FallbackInput, FallbackSettings, Situation, StepKind, next_step, situation
from gateway.rules.plan import AllOf, AnyOf, FactCheck, Leaf, Node, NotOf, Plan
from gateway.rules.reasons import Reason, ReasonKind
from gateway.rules.truth import Truth
from gateway.rules.verdict import LeafTruth, Verdict, doubted, evaluate, judge_sources, next_checks, sources_to_ask

NOW = datetime(2026, 11, 24, tzinfo=UTC)
AGREEING = (SourcePolicyKind.QUORUM, SourcePolicyKind.ALL_AGREE)
MISSING = {ReasonKind.NO_RECORD, ReasonKind.NOT_COVERED, ReasonKind.NOT_HELD, ReasonKind.REFUSED}

reasons = st.sampled_from(list(ReasonKind)).map(
    lambda kind: Reason(
        kind=kind,
        cause=Cause.OUTAGE if kind is ReasonKind.UNAVAILABLE else None,
        until=NOW if kind is ReasonKind.PENDING else None,
        attribute="x" if kind is ReasonKind.NEEDS_ATTRIBUTE else "",
    )
)
settings = st.builds(
    FallbackSettings,
    ladder=st.sets(st.sampled_from(list(Rung))).map(lambda chosen: tuple(r for r in LADDER_ORDER if r in chosen)),
    commitment_mode=st.sampled_from(list(CommitmentMode)),
    commitment_open=st.booleans(),
    patience=st.just(timedelta(days=1)),
    retry_after=st.just(timedelta(minutes=10)),
    confirm_by_clerk=st.booleans(),
)
situations = st.builds(
    FallbackInput,
    verdict=st.sampled_from(list(Verdict)),
    reasons=st.frozensets(reasons, max_size=4),
    settings=settings,
    attempted=st.frozensets(st.sampled_from(list(Rung))),
    patience_passed=st.booleans(),
)


@given(situations)
def test_only_missing_data_ever_lead_to_a_commitment(given_: FallbackInput) -> None:
    step = next_step(given_)

    assert isinstance(step.kind, StepKind)
    assert step.explanation
    if step.kind is StepKind.COMMITMENT:
        assert given_.verdict is Verdict.UNDETERMINED
        assert given_.reasons
        assert {reason.kind for reason in given_.reasons} <= MISSING
        assert given_.settings.commitment_open


def outcome(kind: Kind) -> Outcome:
    return Outcome(
        kind=kind,
        cause=Cause.TIMEOUT if kind is Kind.UNAVAILABLE else None,
        until=NOW if kind is Kind.PENDING else None,
        attribute="x" if kind is Kind.NEEDS_ATTRIBUTE else "",
        rule="r" if kind is Kind.REFUSED else "",
    )


def evidence(kind: Kind) -> Evidence:
    return Evidence(source="s", fact_type="f", outcome=outcome(kind), asked_at=NOW, answered_at=NOW)


def test_an_outage_is_never_taken_for_no_record_whatever_the_policy() -> None:
    for policy, conclusive in itertools.product(SourcePolicyKind, (True, False)):
        found = judge_sources(SourcePolicy(kind=policy), [evidence(Kind.UNAVAILABLE)], absence_conclusive=conclusive)

        assert found.truth is Truth.UNKNOWN
        assert {reason.kind for reason in found.reasons} == {ReasonKind.UNAVAILABLE}


def test_two_sources_that_disagree_are_a_conflict_under_every_policy() -> None:
    for policy in SourcePolicyKind:
        found = judge_sources(
            SourcePolicy(kind=policy), [evidence(Kind.MATCH), evidence(Kind.MISMATCH)], absence_conclusive=True
        )

        assert {reason.kind for reason in found.reasons} == {ReasonKind.CONFLICT}


def test_what_one_source_knows_is_never_committed_away_over_the_silence_of_the_others() -> None:
    """Counted out: a source that decides beside up to two that do not, in each place, under every policy and ladder."""
    silent = [kind for kind in Kind if kind not in (Kind.MATCH, Kind.MISMATCH)]
    policies = [SourcePolicy(kind=kind, k=k) for kind in SourcePolicyKind for k in (1, 2, 3, 4)]
    modes = [
        FallbackSettings(
            ladder=(Rung.COMMITMENT,),
            commitment_mode=mode,
            commitment_open=True,
            patience=timedelta(0),
            retry_after=timedelta(0),
        )
        for mode in CommitmentMode
    ]
    for policy, decisive, count in itertools.product(policies, (Kind.MATCH, Kind.MISMATCH), (0, 1, 2)):
        for others, place, conclusive in itertools.product(
            itertools.product(silent, repeat=count), range(count + 1), (True, False)
        ):
            kinds = [*others[:place], decisive, *others[place:]]
            found = judge_sources(policy, [evidence(kind) for kind in kinds], absence_conclusive=conclusive)
            for settings_ in modes if found.truth is Truth.UNKNOWN else ():
                given_ = FallbackInput(
                    verdict=Verdict.UNDETERMINED,
                    reasons=found.reasons,
                    settings=settings_,
                    attempted=frozenset(Rung),
                    patience_passed=True,
                )
                assert next_step(given_).kind is not StepKind.COMMITMENT, (policy, kinds)


@given(st.sampled_from(list(Kind)), st.booleans())
def test_every_outcome_of_one_source_has_one_truth(kind: Kind, conclusive: bool) -> None:
    found = judge_sources(SourcePolicy(), [evidence(kind)], absence_conclusive=conclusive)

    expected = {Kind.MATCH: Truth.TRUE, Kind.MISMATCH: Truth.FALSE}.get(kind, Truth.UNKNOWN)
    if kind is Kind.NO_RECORD and conclusive:
        expected = Truth.FALSE
    assert found.truth is expected


NAMES = ("a", "b", "c", "d")
trees: st.SearchStrategy[Node] = st.recursive(
    st.sampled_from(NAMES).map(lambda name: Leaf(id=name)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda of: AnyOf(of=tuple(of))),
        st.lists(inner, min_size=1, max_size=3).map(lambda of: AllOf(of=tuple(of))),
        inner.map(lambda of: NotOf(of=of)),
    ),
    max_leaves=8,
)
known = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([Truth.TRUE, Truth.FALSE, Truth.UNKNOWN]))


def plan_of(root: Node) -> Plan:
    subject = Subject(id_type="uscc", id_number="x", name="x")
    check = {
        name: FactCheck(
            id=name,
            fact_type=name,
            claim=Claim(fact_type=name, subject=subject),
            absence_conclusive=False,
            policy=SourcePolicy(),
            sensitive=False,
        )
        for name in NAMES
    }
    return Plan(root=root, checks=check)


def naive(node: Node, values: dict[str, bool]) -> bool:
    match node:
        case Leaf():
            return values[node.id]
        case AnyOf():
            return any(naive(inner, values) for inner in node.of)
        case AllOf():
            return all(naive(inner, values) for inner in node.of)
        case NotOf():
            return not naive(node.of, values)


@given(trees, known)
def test_a_decided_verdict_agrees_with_every_way_the_open_leaves_could_turn_out(
    root: Node, truths: dict[str, Truth]
) -> None:
    missing = frozenset({Reason(kind=ReasonKind.NO_RECORD)})
    answers = {
        name: LeafTruth(truth=truth, reasons=missing if truth is Truth.UNKNOWN else frozenset())
        for name, truth in truths.items()
    }
    found = evaluate(plan_of(root), answers)
    open_leaves = [name for name in NAMES if truths.get(name, Truth.UNKNOWN) is Truth.UNKNOWN]
    certain = {name: truths.get(name) is Truth.TRUE for name in NAMES}
    worlds = {
        naive(root, certain | dict(zip(open_leaves, turn, strict=True)))
        for turn in itertools.product((True, False), repeat=len(open_leaves))
    }

    if found.verdict is Verdict.ESTABLISHED:
        assert worlds == {True}
    elif found.verdict is Verdict.CONTRADICTED:
        assert worlds == {False}
    else:
        assert found.reasons
        assert set(found.undecided) <= set(open_leaves)
    if found.verdict in (Verdict.ESTABLISHED, Verdict.CONTRADICTED):
        assert next_checks(plan_of(root), answers) == ()


@pytest.mark.parametrize("first", ["a", "b"])
def test_whether_people_found_a_fact_untrue_does_not_depend_on_which_source_answers_first(first: str) -> None:
    """Whoever says that not both, a or b, and c are so: b is, by its source; people found a so; of c nobody knows."""
    planned = plan_of(NotOf(of=AllOf(of=(AnyOf(of=(Leaf(id="a"), Leaf(id="b"))), Leaf(id="c")))))
    heard = {"a": [said("a", Kind.MISMATCH)]}
    answers: dict[str, LeafTruth] = {}
    found = {
        "a": judge_sources(
            SourcePolicy(), [said("a", Kind.NOT_COVERED)], absence_conclusive=False, people=heard["a"], negated=True
        ),
        "b": LeafTruth(truth=Truth.TRUE),
        "c": LeafTruth(truth=Truth.UNKNOWN, reasons=frozenset({Reason(kind=ReasonKind.NOT_COVERED)})),
    }
    while waiting := next_checks(planned, answers, doubted(planned, heard)):
        check = min(waiting, key=lambda one: one.id != first)
        answers[check.id] = found[check.id]

    judged = evaluate(planned, answers)
    assert {reason.kind for reason in judged.reasons} == {ReasonKind.NOT_COVERED, ReasonKind.DISPROVED}
    assert situation(judged.verdict, judged.reasons) is Situation.DISPROVED


def said(fact_type: str, kind: Kind) -> Evidence:
    return Evidence(source="s", fact_type=fact_type, outcome=Outcome(kind=kind), asked_at=NOW, answered_at=NOW)


def weighings() -> list[FactType]:
    """Every way in which the sources of a fact may be weighed, and what its absence may prove."""
    policies = [SourcePolicy(), *(SourcePolicy(kind=kind, k=k) for kind in AGREEING for k in (1, 2, 3))]
    return [
        FactType(code="a", title="", authority="", attributes={}, given={}, absence=absence,
                 sensitivity=Sensitivity.ORDINARY, sharing=Sharing.CONDITIONAL, sources=policy)
        for policy, absence in itertools.product(policies, Absence)
    ]  # fmt: skip


def weighed(fact: FactType, kinds: Sequence[Kind]) -> LeafTruth:
    conclusive = fact.absence is Absence.CONCLUSIVE
    told: list[Evidence] = []
    while more := sources_to_ask(fact.sources, told, absence_conclusive=conclusive, sources=len(kinds)):
        told += [evidence(kind) for kind in kinds[len(told) : len(told) + more]]
    return judge_sources(fact.sources, told, absence_conclusive=conclusive, sources=len(kinds))


def accepted_changes() -> set[tuple[LeafTruth, LeafTruth]]:
    """What one fact comes to above and below, over every change that is accepted and every outcome of two sources."""
    found = set()
    for was, now in itertools.product(weighings(), repeat=2):
        if not list(refusals(compare_fact_types(was, now))):
            for kinds in [*itertools.product(Kind, repeat=2), *((kind,) for kind in Kind)]:
                found.add((weighed(was, kinds), weighed(now, kinds)))
    return found


A, B, C = (Leaf(id=name) for name in ("a", "b", "c"))
SHAPES: list[Node] = [
    A,
    NotOf(of=A),
    AnyOf(of=(A, B)),
    AllOf(of=(A, B)),
    AnyOf(of=(AllOf(of=(A, B)), C)),
    AllOf(of=(AnyOf(of=(A, B)), C)),
    AnyOf(of=(AllOf(of=(NotOf(of=A), B)), C)),
    AllOf(of=(AnyOf(of=(NotOf(of=A), B)), C)),
]


def test_no_weighing_that_is_accepted_below_turns_anything_into_missing_data() -> None:
    """Counted out: each accepted change of one fact, beside two others that may come to anything, in every shape."""
    beside = [LeafTruth(truth=Truth.TRUE), LeafTruth(truth=Truth.FALSE)] + [
        LeafTruth(truth=Truth.UNKNOWN, reasons=frozenset({Reason(kind=kind)}))
        for kind in (ReasonKind.NO_RECORD, ReasonKind.CONFLICT, ReasonKind.STALE, ReasonKind.PENDING)
    ]
    changes = accepted_changes()
    assert any(above != below for above, below in changes)
    for (above, below), root, b, c in itertools.product(changes, SHAPES, beside, beside):
        first, then = (evaluate(plan_of(root), {"a": leaf, "b": b, "c": c}) for leaf in (above, below))
        if situation(then.verdict, then.reasons) is Situation.MISSING:
            assert situation(first.verdict, first.reasons) is Situation.MISSING, (above, below, root, b, c)
