"""The fallback table is total: each verdict with each set of reasons has one next step, under every setting.

`next_step` depends on verdict and reasons only through their situation, so the proof has two halves: every verdict with
every set of reasons has a situation, and every situation has one step under every setting. Both are counted out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from connectors.outcome import Cause
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.catalogue.words import LADDER_ORDER, CommitmentMode, Rung
from gateway.rules.fallback import (
    TABLE,
    FallbackInput,
    FallbackSettings,
    Situation,
    StepKind,
    course,
    next_step,
    policy_digest,
    settings_for,
    situation,
)
from gateway.rules.reasons import STRENGTH, Reason, ReasonKind, Strength
from gateway.rules.verdict import Verdict

OF_A_KIND = {
    kind: Reason(
        kind=kind,
        cause=Cause.OUTAGE if kind is ReasonKind.UNAVAILABLE else None,
        attribute="x" if kind is ReasonKind.NEEDS_ATTRIBUTE else "",
    )
    for kind in ReasonKind
}
SAMPLES = {
    Situation.ESTABLISHED: (Verdict.ESTABLISHED, frozenset[Reason]()),
    Situation.CONTRADICTED: (Verdict.CONTRADICTED, frozenset[Reason]()),
    Situation.PENDING: (Verdict.PENDING, frozenset({OF_A_KIND[ReasonKind.PENDING]})),
    Situation.NEEDS_ATTRIBUTE: (Verdict.UNDETERMINED, frozenset({OF_A_KIND[ReasonKind.NEEDS_ATTRIBUTE]})),
    Situation.TEMPORARY: (Verdict.UNDETERMINED, frozenset({OF_A_KIND[ReasonKind.UNAVAILABLE]})),
    Situation.UNCLEAR: (Verdict.UNDETERMINED, frozenset({OF_A_KIND[ReasonKind.CONFLICT]})),
    Situation.DISPROVED: (
        Verdict.UNDETERMINED,
        frozenset({OF_A_KIND[kind] for kind in (ReasonKind.DISPROVED, ReasonKind.NO_RECORD)}),
    ),
    Situation.MISSING: (Verdict.UNDETERMINED, frozenset({OF_A_KIND[ReasonKind.NO_RECORD]})),
}


def subsets(of: tuple[Rung, ...]) -> Iterator[tuple[Rung, ...]]:
    for size in range(len(of) + 1):
        yield from itertools.combinations(of, size)


def every_setting() -> Iterator[FallbackSettings]:
    for ladder, mode, opened, confirm in itertools.product(
        subsets(LADDER_ORDER), CommitmentMode, (True, False), (True, False)
    ):
        yield FallbackSettings(
            ladder=ladder,
            commitment_mode=mode,
            commitment_open=opened,
            patience=timedelta(hours=1),
            retry_after=timedelta(minutes=1),
            confirm_by_clerk=confirm,
        )


def test_every_verdict_with_every_set_of_reasons_has_a_situation() -> None:
    kinds = list(ReasonKind)
    for verdict in Verdict:
        for mask in range(1 << len(kinds)):
            reasons = frozenset(OF_A_KIND[kind] for bit, kind in enumerate(kinds) if mask >> bit & 1)
            found = situation(verdict, reasons)

            assert found in TABLE
            if found is Situation.MISSING:
                assert verdict is Verdict.UNDETERMINED
                assert {STRENGTH[reason.kind] for reason in reasons} == {Strength.MISSING}


def test_every_situation_has_one_step_under_every_setting() -> None:
    for where, (verdict, reasons) in SAMPLES.items():
        assert situation(verdict, reasons) is where
        for settings, attempted, patience_passed in itertools.product(
            every_setting(), subsets(LADDER_ORDER), (True, False)
        ):
            step = next_step(
                FallbackInput(
                    verdict=verdict,
                    reasons=reasons,
                    settings=settings,
                    attempted=frozenset(attempted),
                    patience_passed=patience_passed,
                )
            )
            assert isinstance(step.kind, StepKind)
            assert step.explanation
            if step.kind is StepKind.COMMITMENT:
                assert where is Situation.MISSING
                assert settings.commitment_open
                assert Rung.COMMITMENT in settings.ladder


def test_the_table_has_a_row_for_every_situation_and_only_missing_follows_the_matters_ladder() -> None:
    assert set(TABLE) == set(Situation) == set(SAMPLES)
    assert [where for where, row in TABLE.items() if row.rungs is None] == [Situation.MISSING]
    for row in TABLE.values():
        assert row.rungs is None or Rung.COMMITMENT not in row.rungs


def test_every_course_ends_and_tries_nothing_twice() -> None:
    for where, settings in itertools.product(Situation, every_setting()):
        steps = course(where, settings)

        assert len(set(steps)) == len(steps)
        assert StepKind.COMMITMENT not in steps[:-1]


def test_what_people_found_untrue_ends_in_a_dispute_after_people_were_asked_of_the_rest() -> None:
    for settings in every_setting():
        assert course(Situation.DISPROVED, settings) == (
            StepKind.ASSISTANCE, StepKind.OWN_OR_COMMISSIONED_CHECK, StepKind.DISPUTE,
        )  # fmt: skip


def test_people_are_asked_before_a_commitment_of_last_resort() -> None:
    for settings in every_setting():
        if settings.commitment_mode is CommitmentMode.LAST_RESORT and settings.commitment_open:
            steps = [step.value for step in course(Situation.MISSING, settings)]
            if "COMMITMENT" in steps:
                assert steps == [rung.value for rung in settings.ladder]


def test_the_policy_digest_tells_every_setting_from_every_other() -> None:
    base = next(every_setting())
    every = list(every_setting())
    digests = {policy_digest(settings) for settings in every}

    assert len(digests) == len(every)
    assert policy_digest(base) == policy_digest(next(every_setting()))


def test_each_item_of_each_shipped_matter_has_a_policy() -> None:
    catalogue = load_catalogue(shipped_catalogue_files())
    for matter in catalogue.matters.values():
        for code in matter.items:
            settings = settings_for(catalogue.item(code), matter)
            assert len(policy_digest(settings)) == 64
            for where in Situation:
                assert course(where, settings)


def test_a_step_says_until_when_nothing_can_change_only_where_every_source_that_is_away_says_so() -> None:
    early, late = datetime(2026, 1, 1, 8, tzinfo=UTC), datetime(2026, 1, 1, 9, tzinfo=UTC)

    def until(*ends: datetime | None) -> datetime | None:
        reasons = {Reason(kind=ReasonKind.UNAVAILABLE, cause=Cause.WINDOW, until=end) for end in ends}
        missing = Reason(kind=ReasonKind.NO_RECORD)
        given = FallbackInput(
            verdict=Verdict.UNDETERMINED, reasons=frozenset({*reasons, missing}), settings=next(every_setting())
        )
        step = next_step(given)
        assert step.kind is StepKind.RETRY_AFTER
        return step.until

    assert until(late, early) == early
    assert until(late, None) is None
    assert until(None) is None
