"""From evidence to verdict: pure, total, and never more than the sources said.

MATCH is true; MISMATCH is false; NO_RECORD is false only where absence is conclusive; everything else is unknown
with its reason. That a record bears another name proves no denial: it may be the subject's, under a name that was
written wrong or borne before. Nor does absence prove anything beside a source that says there is a record. Only the
reasons of leaves that could still decide the question count.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.outcome import Evidence, Kind, Outcome
from gateway.catalogue.model import SourcePolicy
from gateway.catalogue.words import SourcePolicyKind
from gateway.rules.plan import AllOf, AnyOf, FactCheck, Leaf, Node, NotOf, Plan
from gateway.rules.reasons import (
    AMBIGUOUS,
    CONFLICT,
    DISPROVED,
    NOT_ASKED,
    UNCONFIRMED,
    Reason,
    ReasonKind,
    Strength,
    reason_of,
    strongest,
)
from gateway.rules.truth import Truth, all_of, any_of, not_


class Verdict(enum.Enum):
    """The answer to the whole question."""

    ESTABLISHED = "ESTABLISHED"
    CONTRADICTED = "CONTRADICTED"
    UNDETERMINED = "UNDETERMINED"
    PENDING = "PENDING"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafTruth:
    """What is known of one leaf; `reasons` are empty exactly when it is decided. `disproved`: people decided it, alone
    or with others, against what the applicant says.

    Raises:
        ValueError: a decided leaf came with reasons, or an open one without, or an open one is disproved.
    """

    truth: Truth
    reasons: frozenset[Reason] = frozenset()
    disproved: bool = False
    unconfirmed: Truth = Truth.UNKNOWN
    """Of an open leaf that is UNCONFIRMED, what those who decided it say alike."""

    def __post_init__(self) -> None:
        if (self.truth is Truth.UNKNOWN) != bool(self.reasons):
            raise ValueError("an open leaf has reasons, a decided one has none")
        if self.disproved and self.truth is Truth.UNKNOWN:
            raise ValueError("an open leaf is not disproved")


UNASKED = LeafTruth(truth=Truth.UNKNOWN, reasons=frozenset({NOT_ASKED}))
_DECIDED = {
    (truth, disproved): LeafTruth(truth=truth, disproved=disproved)
    for truth in (Truth.TRUE, Truth.FALSE)
    for disproved in (False, True)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict, why it is open, and the leaves that could still decide it (in the plan's order).

    It is open because of what those leaves lack; and DISPROVED, where people found another one untrue and nothing above
    that one is borne out, or where they found the claim untrue in any case and nothing but missing data keep it open.
    """

    verdict: Verdict
    reasons: frozenset[Reason] = frozenset()
    undecided: tuple[str, ...] = ()


_JUDGED = {
    Truth.TRUE: Judgement(verdict=Verdict.ESTABLISHED),
    Truth.FALSE: Judgement(verdict=Verdict.CONTRADICTED),
}


def truth_of(outcome: Outcome, *, absence_conclusive: bool) -> Truth:
    """Return what one outcome says of the claim."""
    if outcome.kind is Kind.MATCH:
        return Truth.TRUE
    if outcome.kind is Kind.MISMATCH or (outcome.kind is Kind.NO_RECORD and absence_conclusive):
        return Truth.FALSE
    return Truth.UNKNOWN


_OF_A_RECORD = frozenset({Kind.NOT_HELD, Kind.AMBIGUOUS, Kind.SUBJECT_INACTIVE, Kind.NEEDS_ATTRIBUTE})
"""What tells of a record and leaves the claim open. STALE does not: nobody is told what such data hold. NEEDS_ATTRIBUTE
may: a source does not say whether it wants one more thing to tell several records apart, or to look at all."""


def _tells_of_a_record(outcome: Outcome) -> bool:
    return outcome.other_identity or outcome.kind in _OF_A_RECORD


def _is_contested(evidences: Sequence[Evidence], *, absence_conclusive: bool) -> bool:
    """Tell whether sources disagree whether there is a record: one is complete and holds none, another tells of one."""
    return (
        absence_conclusive
        and any(e.outcome.kind is Kind.NO_RECORD for e in evidences)
        and any(_tells_of_a_record(e.outcome) for e in evidences)
    )


