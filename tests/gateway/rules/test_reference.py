"""The rules against a second evaluator, and the cardinal rule, over catalogues of the loader's own grammar."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from connectors.connector import Claim, Subject
from connectors.outcome import MISMATCH, NO_RECORD, OTHER_IDENTITY, Cause, Evidence, Kind, Outcome
from gateway.catalogue.model import Item, SourcePolicy
from gateway.catalogue.words import CommitmentAllowance, ItemState, Rung, SourcePolicyKind
from gateway.rules.fallback import FallbackInput, Situation, StepKind, course, next_step, settings_for, situation
from gateway.rules.people import OUTCOMES
from gateway.rules.plan import Leaf, NotOf, Plan, plan
from gateway.rules.reasons import ReasonKind
from gateway.rules.truth import Truth
from gateway.rules.verdict import (
    Judgement,
    LeafTruth,
    Verdict,
    doubted,
    evaluate,
    judge,
    judge_sources,
    next_checks,
    sources_to_ask,
)
from tests.gateway.catalogue.grammar import MATTER, WORDS, Drawn, catalogues, chains
from tests.gateway.rules import reference

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TODAY = NOW.date()
SELF = Subject(id_type="resident-id", id_number="230199198001010072", name="示例甲")
OTHER = Subject(id_type="resident-id", id_number="230199200402290014", name="示例乙")
AGREEING = (SourcePolicyKind.QUORUM, SourcePolicyKind.ALL_AGREE)
DECIDING = (Outcome(kind=Kind.MATCH), MISMATCH, NO_RECORD, OTHER_IDENTITY)
HELD = (Kind.NOT_HELD, Kind.AMBIGUOUS, Kind.SUBJECT_INACTIVE, Kind.NEEDS_ATTRIBUTE)
"""Drawn oftener than chance would: other outcomes rarely let a question be decided."""
MISSING = {Kind.NO_RECORD, Kind.NOT_COVERED, Kind.NOT_HELD, Kind.REFUSED}

thoroughly = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)


def outcome(kind: Kind) -> Outcome:
    return Outcome(
        kind=kind,
        cause=Cause.TIMEOUT if kind is Kind.UNAVAILABLE else None,
        until=NOW if kind is Kind.PENDING else None,
        attribute="x" if kind is Kind.NEEDS_ATTRIBUTE else "",
        rule="r" if kind is Kind.REFUSED else "",
    )


EVERY = (*map(outcome, Kind), OTHER_IDENTITY)
"""The twelve, and a record of another name."""
SILENT = tuple(outcome(kind) for kind in set(Kind) - {Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD})


def evidence(fact: str, said: Outcome) -> Evidence:
    return Evidence(source="s", fact_type=fact, outcome=said, asked_at=NOW, answered_at=NOW)


class World:
    """What each source would say of each claim, decided when first asked; and what was really asked."""

    def __init__(
        self,
        draw: st.DataObject,
        sources: Mapping[str, int],
        heard: Mapping[str, Sequence[Kind]] | None = None,
        of: Sequence[Outcome] = EVERY,
    ) -> None:
        self._heard = heard or {}
        self._of = of
        self._draw = draw
        self._sources = sources
        self._said: dict[reference.Key, tuple[Outcome, ...]] = {}
        self.asked: list[Evidence] = []
        self.evidence: dict[str, tuple[Evidence, ...]] = {}

    def said(self, key: reference.Key) -> tuple[Outcome, ...]:
        if key not in self._said:
            count = self._sources[str(key[0])]
            one = st.sampled_from(self._of) | st.sampled_from([said for said in self._of if said in DECIDING])
            said = st.lists(one, min_size=count, max_size=count)
            self._said[key] = tuple(self._draw.draw(said)) if count else (outcome(Kind.NOT_COVERED),)
        return self._said[key]

    def ask(self, planned: Plan) -> Judgement:
        """Ask as the gateway does, the checks that run together ending in any order."""
        answers: dict[str, LeafTruth] = {}
        signs = planned.signs()
        heard = {
            fact: [evidence(fact, outcome(kind)) for kind in kinds] for fact, kinds in self._heard.items()
        }  # fmt: skip
        while waiting := next_checks(planned, answers, doubted(planned, heard)):
            check = self._draw.draw(st.sampled_from(waiting))
            said = self.said(claim_key(check.claim))
            told: list[Evidence] = []
            negated = signs.get(check.id, True)
            while more := sources_to_ask(
                check.policy, told, absence_conclusive=check.absence_conclusive, sources=len(said), negated=negated
            ):
                told += [evidence(check.fact_type, one) for one in said[len(told) : len(told) + more]]
            people = self._heard.get(check.fact_type, ()) if check.id in signs else ()
            answers[check.id] = judge(
                check, told, sources=len(said), people=[evidence(check.fact_type, outcome(kind)) for kind in people],
                negated=negated,
            )  # fmt: skip
            self.evidence[check.id] = tuple(told)
            self.asked += told
        return evaluate(planned, answers)


def claim_key(claim: Claim) -> reference.Key:
    """The same question in the reference's words."""
    return (
        claim.fact_type,
        (claim.subject.name, claim.subject.id_number),
        frozenset(claim.expected.items()),
        frozenset(claim.given.items()),
        claim.place,
        claim.period,
    )


