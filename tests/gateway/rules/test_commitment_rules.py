"""The pure rules of a commitment's life: lists, eligibility, windows, rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.connector import Subject
from connectors.outcome import MATCH, NO_RECORD, NOT_COVERED, Cause, Evidence, Kind, Outcome, unavailable
from gateway.catalogue.chinese import chinese
from gateway.catalogue.model import FactType, SourcePolicy, Withdrawal
from gateway.catalogue.words import (
    Absence,
    Sensitivity,
    Sharing,
    SilentCredit,
    SourcePolicyKind,
    WithdrawalEffect,
    WithdrawalUntil,
)
from gateway.rules.eligibility import (
    CHINESE,
    BarCode,
    Barred,
    EarlierCommitment,
    EligibilityInput,
    Eligible,
    History,
    eligibility,
    is_liftable,
)
from gateway.rules.listing import Listing, listing_plan, weigh_listing
from gateway.rules.standing_query import Askings, Rhythm, contradicts, is_answered, is_due
from gateway.rules.withdrawal import Milestone, Window, closing_milestone, is_window_closed, withdrawal_words

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SUBJECT = Subject(id_type="resident-id", id_number="230199198001010072", name="示例甲")


def outcome(kind: Kind, cause: Cause) -> Outcome:
    match kind:
        case Kind.UNAVAILABLE:
            return unavailable(cause)
        case Kind.NEEDS_ATTRIBUTE:
            return Outcome(kind=kind, attribute="x")
        case Kind.PENDING:
            return Outcome(kind=kind, until=NOW)
        case Kind.REFUSED:
            return Outcome(kind=kind, rule="r")
        case _:
            return Outcome(kind=kind)


outcomes = st.builds(outcome, st.sampled_from(Kind), st.sampled_from(Cause))
policies = st.builds(SourcePolicy, kind=st.sampled_from(SourcePolicyKind), k=st.integers(1, 3))


def listing(policy: SourcePolicy, absence: Absence = Absence.CONCLUSIVE) -> FactType:
    return FactType(
        code="serious-distrust-listing", title="t", authority="a", attributes={}, given={}, absence=absence,
        sensitivity=Sensitivity.SENSITIVE, sharing=Sharing.CONDITIONAL, sources=policy,
    )  # fmt: skip


def evidence(one: Outcome) -> Evidence:
    return Evidence(source="s", fact_type="f", outcome=one, asked_at=NOW, answered_at=NOW)


@given(st.lists(outcomes, max_size=4), policies, st.sampled_from(Absence), st.integers(0, 4))
def test_whatever_sources_say_a_list_clears_nobody_unless_a_complete_one_holds_no_record(
    said: list[Outcome], policy: SourcePolicy, absence: Absence, sources: int
) -> None:
    plan = listing_plan(listing(policy, absence), SUBJECT)

    weighed = weigh_listing(plan, [evidence(one) for one in said], sources=sources)

    kinds = [one.kind for one in said]
    if weighed.listing is Listing.NOT_LISTED:
        assert absence is Absence.CONCLUSIVE
        assert Kind.NO_RECORD in kinds
        assert not {Kind.MATCH, Kind.MISMATCH} & set(kinds)
    if weighed.listing is Listing.LISTED:
        assert Kind.MATCH in kinds
        assert Kind.MISMATCH not in kinds
    assert weighed.listing is not Listing.NOT_ASKED
    assert bool(weighed.reasons) == (weighed.listing is Listing.UNKNOWN)


@given(outcomes)
def test_of_one_source_only_two_outcomes_decide(said: Outcome) -> None:
    plan = listing_plan(listing(SourcePolicy()), SUBJECT)

    weighed = weigh_listing(plan, [evidence(said)], sources=1)

    decided = {Kind.MATCH: Listing.LISTED, Kind.NO_RECORD: Listing.NOT_LISTED}
    assert weighed.listing is decided.get(said.kind, Listing.UNKNOWN)


histories = st.builds(
    EarlierCommitment,
    matter=st.sampled_from(["m", "n"]),
    history=st.sampled_from(History),
    on=st.sampled_from([date(2026, 1, 2), date(2025, 12, 31)]),
    after_effect=st.sampled_from(WithdrawalEffect),
    since=st.booleans(),
)
inputs = st.builds(
    EligibilityInput,
    matter=st.just("m"),
    today=st.just(NOW.date()),
    earlier=st.lists(histories, max_size=4),
    credit=st.sampled_from(Listing),
    credit_silent=st.sampled_from(SilentCredit),
    incapacity=st.sampled_from(Listing),
    excluded_by_matter=st.booleans(),
    full_capacity=st.booleans(),
    waived=st.frozensets(st.sampled_from(BarCode), max_size=3),
)


@given(inputs)
def test_nobody_is_eligible_by_silence(said: EligibilityInput) -> None:
    found = eligibility(said)

    if isinstance(found, Eligible):
        assert said.credit in (Listing.NOT_LISTED, Listing.NOT_ASKED) or {
            BarCode.CREDIT_PLATFORM, BarCode.CREDIT_PLATFORM_SILENT,
        } & said.waived  # fmt: skip
        assert said.incapacity in (Listing.NOT_LISTED, Listing.NOT_ASKED) or {
            BarCode.CAPACITY_DECLARED, BarCode.CAPACITY_SILENT,
        } & said.waived  # fmt: skip
        assert said.full_capacity or BarCode.CAPACITY in said.waived
        broken = [row.since for row in said.earlier if row.history is History.BROKEN]
        assert not broken or (BarCode.BROKEN_UNREPAIRED in said.waived and not any(broken))


@given(inputs)
def test_every_bar_has_words_and_what_is_waived_is_no_bar(said: EligibilityInput) -> None:
    found = eligibility(said)

    if isinstance(found, Barred):
        assert all(bar.chinese.endswith("。") for bar in found.bars)
        since = (
            {BarCode.BROKEN_UNREPAIRED, BarCode.WITHDRAWN_THIS_YEAR} if any(r.since for r in said.earlier) else set()
        )
        assert {bar.code for bar in found.bars} & said.waived <= since
        silent = {BarCode.CREDIT_PLATFORM_SILENT, BarCode.CAPACITY_SILENT}
        assert not found.temporary or {bar.code for bar in found.bars} <= silent


@given(inputs)
def test_an_audit_a_suspicion_or_an_honoured_commitment_never_bars(said: EligibilityInput) -> None:
    harmless = {History.AUDIT_PENDING, History.HONOURED, History.INCONCLUSIVE, History.BROKEN_NOT_FINAL,
                History.BROKEN_REPAIRED, History.BROKEN_EXPIRED, History.IN_FORCE, History.LAPSED}  # fmt: skip
    kept = [row for row in said.earlier if row.history not in harmless]

    assert eligibility(said) == eligibility(_with(said, kept))


@given(histories)
def test_a_withdrawal_bars_by_its_own_rule_in_its_matter_and_its_year(earlier: EarlierCommitment) -> None:
    barred = isinstance(eligibility(EligibilityInput(matter="m", today=NOW.date(), earlier=[earlier])), Barred)

    told = earlier.after_effect is WithdrawalEffect.BARRED_THIS_YEAR
    here = earlier.matter == "m" and earlier.on.year == NOW.year
    withdrawn = earlier.history is History.WITHDRAWN
    assert barred == ((withdrawn and told and here) or earlier.history is History.BROKEN)


def test_notice_guide_and_refusal_tell_of_one_scope() -> None:
    notice, guide = told(WithdrawalUntil.DECISION, WithdrawalEffect.BARRED_THIS_YEAR), WithdrawalEffect.BARRED_THIS_YEAR
    for words in (notice, chinese(guide), CHINESE[BarCode.WITHDRAWN_THIS_YEAR]):
        assert "办理事项中不" in words
        assert "至12月31日止" in words


def _with(said: EligibilityInput, earlier: list[EarlierCommitment]) -> EligibilityInput:
    from dataclasses import replace

    return replace(said, earlier=earlier)


@given(st.sampled_from(BarCode), st.one_of(st.none(), st.integers(0, 120)))
def test_a_reviewer_lifts_what_judges_about_the_person_and_never_what_the_matter_says(
    code: BarCode, age: int | None
) -> None:
    liftable = is_liftable(code, age)

    if code is BarCode.EXCLUDED_BY_MATTER:
        assert not liftable
    elif code is BarCode.CAPACITY:
        assert liftable == (age is not None and age >= 16)
    else:
        assert liftable


days = st.dates(date(2026, 1, 1), date(2027, 12, 31))


@given(st.sampled_from(WithdrawalUntil), st.booleans(), st.one_of(st.none(), days), days)
def test_a_window_ends_with_its_own_milestone_or_date_and_with_nothing_else(
    until: WithdrawalUntil, passed: bool, closing: date | None, today: date
) -> None:
    window = Window(rules=Withdrawal(until=until), closing_date=closing)
    closed = is_window_closed(window, passed=passed, today=today)

    if until is WithdrawalUntil.DECISION:
        assert not closed
    elif until is WithdrawalUntil.FEE_PAYMENT:
        assert closed == passed
    else:
        assert closed == (passed or (closing is not None and today > closing))


def test_each_milestone_ends_one_window() -> None:
    ended = [closing_milestone(until) for until in WithdrawalUntil]

    assert sorted(one.value for one in ended if one) == sorted(one.value for one in Milestone)


def told(
    until: WithdrawalUntil, effect: WithdrawalEffect, closing: date | None = None, *, today: date | None = None
) -> str:
    window = Window(rules=Withdrawal(until=until, after_effect=effect), closing_date=closing)
    return withdrawal_words(window, today=today or closing or date(2026, 5, 1))


_ORDINARY = "撤回后按一般程序办理；撤回本身不作为失信行为。"
_BARRED = "撤回后按一般程序办理，撤回当年（至12月31日止）在本办理事项中不再适用告知承诺；撤回本身不作为失信行为。"


def test_each_rule_of_withdrawal_is_told_in_its_own_words() -> None:
    decision = "办结前有合理理由的，可以申请撤回承诺；办结后不能撤回。"
    fee = "办结前且尚未缴费，有合理理由的，可以申请撤回承诺；缴费后或者办结后不能撤回。"
    closing = "办结前且报名尚未截止，有合理理由的，可以申请撤回承诺；报名截止后或者办结后不能撤回。"
    dated = closing.replace("，有", "（截止日为2026年5月1日，当日可以撤回），有", 1)
    for effect, after in ((WithdrawalEffect.NONE, _ORDINARY), (WithdrawalEffect.BARRED_THIS_YEAR, _BARRED)):
        assert told(WithdrawalUntil.DECISION, effect) == decision + after
        assert told(WithdrawalUntil.FEE_PAYMENT, effect) == fee + after
        assert told(WithdrawalUntil.CLOSING_DATE, effect) == closing + after
        assert told(WithdrawalUntil.CLOSING_DATE, effect, date(2026, 5, 1)) == dated + after


@given(st.sampled_from(WithdrawalUntil), st.sampled_from(WithdrawalEffect), st.one_of(st.none(), days), days)
def test_no_withdrawal_is_promised_that_the_window_is_closed_for_already(
    until: WithdrawalUntil, effect: WithdrawalEffect, closing: date | None, today: date
) -> None:
    window = Window(rules=Withdrawal(until=until, after_effect=effect), closing_date=closing)
    words = told(until, effect, closing, today=today)

    assert ("签署后不能撤回" in words) == is_window_closed(window, passed=False, today=today)
    assert ("可以申请撤回" in words) != ("签署后不能撤回" in words)


def test_who_is_told_after_the_closing_date_is_told_which_it_was() -> None:
    words = told(WithdrawalUntil.CLOSING_DATE, WithdrawalEffect.NONE, date(2026, 5, 1), today=date(2026, 5, 2))

    assert words == "报名已于2026年5月1日截止，本承诺签署后不能撤回；不愿作出承诺的，按一般程序办理。"


@given(st.sampled_from(WithdrawalUntil), st.sampled_from(WithdrawalEffect), st.one_of(st.none(), days))
def test_a_date_is_told_only_where_it_ends_the_window_and_a_bar_only_where_there_is_one(
    until: WithdrawalUntil, effect: WithdrawalEffect, closing: date | None
) -> None:
    words = told(until, effect, closing)

    assert ("截止日为" in words) == (until is WithdrawalUntil.CLOSING_DATE and closing is not None)
    assert ("撤回当年" in words) == (effect is WithdrawalEffect.BARRED_THIS_YEAR)
    assert words.endswith("撤回本身不作为失信行为。")


waits = st.timedeltas(timedelta(seconds=1), timedelta(days=60))
rhythms = st.builds(Rhythm, intervals=st.lists(waits, min_size=1, max_size=4), pause=waits)


@given(
    rhythms,
    st.timedeltas(timedelta(0), timedelta(days=90)),
    st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(days=90))),
    st.integers(0, 9),
    st.booleans(),
)
def test_a_commitment_is_due_by_schedule_or_news_and_never_within_the_pause(
    rhythm: Rhythm, waited: timedelta, news_ago: timedelta | None, count: int, asked: bool
) -> None:
    base = NOW - waited
    askings = Askings(count=count, last=base) if asked else Askings()
    news = None if news_ago is None else NOW - news_ago

    due = is_due(base, askings, now=NOW, rhythm=rhythm, news=news)

    interval = rhythm.intervals[min(askings.count, len(rhythm.intervals) - 1)]
    heard = news is not None and news > base
    assert due == (waited >= rhythm.pause and (heard or waited >= interval))


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ((), False),
        ((NOT_COVERED, NOT_COVERED), False),
        ((NOT_COVERED, unavailable(Cause.OUTAGE)), False),
        ((NOT_COVERED, NO_RECORD), True),
        ((MATCH,), True),
    ],
)
def test_that_no_source_covers_a_claim_is_no_answer(said: Sequence[Outcome], answered: bool) -> None:
    evidence = [Evidence(source="s", fact_type="f", outcome=outcome, asked_at=NOW, answered_at=NOW) for outcome in said]

    assert is_answered(evidence) == answered


@pytest.mark.parametrize(
    ("verdict", "reasons", "against"),
    [
        ("CONTRADICTED", (), True),
        ("UNDETERMINED", ("DISPROVED", "NO_RECORD"), True),
        ("UNDETERMINED", ("DISPROVED", "UNAVAILABLE(OUTAGE)"), True),
        ("PENDING", ("DISPROVED", "PENDING"), True),
        ("UNDETERMINED", ("CONFLICT", "NO_RECORD"), True),
        ("UNDETERMINED", ("AMBIGUOUS", "NO_RECORD"), False),
        ("UNDETERMINED", ("UNCLEAR",), False),
        ("PENDING", ("PENDING",), False),
        ("UNDETERMINED", (), False),
        ("ESTABLISHED", (), False),
    ],
)
def test_an_answer_contradicts_a_commitment_by_its_verdict_or_by_what_people_or_sources_disagree_about(
    verdict: str, reasons: Sequence[str], against: bool
) -> None:
    assert contradicts(verdict, reasons) == against