def _truths(evidences: Sequence[Evidence], *, absence_conclusive: bool, negated: bool) -> list[Truth]:
    """Give what each source says of the fact.

    Where they disagree whether there is a record, neither its absence nor another name in it proves anything. Where the
    applicant says that the fact is not so (`negated`), none bears that out while one of them holds a record under the
    number and another name: nobody knows whose it is. Beside a MATCH whatever denies it stands, and is in conflict.
    """
    outcomes = [e.outcome for e in evidences]
    truths = [
        Truth.UNKNOWN if negated and one.other_identity else truth_of(one, absence_conclusive=absence_conclusive)
        for one in outcomes
    ]
    if Truth.TRUE in truths:
        return truths
    if negated and any(one.other_identity for one in outcomes):
        return [Truth.UNKNOWN] * len(truths)
    if _is_contested(evidences, absence_conclusive=absence_conclusive):
        return [Truth.UNKNOWN if _takes_sides(one) else truth for one, truth in zip(outcomes, truths, strict=True)]
    return truths


def judge_sources(
    policy: SourcePolicy,
    evidences: Sequence[Evidence],
    *,
    absence_conclusive: bool,
    sources: int | None = None,
    people: Sequence[Evidence] = (),
    negated: bool = False,
) -> LeafTruth:
    """Weigh what the sources of one fact said, and the people who were asked beside them.

    `evidences` stand in the order of the configured sources; `sources` is how many are configured (None: as many
    as answered). Two that decide differently are a CONFLICT under every policy, also where one of them is a person:
    nobody overrides a register silently. Where a source decides and fewer do than the policy wants, the fact is open
    and UNCONFIRMED: what that source said is never forgotten over the silence of the others. Each of `people` that
    decides counts as a source does; that a person found nothing proves nothing, whatever absence proves in a register.

    Sources speak of the fact, people of what the applicant says: where that is that the fact is not so (`negated`, also
    where it is said both ways), it is true for people who find the fact false. No source bears it out then by a record
    of another name, nor beside one.

    Sources that disagree whether there is a record are a CONFLICT too, until another or people decide. Where the fact
    is denied it is AMBIGUOUS: the record may be another's, and a conflict would speak against who denies it.
    """
    truths = _truths(evidences, absence_conclusive=absence_conclusive, negated=negated)
    told = [truth_of(e.outcome, absence_conclusive=False) for e in people]
    told = [not_(truth) for truth in told] if negated else told
    known = [truth for truth in (*truths, *told) if truth is not Truth.UNKNOWN]
    if Truth.TRUE in known and Truth.FALSE in known:
        return LeafTruth(truth=Truth.UNKNOWN, reasons=frozenset({CONFLICT}))
    if known and len(known) >= _needed(policy, sources if sources is not None else len(evidences)):
        return _DECIDED[known[0], any(one.outcome.kind is Kind.MISMATCH for one in people)]
    contest = None
    if _is_contested(evidences, absence_conclusive=absence_conclusive):
        contest = AMBIGUOUS if negated else CONFLICT
    reasons = _open_reasons(evidences, truths, contest) | _open_reasons(people, told)
    if known:
        reasons |= {UNCONFIRMED}
    return LeafTruth(
        truth=Truth.UNKNOWN,
        reasons=reasons or frozenset({NOT_ASKED}),  # where no source was asked, nothing is proved missing
        unconfirmed=known[0] if known else Truth.UNKNOWN,
    )


def judge(
    check: FactCheck,
    evidences: Sequence[Evidence],
    *,
    sources: int | None = None,
    people: Sequence[Evidence] = (),
    negated: bool = False,
) -> LeafTruth:
    """Weigh the evidence of one check by its own policy; see `judge_sources`."""
    return judge_sources(
        check.policy, evidences, absence_conclusive=check.absence_conclusive, sources=sources, people=people,
        negated=negated,
    )  # fmt: skip