def arguments(draw: st.DataObject, item: Item) -> dict[str, str | Subject]:
    found: dict[str, str | Subject] = {}
    for name, parameter in item.parameters.items():
        if parameter.required or draw.draw(st.booleans()):
            found[name] = {"other": OTHER, "choice": draw.draw(st.sampled_from(WORDS))}.get(name, "所述")
    return found


def question(draw: st.DataObject, drawn: Drawn) -> tuple[Item, dict[str, str | Subject]]:
    item = draw.draw(st.sampled_from(list(drawn.catalogue.items.values())))
    return item, arguments(draw, item)


def in_words(said: Sequence[Outcome]) -> tuple[str, ...]:
    return tuple("OTHER_NAME" if one.other_identity else one.kind.value for one in said)


@pytest.mark.parametrize("negated", [True, False])
@pytest.mark.parametrize("conclusive", [True, False])
@pytest.mark.parametrize(
    "policy", [SourcePolicy(), *(SourcePolicy(kind=kind, k=k) for kind in AGREEING for k in (1, 2, 3))]
)
def test_up_to_three_sources_are_weighed_as_the_reference_does(
    policy: SourcePolicy, conclusive: bool, negated: bool
) -> None:
    """Counted out: every outcome of every source, under every policy."""
    raw = {
        "absence": "conclusive" if conclusive else "inconclusive",
        "sources": {"policy": policy.kind.value, "k": policy.k},
    }
    for count in (1, 2, 3):
        for said in itertools.product(EVERY, repeat=count):
            told: list[Evidence] = []
            while more := sources_to_ask(policy, told, absence_conclusive=conclusive, sources=count, negated=negated):
                told += [evidence("f", one) for one in said[len(told) : len(told) + more]]
            found = judge_sources(policy, told, absence_conclusive=conclusive, sources=count, negated=negated)
            truth, reasons = reference.fact_truth(in_words(said), raw, negated=negated)
            if negated and any(one.outcome.other_identity for one in told):
                assert found.truth is not Truth.FALSE, "a record of another name bore a denial out"

            assert found.truth is {1: Truth.TRUE, 0: Truth.FALSE, 0.5: Truth.UNKNOWN}[truth]
            assert {reason.kind.value for reason in found.reasons} == reasons


@pytest.mark.parametrize("negated", [True, False])
@pytest.mark.parametrize(
    "policy", [SourcePolicy(), *(SourcePolicy(kind=kind, k=k) for kind in AGREEING for k in (1, 2, 3))]
)
def test_absence_proves_nothing_beside_a_source_that_tells_of_a_record(policy: SourcePolicy, negated: bool) -> None:
    """Counted out: up to three sources, one without a record and one with it, and none that says what is in it."""
    for count in (2, 3):
        for said in itertools.product(EVERY, repeat=count):
            told: list[Evidence] = []
            while more := sources_to_ask(policy, told, absence_conclusive=True, sources=count, negated=negated):
                told += [evidence("f", one) for one in said[len(told) : len(told) + more]]
            outcomes = [one.outcome for one in told]
            of_a_record = [one for one in outcomes if one.other_identity or one.kind in HELD]
            if NO_RECORD not in outcomes or not of_a_record or Outcome(kind=Kind.MATCH) in outcomes:
                continue
            found = judge_sources(policy, told, absence_conclusive=True, sources=count, negated=negated)
            kinds = {reason.kind for reason in found.reasons}
            if MISMATCH not in outcomes:
                assert found.truth is Truth.UNKNOWN, (outcomes, "an absence decided")
            if found.truth is Truth.UNKNOWN:
                assert (ReasonKind.AMBIGUOUS if negated else ReasonKind.CONFLICT) in kinds
                assert kinds.isdisjoint({ReasonKind.NO_RECORD, ReasonKind.NOT_HELD})
                asked_for = not negated and any(one.kind is Kind.NEEDS_ATTRIBUTE for one in outcomes)
                assert (ReasonKind.NEEDS_ATTRIBUTE in kinds) == asked_for, "who claims it can settle it"
                assert situation(Verdict.UNDETERMINED, found.reasons) is not Situation.MISSING
                assert negated is False or ReasonKind.CONFLICT not in kinds, "held against who denies it"


