"""How a question is split among sources, and what they may say of it, in leaping time."""

import pytest

from connectors.outcome import MATCH, MISMATCH, NO_RECORD, OTHER_IDENTITY, Cause, Outcome
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