def sources_to_ask(
    policy: SourcePolicy,
    evidences: Sequence[Evidence],
    *,
    absence_conclusive: bool,
    sources: int,
    negated: bool = False,
) -> int:
    """Return how many further sources to ask now, in their order, concurrently.

    `first` asks one at a time until one decides. `quorum` and `all-agree` ask all at once, because only then is a
    disagreement seen. `negated` is as in `judge_sources`.
    """
    left = max(0, sources - len(evidences))
    if policy.kind is not SourcePolicyKind.FIRST or not left:
        return left
    truths = _truths(evidences, absence_conclusive=absence_conclusive, negated=negated)
    return 0 if Truth.TRUE in truths or Truth.FALSE in truths else 1


def _needed(policy: SourcePolicy, sources: int) -> int:
    match policy.kind:
        case SourcePolicyKind.FIRST:
            return 1
        case SourcePolicyKind.QUORUM:
            return policy.k
        case SourcePolicyKind.ALL_AGREE:
            return max(policy.k, sources)


def _open_reasons(
    evidences: Sequence[Evidence], truths: Sequence[Truth], contest: Reason | None = None
) -> frozenset[Reason]:
    """Give why they leave the fact open; `contest` is why those do that disagree whether there is a record."""
    return frozenset(
        contest if contest and _is_a_side(e.outcome, contest) else reason_of(e.outcome)
        for e, truth in zip(evidences, truths, strict=True)
        if truth is Truth.UNKNOWN
    )


def _is_a_side(outcome: Outcome, contest: Reason) -> bool:
    """Tell whether a side is open for the contest alone. One more thing that is asked for may end it, where the
    applicant has it: who denies that there is a record has nothing to tell of one."""
    return _takes_sides(outcome) and not (outcome.kind is Kind.NEEDS_ATTRIBUTE and contest is CONFLICT)


def _takes_sides(outcome: Outcome) -> bool:
    return outcome.kind is Kind.NO_RECORD or _tells_of_a_record(outcome)


def evaluate(plan: Plan, answers: Mapping[str, LeafTruth]) -> Judgement:
    """Judge the whole question from what is known of its leaves; a leaf not in `answers` was not asked."""
    truth = _truth(plan.root, answers)
    if truth is not Truth.UNKNOWN:
        return _JUDGED[truth]
    undecided = tuple(dict.fromkeys(_undecided(plan.root, answers)))
    reasons = frozenset().union(*(answers.get(leaf, UNASKED).reasons for leaf in undecided))
    if any(leaf.disproved for leaf in answers.values()) and _disproved(plan.root, answers, borne_out=Truth.TRUE):
        reasons |= {DISPROVED}
    return _open(reasons, undecided)


def would_contradict(plan: Plan, answers: Mapping[str, LeafTruth]) -> bool:
    """Tell whether a question that is open would be contradicted if what is UNCONFIRMED of it were confirmed."""
    confirmed = {
        leaf: answer if answer.unconfirmed is Truth.UNKNOWN else LeafTruth(truth=answer.unconfirmed)
        for leaf, answer in answers.items()
    }
    return _truth(plan.root, answers) is Truth.UNKNOWN and _truth(plan.root, confirmed) is Truth.FALSE


def evenly(judgement: Judgement, people: Iterable[Evidence]) -> Judgement:
    """Let what people leave open of any type of fact keep an open question open, for where only the verdict is told.

    If it counted for facts that are open only, whoever asks people about each would be told which ones are settled.
    """
    left = {reason_of(one.outcome) for one in people if one.outcome.kind not in (Kind.MATCH, Kind.MISMATCH)}
    if not left or judgement.verdict in (Verdict.ESTABLISHED, Verdict.CONTRADICTED):
        return judgement
    return _open(judgement.reasons | left, judgement.undecided)


def barred(judgement: Judgement) -> Judgement:
    """Let what people found untrue of the claim, in whatever case, close the way to the applicant's own word: where
    nothing but missing data keep the question open, it is DISPROVED as well.
    """
    if judgement.verdict is not Verdict.UNDETERMINED or strongest(judgement.reasons) is not Strength.MISSING:
        return judgement
    return _open(judgement.reasons | {DISPROVED}, judgement.undecided)