@pytest.mark.parametrize("kind", HELD)
@pytest.mark.parametrize("negated", [True, False])
def test_people_settle_what_sources_disagree_about_and_their_doubt_settles_nothing(kind: Kind, negated: bool) -> None:
    told = [evidence("f", outcome(kind)), evidence("f", NO_RECORD)]

    def weighed(*words: Kind) -> LeafTruth:
        people = [evidence("f", outcome(word)) for word in words]
        return judge_sources(SourcePolicy(), told, absence_conclusive=True, people=people, negated=negated)

    assert weighed(Kind.MATCH).truth is (Truth.FALSE if negated else Truth.TRUE)
    assert weighed(Kind.MISMATCH).truth is (Truth.TRUE if negated else Truth.FALSE)
    assert weighed(Kind.MISMATCH).disproved
    for word in (Kind.NO_RECORD, Kind.AMBIGUOUS, Kind.PENDING):
        assert weighed(word).truth is Truth.UNKNOWN
        assert ReasonKind(word.value) in {reason.kind for reason in weighed(word).reasons}
    alone = judge_sources(
        SourcePolicy(), [evidence("f", NO_RECORD)], absence_conclusive=True,
        people=[evidence("f", outcome(Kind.AMBIGUOUS))], negated=negated,
    )  # fmt: skip
    assert alone.truth is Truth.FALSE, "people who cannot tell have not found a record"


FACTS = ("fact-a", "fact-b", "fact-c")
sources = st.fixed_dictionaries(dict.fromkeys(FACTS, st.integers(0, 3)))
FOUND = (*OUTCOMES, Kind.REFUSED, Kind.PENDING, Kind.UNAVAILABLE)
people = st.fixed_dictionaries(dict.fromkeys(FACTS, st.lists(st.sampled_from(FOUND), max_size=2)))


@thoroughly
@given(st.data(), catalogues(), sources, people, st.sets(st.sampled_from(list(Rung))), st.booleans())
def test_no_disagreement_with_the_reference_evaluator(
    draw: st.DataObject,
    drawn: Drawn,
    count: dict[str, int],
    heard: dict[str, list[Kind]],
    attempted: set[Rung],
    impatient: bool,
) -> None:
    item, given_ = question(draw, drawn)
    planned = plan(item, given_, SELF, drawn.catalogue.fact_types, today=TODAY)
    world = World(draw, count, heard)
    judged = world.ask(planned)

    applicant = reference.Applicant(
        person=(SELF.name, SELF.id_number),
        arguments={name: (v.name, v.id_number) if isinstance(v, Subject) else v for name, v in given_.items()},
        today=TODAY,
    )
    facts = {code: drawn.raw_fact(code) for code in drawn.catalogue.fact_types}
    raw = drawn.raw_item(item.code)
    in_their_words = {fact: tuple(kind.value for kind in kinds) for fact, kinds in heard.items()}
    naive = reference.Reference(facts, applicant, lambda key: in_words(world.said(key)), in_their_words)
    verdict, reasons = naive.verdict(raw["expression"])
    event(verdict)

    assert judged.verdict.value == verdict
    assert {reason.kind.value for reason in judged.reasons} == reasons
    matter = drawn.catalogue.matter(MATTER)
    asked = next(one for one in drawn.raw_matter()["items"] if one["item"] == item.code)
    step = next_step(
        FallbackInput(
            verdict=judged.verdict,
            reasons=judged.reasons,
            settings=settings_for(item, matter),
            attempted=frozenset(attempted),
            patience_passed=impatient,
        )
    )
    tried = frozenset(rung.value for rung in attempted)
    expected = reference.next_step(verdict, reasons, raw, asked, attempted=tried, impatient=impatient)
    event(expected)
    assert step.kind.value == expected


@thoroughly
@given(st.data(), catalogues(), sources)
def test_records_of_another_name_establish_nothing_whatever_is_claimed_or_denied(
    draw: st.DataObject, drawn: Drawn, count: dict[str, int]
) -> None:
    item, given_ = question(draw, drawn)
    planned = plan(item, given_, SELF, drawn.catalogue.fact_types, today=TODAY)
    judged = World(draw, count, of=(OTHER_IDENTITY, *SILENT)).ask(planned)
    event(judged.verdict.value)
    assert judged.verdict is not Verdict.ESTABLISHED
    denied = Plan(root=NotOf(of=planned.root), checks=planned.checks)
    assert World(draw, count, of=(OTHER_IDENTITY, *SILENT)).ask(denied).verdict is not Verdict.ESTABLISHED


