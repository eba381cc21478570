"""How a question is split among sources, and what they may say of it, in leaping time."""

import pytest
from msgspec.structs import replace

from connectors.connector import Coverage
from connectors.outcome import MATCH, MISMATCH, NO_RECORD, NOT_HELD, OTHER_IDENTITY, Cause, Outcome
from connectors.resilience import Resilient
from gateway.catalogue.model import SourcePolicy
from gateway.catalogue.words import SourcePolicyKind
from gateway.flows.verification.ask import Ask, Asked
from gateway.rules.plan import AllOf, AnyOf, FactCheck, Leaf, Node, NotOf, Plan
from gateway.rules.verdict import Verdict
from tests.connectors.clockwork import FACT, Written, about, after, play, seconds, wall, wrapped
from tests.connectors.people import question

FIRST = SourcePolicy(kind=SourcePolicyKind.FIRST)


def check(name: str, fact_type: str = FACT) -> FactCheck:
    return FactCheck(
        id=name, fact_type=fact_type, claim=about(1), absence_conclusive=False, policy=FIRST, sensitive=False
    )


def source(delay: float, outcome: Outcome = MATCH, *facts: str) -> Resilient:
    inner = Written(after(delay, outcome), fact_types=frozenset(facts or (FACT,)))
    return wrapped(inner)


async def ask(sources: dict[str, Resilient], root: Node, *checks: FactCheck, within: float) -> tuple[Asked, float]:
    plan = Plan(root=root, checks={one.id: one for one in checks})
    asked = await Ask(sources, now=wall, digest=bytes)(plan, question(within))
    return asked, seconds()


def test_a_silent_source_leaves_time_for_the_next_one() -> None:
    sources = {"a": 60.0, "b": 60.0, "c": 0.5}
    asked, when = play(_asked_in_order(sources, within=3))
    assert [one.outcome.cause for one in asked.evidence] == [Cause.TIMEOUT, Cause.TIMEOUT, None]
    assert asked.judgement.verdict is Verdict.ESTABLISHED
    assert when == pytest.approx(2.5)


async def _asked_in_order(delays: dict[str, float], *, within: float) -> tuple[Asked, float]:
    return await ask({name: source(delay) for name, delay in delays.items()}, Leaf(id="f1"), check("f1"), within=within)


def test_what_a_quick_source_leaves_over_goes_to_those_after_it() -> None:
    async def asked() -> tuple[Asked, float]:
        sources = {"a": source(0.3, NO_RECORD), "b": source(2.5)}
        return await ask(sources, Leaf(id="f1"), check("f1"), within=3)

    found, when = play(asked())
    assert (found.judgement.verdict, when) == (Verdict.ESTABLISHED, pytest.approx(2.8))


def test_a_silent_fact_leaves_time_for_the_one_that_is_ordered_after_it() -> None:
    async def asked() -> tuple[Asked, float]:
        sources = {"a": source(60, MATCH, "one"), "b": source(0.5, MATCH, "two")}
        root = AnyOf(of=(Leaf(id="f1"), Leaf(id="f2")), ordered=True)
        checks = [
            FactCheck(
                id=name,
                fact_type=fact,
                claim=type(about(1))(fact_type=fact, subject=about(1).subject),
                absence_conclusive=False,
                policy=FIRST,
                sensitive=False,
            )
            for name, fact in (("f1", "one"), ("f2", "two"))
        ]
        return await ask(sources, root, *checks, within=4)

    found, when = play(asked())
    assert (found.judgement.verdict, when) == (Verdict.ESTABLISHED, pytest.approx(2.5))


def test_a_question_with_one_source_has_all_the_time() -> None:
    found, when = play(_asked_in_order({"a": 2.9}, within=3))
    assert (found.judgement.verdict, when) == (Verdict.ESTABLISHED, pytest.approx(2.9))


def complete(outcome: Outcome) -> Resilient:
    return wrapped(Written(after(0.1, outcome), coverage={FACT: Coverage()}))


DENIED = NotOf(of=Leaf(id="f1"))
BOTH_WAYS = AnyOf(of=(DENIED, AllOf(of=(Leaf(id="f1"), DENIED))))


@pytest.mark.parametrize("root", [DENIED, BOTH_WAYS])
@pytest.mark.parametrize("said", [OTHER_IDENTITY, MISMATCH])
def test_nothing_was_expected_so_a_mismatch_is_of_whose_the_record_is_and_bears_no_denial_out(
    root: Node, said: Outcome
) -> None:
    """Also of a connector that does not tell of what its MISMATCH is."""
    found, _ = play(ask({"a": source(0.1, said)}, root, check("f1"), within=3))
    assert found.judgement.verdict is Verdict.UNDETERMINED
    assert [str(reason) for reason in found.judgement.reasons] == ["AMBIGUOUS"]
    assert [one.outcome for one in found.evidence] == [OTHER_IDENTITY]


def test_after_a_record_of_another_name_the_next_source_is_asked_and_may_contradict_a_denial() -> None:
    sources = {"a": source(0.1, OTHER_IDENTITY), "b": source(0.1, MATCH)}
    found, _ = play(ask(sources, DENIED, check("f1"), within=3))
    assert found.judgement.verdict is Verdict.CONTRADICTED


@pytest.mark.parametrize(
    ("last", "denied", "claimed"),
    [
        ({}, Verdict.UNDETERMINED, Verdict.UNDETERMINED),
        ({"c": NO_RECORD}, Verdict.UNDETERMINED, Verdict.UNDETERMINED),
        ({"c": MISMATCH}, Verdict.ESTABLISHED, Verdict.CONTRADICTED),
        ({"c": MATCH}, Verdict.UNDETERMINED, Verdict.UNDETERMINED),
    ],
)
def test_an_absence_after_a_record_of_which_nothing_is_known_does_not_spare_the_next_source(
    last: dict[str, Outcome], denied: Verdict, claimed: Verdict
) -> None:
    said = {"a": NOT_HELD, "b": NO_RECORD, **last}
    one = check("f1")
    one = replace(one, absence_conclusive=True, claim=replace(one.claim, expected={"status": "MARRIED"}))
    for root, verdict in ((DENIED, denied), (DENIED.of, claimed)):
        found, _ = play(ask({name: complete(outcome) for name, outcome in said.items()}, root, one, within=3))
        assert [one.outcome for one in found.evidence] == list(said.values())
        assert found.judgement.verdict is verdict


def test_the_first_source_decides_by_its_absence_where_the_policy_asks_no_other() -> None:
    one = replace(check("f1"), absence_conclusive=True)
    found, _ = play(ask({"a": complete(NO_RECORD), "b": complete(NOT_HELD)}, DENIED, one, within=3))
    assert (found.judgement.verdict, len(found.evidence)) == (Verdict.ESTABLISHED, 1)