def _open(reasons: frozenset[Reason], undecided: tuple[str, ...]) -> Judgement:
    pending = any(reason.kind is ReasonKind.PENDING for reason in reasons)
    verdict = Verdict.PENDING if pending else Verdict.UNDETERMINED
    return Judgement(verdict=verdict, reasons=reasons, undecided=undecided)


def doubted(plan: Plan, people: Mapping[str, Sequence[Evidence]]) -> frozenset[str]:
    """Return the checks of types of fact that people found untrue; not those that stand in the plan both ways, of which
    people say nothing."""
    untrue = {fact for fact, said in people.items() if any(one.outcome.kind is Kind.MISMATCH for one in said)}
    return (
        frozenset([leaf for leaf in plan.signs() if plan.checks[leaf].fact_type in untrue]) if untrue else frozenset()
    )


def next_checks(plan: Plan, answers: Mapping[str, LeafTruth], in_doubt: Collection[str] = ()) -> tuple[FactCheck, ...]:
    """Return the checks worth asking now, all concurrently; none when decided or when all were asked.

    Under an `ordered` node the next child's checks are worth asking only when the children before it have nothing
    left to ask and did not decide it. When nothing else is left and the question is open, those are asked that others
    made needless and people found untrue (`in_doubt`, of `doubted`): whether that stands must not depend on who
    answered first.
    """
    found = _askable(plan.root, answers)
    if not found and in_doubt and _truth(plan.root, answers) is Truth.UNKNOWN:
        found = [leaf for leaf in _in_the_way(plan.root, answers, borne_out=Truth.TRUE) if leaf in in_doubt]
    return tuple([plan.checks[leaf] for leaf in dict.fromkeys(found)])


def _truth(node: Node, answers: Mapping[str, LeafTruth]) -> Truth:
    match node:
        case Leaf():
            return answers.get(node.id, UNASKED).truth
        case AnyOf():
            return any_of(_truth(inner, answers) for inner in node.of)
        case AllOf():
            return all_of(_truth(inner, answers) for inner in node.of)
        case NotOf():
            return not_(_truth(node.of, answers))


def _undecided(node: Node, answers: Mapping[str, LeafTruth]) -> Iterator[str]:
    """Yield the open leaves below; a sub-expression that is already decided has none."""
    if _truth(node, answers) is not Truth.UNKNOWN:
        return
    match node:
        case Leaf():
            yield node.id
        case AnyOf() | AllOf():
            for inner in node.of:
                yield from _undecided(inner, answers)
        case NotOf():
            yield from _undecided(node.of, answers)


def _disproved(node: Node, answers: Mapping[str, LeafTruth], *, borne_out: Truth) -> bool:
    """Tell whether people disproved a leaf below that nothing makes needless; `borne_out` is the truth that speaks for
    the applicant here.
    """
    if _truth(node, answers) is borne_out:
        return False
    match node:
        case Leaf():
            return answers.get(node.id, UNASKED).disproved
        case AnyOf() | AllOf():
            return any(_disproved(inner, answers, borne_out=borne_out) for inner in node.of)
        case NotOf():
            return _disproved(node.of, answers, borne_out=not_(borne_out))


def _in_the_way(node: Node, answers: Mapping[str, LeafTruth], *, borne_out: Truth) -> Iterator[str]:
    """Yield the leaves below that were not asked and would bar the applicant's word if people disproved them."""
    if _truth(node, answers) is borne_out:
        return
    match node:
        case Leaf():
            if node.id not in answers:
                yield node.id
        case AnyOf() | AllOf():
            for inner in node.of:
                yield from _in_the_way(inner, answers, borne_out=borne_out)
        case NotOf():
            yield from _in_the_way(node.of, answers, borne_out=not_(borne_out))


def _askable(node: Node, answers: Mapping[str, LeafTruth]) -> list[str]:
    if _truth(node, answers) is not Truth.UNKNOWN:
        return []
    match node:
        case Leaf():
            return [] if node.id in answers else [node.id]
        case AnyOf() | AllOf():
            found: list[str] = []
            for inner in node.of:
                found += _askable(inner, answers)
                if found and node.ordered:
                    break
            return found
        case NotOf():
            return _askable(node.of, answers)
