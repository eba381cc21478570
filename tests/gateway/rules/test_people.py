"""People beside the sources: what they say is weighed by the same rules, and their silence never opens a commitment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connectors.connector import Subject
from connectors.outcome import Cause, Evidence, Kind, Outcome
from gateway.catalogue.model import SourcePolicy
from gateway.catalogue.words import CommitmentMode, Rung, SourcePolicyKind
from gateway.rules.fallback import FallbackInput, FallbackSettings, StepKind, next_step
from gateway.rules.people import (
    NOTHING_HEARD,
    OPEN,
    OUTCOMES,
    Heard,
    Inquiry,
    Stands,
    heard,
    is_open,
    may_say_again,
    meaning,
    stands_untrue,
)
from gateway.rules.reasons import Reason, ReasonKind
from gateway.rules.truth import Truth
from gateway.rules.verdict import Judgement, LeafTruth, Verdict, barred, judge_sources

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
DAY = timedelta(days=1)
MISSING = (Kind.NO_RECORD, Kind.NOT_COVERED, Kind.NOT_HELD, Kind.REFUSED)
STATES = (*OPEN, "OVERDUE", "REFUSED", "RETURNED", "ANSWERED")
OPENEST = FallbackSettings(
    ladder=tuple(Rung), commitment_mode=CommitmentMode.LAST_RESORT, commitment_open=True, patience=timedelta(0),
    retry_after=timedelta(0),
)  # fmt: skip


def source(kind: Kind) -> Evidence:
    outcome = Outcome(
        kind=kind,
        cause=Cause.TIMEOUT if kind is Kind.UNAVAILABLE else None,
        until=NOW if kind is Kind.PENDING else None,
        attribute="x" if kind is Kind.NEEDS_ATTRIBUTE else "",
        rule="r" if kind is Kind.REFUSED else "",
    )
    return Evidence(source="s", fact_type="f", outcome=outcome, asked_at=NOW, answered_at=NOW)


def inquiry(
    state: str, number: int = 0, *, who: str = "assistance/a", due: datetime = NOW + DAY, outcome: Kind | None = None
) -> Inquiry:
    return Inquiry(
        record=bytes([number]) * 16, rung=Rung.ASSISTANCE, fact_type="f", who=who, state=state,
        began_at=NOW - DAY + timedelta(seconds=number), changed_at=NOW, due_at=due, outcome=outcome,
        first=number,
    )  # fmt: skip


inquiries = st.lists(
    st.builds(
        inquiry,
        st.sampled_from(STATES),
        st.integers(0, 200),
        who=st.sampled_from(["assistance/a", "assistance/b", "own-check"]),
        due=st.sampled_from([NOW - DAY, NOW + DAY]),
    ).flatmap(
        lambda one: (
            st.sampled_from(OUTCOMES).map(lambda kind: _answered(one, kind))
            if one.state == "ANSWERED"
            else st.just(one)
        )
    ),
    max_size=4,
    unique_by=lambda one: one.record,
)
policies = st.builds(SourcePolicy, kind=st.sampled_from(list(SourcePolicyKind)), k=st.integers(1, 3))
said = st.lists(st.sampled_from(list(Kind)).map(source), min_size=1, max_size=3)


def _answered(one: Inquiry, kind: Kind) -> Inquiry:
    return replace(one, outcome=kind)


def weigh(policy: SourcePolicy, sources: list[Evidence], people: Heard, *, conclusive: bool = False) -> LeafTruth:
    return judge_sources(policy, sources, absence_conclusive=conclusive, people=people.evidence.get("f", ()))


@given(policies, said, inquiries, st.booleans())
def test_a_commitment_follows_only_where_sources_and_people_found_nothing(
    policy: SourcePolicy, sources: list[Evidence], asked: list[Inquiry], conclusive: bool
) -> None:
    people = heard(asked, now=NOW)
    found = weigh(policy, sources, people, conclusive=conclusive)
    if found.truth is not Truth.UNKNOWN:
        return
    pending = any(reason.kind is ReasonKind.PENDING for reason in found.reasons)
    step = next_step(
        FallbackInput(
            verdict=Verdict.PENDING if pending else Verdict.UNDETERMINED, reasons=found.reasons, settings=OPENEST,
            attempted=people.attempted(["f"]) | {Rung.OWN_OR_COMMISSIONED_CHECK}, patience_passed=True,
        )
    )  # fmt: skip

    if step.kind is StepKind.COMMITMENT:
        kinds = {one.outcome.kind for one in (*sources, *people.evidence.get("f", ()))}
        assert kinds <= set(MISSING)
        assert not any(is_open(one, now=NOW) for one in asked)
        assert not any(one.state == "OVERDUE" for one in _last_words(asked))
        assert not any(one.outcome in (Kind.MATCH, Kind.MISMATCH) for one in asked)


def _last_words(asked: list[Inquiry]) -> list[Inquiry]:
    last = {one.who: one for one in sorted(asked, key=lambda one: one.first) if one.state != "RETURNED"}
    return list(last.values())


@given(policies, said, inquiries)
def test_people_never_turn_what_the_sources_decided(
    policy: SourcePolicy, sources: list[Evidence], asked: list[Inquiry]
) -> None:
    alone = weigh(policy, sources, NOTHING_HEARD)
    together = weigh(policy, sources, heard(asked, now=NOW))

    if alone.truth is not Truth.UNKNOWN:
        assert together.truth in (alone.truth, Truth.UNKNOWN)
        conflict = {reason.kind for reason in together.reasons} == {ReasonKind.CONFLICT}
        assert together.truth is alone.truth or conflict


@given(policies, said, st.booleans())
def test_that_people_found_nothing_decides_nothing(
    policy: SourcePolicy, sources: list[Evidence], conclusive: bool
) -> None:
    nothing = heard([inquiry("ANSWERED", outcome=Kind.NO_RECORD)], now=NOW)

    with_people = weigh(policy, sources, nothing, conclusive=conclusive)

    assert with_people.truth is weigh(policy, sources, NOTHING_HEARD, conclusive=conclusive).truth


@given(inquiries, st.randoms())
def test_the_order_of_what_is_read_does_not_matter(asked: list[Inquiry], random: object) -> None:
    mixed = list(asked)
    random.shuffle(mixed)  # type: ignore[attr-defined]

    assert heard(mixed, now=NOW) == heard(asked, now=NOW)


def test_one_unit_counts_once_however_often_it_was_asked() -> None:
    twice = [inquiry("ANSWERED", number, outcome=Kind.MATCH) for number in (1, 2)]

    assert len(heard(twice, now=NOW).evidence["f"]) == 1


def test_of_words_that_decide_nothing_the_newer_one_stands() -> None:
    words = [inquiry("ANSWERED", 1, outcome=Kind.NO_RECORD), inquiry("ANSWERED", 2, outcome=Kind.AMBIGUOUS)]

    [found] = heard(words, now=NOW).evidence["f"]
    assert found.outcome.kind is Kind.AMBIGUOUS


def test_an_open_request_is_waited_for_though_the_same_unit_answered_a_later_one() -> None:
    words = [inquiry("SENT", 1), inquiry("ANSWERED", 2, outcome=Kind.NO_RECORD)]

    found = heard(words, now=NOW).evidence["f"]
    assert [one.outcome.kind for one in found] == [Kind.PENDING, Kind.NO_RECORD]


@pytest.mark.parametrize("number", [2, -1], ids=["recorded", "about to be"])
@pytest.mark.parametrize("kinds", [(Kind.NO_RECORD, Kind.AMBIGUOUS), (Kind.AMBIGUOUS, Kind.NO_RECORD)])
def test_the_newer_word_is_the_later_one_in_the_log_though_the_clock_was_set_back(
    kinds: tuple[Kind, Kind], number: int
) -> None:
    older, newer = (inquiry("ANSWERED", at, outcome=kind) for at, kind in zip((1, 2), kinds, strict=True))
    newer = replace(newer, first=number, began_at=older.began_at - timedelta(minutes=10))

    for words in ([older, newer], [newer, older]):
        [found] = heard(words, now=NOW).evidence["f"]
        assert found.outcome.kind is kinds[1]


@pytest.mark.parametrize("decisive", [Kind.MATCH, Kind.MISMATCH])
@pytest.mark.parametrize("later", [Kind.NO_RECORD, Kind.AMBIGUOUS])
def test_what_somebody_found_is_not_taken_back_by_finding_nothing(decisive: Kind, later: Kind) -> None:
    words = [inquiry("ANSWERED", 1, outcome=decisive), inquiry("ANSWERED", 2, outcome=later)]

    [found] = heard(words, now=NOW).evidence["f"]
    assert found.outcome.kind is decisive


@pytest.mark.parametrize("kinds", [(Kind.MISMATCH, Kind.MATCH), (Kind.MATCH, Kind.MISMATCH)])
def test_of_who_finds_both_the_newer_word_stands_in_the_order_of_the_log(kinds: tuple[Kind, Kind]) -> None:
    older, newer = (replace(inquiry("ANSWERED", at, outcome=kind), index=at) for at, kind in enumerate(kinds, 1))

    for said_ in ([older, newer], [newer, older], [replace(newer, first=-1, index=-1), older]):
        [found] = heard(said_, now=NOW).evidence["f"]
        assert found.outcome.kind is kinds[1]


def test_of_two_who_find_the_contrary_neither_takes_the_other_back() -> None:
    said_ = [
        inquiry("ANSWERED", 1, outcome=Kind.MISMATCH),
        inquiry("ANSWERED", 2, who="assistance/b", outcome=Kind.MATCH),
    ]

    found = weigh(SourcePolicy(), [source(Kind.NO_RECORD)], heard(said_, now=NOW))
    assert {reason.kind for reason in found.reasons} == {ReasonKind.CONFLICT}


@pytest.mark.parametrize(
    ("word", "step", "conflict", "expected"),
    [
        (Kind.MISMATCH, StepKind.DISPUTE, False, True),
        (Kind.MISMATCH, StepKind.NOT_ESTABLISHABLE, False, True),
        (Kind.AMBIGUOUS, StepKind.NOT_ESTABLISHABLE, False, True),
        (Kind.MATCH, StepKind.NOT_ESTABLISHABLE, True, True),
        (Kind.MISMATCH, StepKind.OWN_OR_COMMISSIONED_CHECK, True, True),
        (Kind.MATCH, StepKind.DISPUTE, False, False),
        (Kind.NO_RECORD, StepKind.DISPUTE, False, False),
        (Kind.NO_RECORD, StepKind.NOT_ESTABLISHABLE, True, False),
        (Kind.AMBIGUOUS, StepKind.OWN_OR_COMMISSIONED_CHECK, True, False),
        (Kind.MATCH, StepKind.NOT_ESTABLISHABLE, False, False),
        *((Kind.MISMATCH, step, False, False) for step in StepKind
          if step not in (StepKind.DISPUTE, StepKind.NOT_ESTABLISHABLE)),
    ],
)  # fmt: skip
def test_who_answered_may_say_it_again_only_where_their_word_is_what_leads_there(
    word: Kind, step: StepKind, conflict: bool, expected: bool
) -> None:
    said_ = [replace(inquiry("ANSWERED", 1, outcome=word), index=2)]

    assert may_say_again(said_, step.value, conflict=conflict, tells_facts=True) is expected
    assert not may_say_again([], step.value, conflict=conflict, tells_facts=True)
    assert not may_say_again([inquiry("REFUSED")], step.value, conflict=conflict, tells_facts=True)


def test_who_took_back_what_they_found_has_nothing_more_to_take_back() -> None:
    said_ = [replace(inquiry("ANSWERED", at, outcome=kind), index=at)
             for at, kind in enumerate((Kind.MISMATCH, Kind.MATCH))]  # fmt: skip

    assert not may_say_again(said_, StepKind.DISPUTE.value, conflict=False, tells_facts=True)


@pytest.mark.parametrize("step", StepKind)
@pytest.mark.parametrize("word", OUTCOMES)
def test_what_was_said_elsewhere_may_be_said_again_only_where_it_is_what_bars(step: StepKind, word: Kind) -> None:
    contested = step in (StepKind.DISPUTE, StepKind.NOT_ESTABLISHABLE)
    elsewhere = [replace(inquiry("ANSWERED", 1, outcome=word), index=2)]
    later = [replace(inquiry("ANSWERED", 3, outcome=Kind.MATCH), index=4)]

    may = [
        may_say_again(here, step.value, conflict=True, tells_facts=True, elsewhere=elsewhere) for here in ([], later)
    ]

    assert may[0] is (contested and word is Kind.MISMATCH)
    assert may[1] is True, "of a conflict it is one side in the case itself"
    assert not may_say_again(later, step.value, conflict=False, tells_facts=True, elsewhere=elsewhere)


@pytest.mark.parametrize("step", StepKind)
def test_where_the_facts_are_not_told_whoever_is_asked_again_does_not_tell_who_barred_it(step: StepKind) -> None:
    told = {
        may_say_again([], step.value, conflict=False, tells_facts=False, elsewhere=elsewhere, barred=True)
        for elsewhere in ([], [inquiry("ANSWERED", outcome=Kind.MISMATCH)])
    }

    assert told == {step in (StepKind.DISPUTE, StepKind.NOT_ESTABLISHABLE)}


@pytest.mark.parametrize("step", StepKind)
def test_where_the_facts_are_not_told_whether_somebody_may_say_it_again_does_not_tell_what_they_said(
    step: StepKind,
) -> None:
    told = {
        may_say_again([inquiry("ANSWERED", outcome=word)], step.value, conflict=conflict, tells_facts=False)
        for word in OUTCOMES
        for conflict in (True, False)
    }

    assert told == {step in (StepKind.DISPUTE, StepKind.NOT_ESTABLISHABLE)}


words = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["assistance/a", "assistance/b", "own-check"]),
        st.sampled_from(["f", "g"]),
        st.sampled_from(OUTCOMES),
    ),
    max_size=8,
)
"""What was found one after the other: in which case, by whom, of which type of fact, and what."""


@given(words, st.lists(st.sampled_from(MISSING).map(source), min_size=1, max_size=2))
def test_no_case_opens_a_commitment_to_what_somebody_found_untrue_in_any_and_did_not_take_back(
    told: list[tuple[int, str, str, Kind]], sources: list[Evidence]
) -> None:
    found = [
        (
            case,
            replace(
                inquiry("ANSWERED", number, who=who, outcome=kind), fact_type=fact, index=number,
                rung=Rung.ASSISTANCE if "/" in who else Rung.OWN_OR_COMMISSIONED_CHECK, unit="u",
            ),
        )
        for number, (case, who, fact, kind) in enumerate(told)
    ]  # fmt: skip
    newest = {(who, fact): kind for _, who, fact, kind in told if kind in (Kind.MATCH, Kind.MISMATCH)}
    for case in range(4):  # nobody was asked in the last one
        here, elsewhere = ([one for at, one in found if (at == case) is own] for own in (True, False))
        people = heard(here, now=NOW, elsewhere=elsewhere)
        weighed = weigh(SourcePolicy(), sources, people)
        if weighed.truth is Truth.UNKNOWN:
            judged = Judgement(verdict=Verdict.UNDETERMINED, reasons=weighed.reasons)
            judged = barred(judged) if people.untrue else judged
            step = next_step(
                FallbackInput(
                    verdict=judged.verdict, reasons=judged.reasons, settings=OPENEST, attempted=frozenset(Rung),
                    patience_passed=True,
                )
            )  # fmt: skip
            assert step.kind is not StepKind.COMMITMENT or Kind.MISMATCH not in newest.values()
            assert step.kind is not StepKind.COMMITMENT or not people.untrue


@pytest.mark.parametrize("later", [Kind.NO_RECORD, Kind.AMBIGUOUS, Kind.MISMATCH])
def test_what_was_found_untrue_elsewhere_is_taken_back_by_nothing_but_the_contrary(later: Kind) -> None:
    untrue = replace(inquiry("ANSWERED", 1, outcome=Kind.MISMATCH), index=2)

    assert stands_untrue([untrue, replace(inquiry("ANSWERED", 3, outcome=later), index=4)])
    assert not stands_untrue([untrue, replace(inquiry("ANSWERED", 3, outcome=Kind.MATCH), index=4)])


def test_what_one_found_untrue_is_not_taken_back_by_another_nor_of_another_fact_nor_by_another_office() -> None:
    untrue = replace(inquiry("ANSWERED", 1, outcome=Kind.MISMATCH), index=2)
    match = replace(inquiry("ANSWERED", 3, outcome=Kind.MATCH), index=4)
    check = replace(untrue, rung=Rung.OWN_OR_COMMISSIONED_CHECK, who="own-check", unit="one")

    assert stands_untrue([untrue, replace(match, who="assistance/b")])
    assert stands_untrue([untrue, replace(match, fact_type="g")])
    assert stands_untrue([check, replace(check, record=b"n" * 16, unit="other", outcome=Kind.MATCH, index=4)])
    assert not stands_untrue([check, replace(check, record=b"n" * 16, who="commissioned-check", outcome=Kind.MATCH,
                                             index=4)])  # fmt: skip


def test_of_answers_in_several_cases_the_later_one_stands_whichever_was_asked_for_first() -> None:
    asked_first = replace(inquiry("ANSWERED", 1, outcome=Kind.MATCH), index=9)
    asked_later = replace(inquiry("ANSWERED", 3, outcome=Kind.MISMATCH), index=4)

    assert not stands_untrue([asked_first, asked_later])
    assert stands_untrue([replace(asked_first, index=3), replace(asked_later, index=-1)])


@pytest.mark.parametrize("reason", [ReasonKind.AMBIGUOUS, ReasonKind.STALE, ReasonKind.PENDING])
def test_what_was_found_untrue_elsewhere_changes_nothing_where_no_commitment_is_near(reason: ReasonKind) -> None:
    open_ = Judgement(verdict=Verdict.UNDETERMINED, reasons=frozenset({Reason(kind=reason)}))

    assert barred(open_) == open_
    for verdict in (Verdict.ESTABLISHED, Verdict.CONTRADICTED):
        assert barred(Judgement(verdict=verdict)) == Judgement(verdict=verdict)


def test_an_office_counts_once_whether_it_checked_itself_or_had_it_checked() -> None:
    checks = [
        Inquiry(
            record=bytes([number]) * 16, rung=Rung.OWN_OR_COMMISSIONED_CHECK, fact_type="f", who=who, state="DONE",
            began_at=NOW + timedelta(seconds=number), changed_at=NOW, outcome=Kind.MATCH,
        )
        for number, who in enumerate(["own-check", "commissioned-check"])
    ]  # fmt: skip
    two = SourcePolicy(kind=SourcePolicyKind.QUORUM, k=2)

    assert weigh(two, [source(Kind.NO_RECORD)], heard(checks, now=NOW)).truth is Truth.UNKNOWN


@pytest.mark.parametrize(
    ("word", "negated", "truth"),
    [
        (Kind.MATCH, False, Truth.TRUE), (Kind.MISMATCH, False, Truth.FALSE),
        (Kind.MATCH, True, Truth.FALSE), (Kind.MISMATCH, True, Truth.TRUE),
        (Kind.NO_RECORD, True, Truth.UNKNOWN), (Kind.AMBIGUOUS, True, Truth.UNKNOWN),
    ],
)  # fmt: skip
def test_people_speak_of_what_the_applicant_says_and_not_of_the_record(
    word: Kind, negated: bool, truth: Truth
) -> None:  # fmt: skip
    people = heard([inquiry("ANSWERED", outcome=word)], now=NOW).evidence["f"]

    found = judge_sources(
        SourcePolicy(), [source(Kind.NOT_COVERED)], absence_conclusive=True, people=people, negated=negated
    )
    assert found.truth is truth


def test_a_rung_counts_where_it_was_tried_on_each_type_of_fact() -> None:
    of_f, of_g = (inquiry("ANSWERED", number, outcome=Kind.NO_RECORD) for number in (1, 2))
    told = heard([of_f], now=NOW)
    of_both = heard([of_f, replace(of_g, fact_type="g")], now=NOW)

    assert (told.attempted(["f"]), told.attempted(["f", "g"]), told.attempted([])) == (
        {Rung.ASSISTANCE}, frozenset(), frozenset(),
    )  # fmt: skip
    assert of_both.attempted(["f", "g"]) == {Rung.ASSISTANCE}


def test_an_open_request_is_pending_until_it_is_due() -> None:
    told = heard([inquiry("SENT")], now=NOW)

    [found] = told.evidence["f"]
    assert (found.outcome.kind, found.outcome.until, told.attempted(["f"])) == (Kind.PENDING, NOW + DAY, frozenset())


def test_past_its_due_date_a_request_is_no_data_missing_whether_or_not_that_was_noted() -> None:
    for state in (*OPEN, "OVERDUE"):
        told = heard([inquiry(state, due=NOW - DAY)], now=NOW)

        [found] = told.evidence["f"]
        assert (found.outcome.kind, found.outcome.cause) == (Kind.UNAVAILABLE, Cause.TIMEOUT)
        assert told.attempted(["f"]) == {Rung.ASSISTANCE}


def test_a_returned_request_was_no_attempt() -> None:
    assert heard([inquiry("RETURNED")], now=NOW) == NOTHING_HEARD


def test_a_refusal_of_people_is_a_refusal() -> None:
    told = heard([inquiry("REFUSED")], now=NOW)

    [found] = told.evidence["f"]
    assert (found.outcome.kind, told.attempted(["f"])) == (Kind.REFUSED, {Rung.ASSISTANCE})


APPLICANT = Subject(id_type="resident-id", id_number="230199198001010072", name="示例甲")
CHILD = Subject(id_type="resident-id", id_number="230199200402290014", name="示例乙")


@pytest.mark.parametrize(
    ("signs", "told", "untold"),
    [
        ([False], "确有此项事实", "并无此项事实"),
        ([False, False], "确有此项事实", "并无此项事实"),
        ([True], "并无此项事实", "确有此项事实"),
        ([True, False], "查明与申请人所述一致", "此项事实"),
        ([None], "查明与申请人所述一致", "此项事实"),
        ([], "查明与申请人所述一致", "此项事实"),
    ],
)
def test_people_are_told_what_their_answer_means_as_it_is_weighed(
    signs: list[bool | None], told: str, untold: str
) -> None:
    asked = meaning("婚姻登记记录", [Stands(negated=negated, subject=APPLICANT) for negated in signs])

    assert asked.startswith("请只就“婚姻登记记录”这一类事实")
    assert (told in asked, untold in asked) == (True, False)


def test_people_are_told_whose_record_it_is() -> None:
    asked = meaning("出生医学证明", [Stands(negated=False, subject=CHILD)] * 2)

    assert asked.count(f"示例乙（{CHILD.id_number}）的“出生医学证明”") == 1
    assert "示例甲" not in asked