@thoroughly
@given(st.data(), catalogues(), sources)
def test_a_denial_is_not_borne_out_beside_a_record_of_another_name_and_never_leads_to_a_commitment(
    draw: st.DataObject, drawn: Drawn, count: dict[str, int]
) -> None:
    item, given_ = question(draw, drawn)
    planned = plan(item, given_, SELF, drawn.catalogue.fact_types, today=TODAY)
    leaf = draw.draw(st.sampled_from(sorted(planned.checks)))
    denied = Plan(root=NotOf(of=Leaf(id=leaf)), checks={leaf: planned.checks[leaf]})
    world = World(draw, count)
    judged = world.ask(denied)
    event(judged.verdict.value)
    if any(one.outcome.other_identity for one in world.asked):
        assert judged.verdict is not Verdict.ESTABLISHED
        in_force = settings_for(item, drawn.catalogue.matter(MATTER))
        assert StepKind.COMMITMENT not in course(situation(judged.verdict, judged.reasons), in_force)


@thoroughly
@given(st.data(), catalogues(), sources, st.sets(st.sampled_from(list(Rung))), st.booleans())
def test_no_path_leads_from_unavailable_or_contradicted_to_a_commitment(
    draw: st.DataObject, drawn: Drawn, count: dict[str, int], attempted: set[Rung], impatient: bool
) -> None:
    item, given_ = question(draw, drawn)
    planned = plan(item, given_, SELF, drawn.catalogue.fact_types, today=TODAY)
    world = World(draw, count)
    judged = world.ask(planned)
    decided = judged.verdict in (Verdict.ESTABLISHED, Verdict.CONTRADICTED)
    assert decided == (judged.undecided == ())
    assert set(judged.undecided) <= set(world.evidence), "an open leaf was not asked"
    matter = drawn.catalogue.matter(MATTER)
    in_force = settings_for(item, matter)
    step = next_step(
        FallbackInput(
            verdict=judged.verdict,
            reasons=judged.reasons,
            settings=in_force,
            attempted=frozenset(attempted),
            patience_passed=impatient,
        )
    )
    event(f"{judged.verdict.value} → {step.kind.value}")

    undecided = [one.outcome.kind for leaf in judged.undecided for one in world.evidence[leaf]]
    if judged.verdict is Verdict.CONTRADICTED or Kind.UNAVAILABLE in undecided:
        assert step.kind is not StepKind.COMMITMENT
    if step.kind is StepKind.COMMITMENT:
        assert judged.verdict is Verdict.UNDETERMINED
        assert judged.reasons
        assert {reason.kind for reason in judged.reasons} <= {ReasonKind(kind.value) for kind in MISSING}
        assert set(undecided) <= MISSING, "what a source said was forgotten over the silence of others"
        assert item.commitment.allowed is not CommitmentAllowance.NEVER
        assert item.state is not ItemState.BANNED
        assert not matter.items[item.code].excluded_from_commitment
    for where in set(Situation) - {Situation.MISSING}:
        assert StepKind.COMMITMENT not in course(where, in_force)


@thoroughly
@given(st.data(), chains(), sources, st.sets(st.sampled_from(list(Rung))), st.booleans())
def test_no_list_that_is_accepted_as_stricter_opens_a_commitment_that_the_list_above_did_not(
    draw: st.DataObject, drawn: Drawn, count: dict[str, int], attempted: set[Rung], impatient: bool
) -> None:
    """On the same evidence. What was established above may be asked more of below, and of that more may be missing."""
    item, given_ = question(draw, drawn)
    world = World(draw, count)
    verdicts, steps = [], []
    for catalogue in (drawn.above(), drawn.catalogue):
        planned = plan(catalogue.items[item.code], given_, SELF, catalogue.fact_types, today=TODAY)
        judged = world.ask(planned)
        step = next_step(
            FallbackInput(
                verdict=judged.verdict,
                reasons=judged.reasons,
                settings=settings_for(catalogue.items[item.code], catalogue.matter(MATTER)),
                attempted=frozenset(attempted),
                patience_passed=impatient,
            )
        )
        verdicts.append(judged.verdict)
        steps.append(step.kind)
    event(f"{steps[0].value} → {steps[1].value}")

    if steps[1] is StepKind.COMMITMENT and steps[0] is not StepKind.COMMITMENT:
        assert verdicts[0] is Verdict.ESTABLISHED
        assert drawn.above().items[item.code].expression != item.expression
