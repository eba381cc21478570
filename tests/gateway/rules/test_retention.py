"""Retention rules: nothing open, disputed, held or young is ever due; what is due is due for no reason but its age."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.rules.clocks import CHINA
from gateway.rules.retention import (
    Bundle,
    Kept,
    Periods,
    RetentionRules,
    judge,
    years_after,
    years_before,
)
from ledger import RecordRow
from ledger.records.lifecycle import FAMILIES

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = RetentionRules(default=Periods(), matters={"long": Periods(commitment=10, verification=7, lookup=5)})
STATES = {
    name: sorted({state for steps in family.transitions.values() for state in steps.values()})
    for name, family in FAMILIES.items()
}
OPEN = [
    ("commitment", "PREPARED", Kept.UNDECIDED),
    ("commitment", "RECORDED", Kept.UNDECIDED),
    ("commitment", "BINDING", Kept.UNDECIDED),
    ("commitment", "REFUSAL_LIFTED", Kept.UNDECIDED),
    ("commitment", "IN_FORCE", Kept.OPEN_AUDIT),
    ("commitment", "DISPUTED", Kept.PENDING_DISPUTE),
    ("commitment", "CONTESTED", Kept.PENDING_DISPUTE),
    ("commitment", "SOMETHING_NEW", Kept.PENDING_DISPUTE),
    ("finding", "DISCREPANCY", Kept.OPEN_FINDING),
    ("finding", "DECIDED", Kept.OPEN_FINDING),
    ("report", "ISSUED", Kept.OPEN_REPORT),
    ("report", "ACKNOWLEDGED", Kept.OPEN_REPORT),
    ("report", "REJECTED", Kept.OPEN_REPORT),
    ("operation", "HELD", Kept.LEGAL_HOLD),
    ("staffkey", "KEY_ENROLLED", Kept.UNDECIDED),
]


def row(family: str = "commitment", state: str = "CONFIRMED", *, years: int = 9, matter: str = "m") -> RecordRow:
    at = NOW.replace(year=NOW.year - years)
    due_at = at if state == "IN_FORCE" else None
    return RecordRow(
        record=os.urandom(16), family=family, state=state, seq=0, first_idx=0, last_idx=0, opened_at=at, changed_at=at,
        matter=matter, unit="u", due_at=due_at,
    )  # fmt: skip


def due(bundle: Bundle, *, held: bool = False, now: datetime = NOW) -> Kept | None:
    return judge(bundle, RULES, held=held, now=now)


@pytest.mark.parametrize(("family", "state", "reason"), OPEN)
def test_what_is_open_is_kept_however_old_whether_root_or_related(family: str, state: str, reason: Kept) -> None:
    assert due(Bundle(root=row(family, state, years=50))) is reason
    assert due(Bundle(root=row(years=50), related=[row(family, state, years=50)])) is reason


def test_what_is_in_force_and_never_audited_is_at_its_end() -> None:
    never = replace(row(state="IN_FORCE"), due_at=None)
    assert due(Bundle(root=never)) is None
    assert due(Bundle(root=replace(row(state="IN_FORCE", years=4), due_at=None))) is Kept.PERIOD_RUNNING
    for open_one in (row("finding", "DISCREPANCY"), row("report", "ISSUED"), row("operation", "HELD")):
        assert due(Bundle(root=never, related=[open_one])) is not None


def test_a_hold_keeps_before_everything_else() -> None:
    assert due(Bundle(root=row(years=50)), held=True) is Kept.LEGAL_HOLD
    assert due(Bundle(root=row(state="IN_FORCE")), held=True) is Kept.LEGAL_HOLD


def test_a_final_finding_keeps_while_it_has_effect() -> None:
    finding = replace(row("finding", "FINAL", years=9), due_at=NOW + timedelta(seconds=1))
    bundle = Bundle(root=row(state="BROKEN"), related=[finding])
    assert due(bundle) is Kept.EFFECT_RUNNING
    assert due(bundle, now=NOW + timedelta(seconds=1)) is None
    assert due(Bundle(root=bundle.root, related=[replace(finding, state="REPAIRED")])) is None


def test_that_an_effect_ran_out_begins_no_period_anew_whenever_it_was_noted() -> None:
    broken, young = row(state="BROKEN", years=6), row("finding", "EFFECT_ENDED", years=1)
    noted = [replace(young, opened_at=broken.opened_at, family=family) for family in ("finding", "report")]
    assert due(Bundle(root=broken, related=noted)) is None
    assert due(Bundle(root=replace(broken, changed_at=NOW), related=noted)) is Kept.PERIOD_RUNNING
    closed = replace(noted[1], state="CLOSED")  # the platform had refused it
    assert due(Bundle(root=broken, related=[noted[0], closed])) is None
    repaired = replace(noted[0], state="REPAIRED")
    assert due(Bundle(root=broken, related=[repaired, closed])) is Kept.PERIOD_RUNNING


@pytest.mark.parametrize(
    ("root", "years"),
    [
        (row("commitment"), 5), (row("commitment", matter="long"), 10), (row("verification", "ANSWERED"), 5),
        (row("verification", "REFUSED", matter="long"), 7), (row("operation", "DONE"), 5), (row("finding", "FINAL"), 5),
    ],
)  # fmt: skip
def test_the_period_of_the_matter_runs_to_the_end_of_its_last_day_in_china(root: RecordRow, years: int) -> None:
    midnight = datetime(2026, 11, 24, 16, tzinfo=UTC)
    for ended in (timedelta(0), timedelta(hours=7, minutes=30), timedelta(hours=23, minutes=59, seconds=59)):
        at = midnight.replace(year=2026 - years) + ended - timedelta(days=1)
        bundle = Bundle(root=replace(root, changed_at=at))
        assert due(bundle, now=midnight - timedelta(microseconds=1)) is Kept.PERIOD_RUNNING
        assert due(bundle, now=midnight) is None


@pytest.mark.parametrize(
    ("ended", "years", "last"),
    [
        (datetime(2027, 3, 1, 7, 0, tzinfo=CHINA), 5, date(2032, 3, 1)),  # in UTC the last of February
        (datetime(2027, 3, 1, 9, 0, tzinfo=CHINA), 5, date(2032, 3, 1)),
        (datetime(2024, 2, 29, 7, 0, tzinfo=CHINA), 5, date(2029, 3, 1)),
        (datetime(2024, 2, 29, 23, 0, tzinfo=CHINA), 4, date(2028, 2, 29)),
        (datetime(2027, 1, 1, 0, 0, tzinfo=CHINA), 1, date(2028, 1, 1)),
    ],
)
def test_nothing_is_kept_shorter_than_to_the_same_day_of_the_year(ended: datetime, years: int, last: date) -> None:
    ends = datetime.combine(last, time(23, 59, 59, 999_999), tzinfo=CHINA)
    rules = RetentionRules(default=Periods(commitment=years))
    bundle = Bundle(root=replace(row(), changed_at=ended.astimezone(UTC)))
    assert judge(bundle, rules, held=False, now=ends) is Kept.PERIOD_RUNNING
    assert judge(bundle, rules, held=False, now=ends + timedelta(microseconds=1)) is None


def test_the_youngest_of_a_bundle_counts() -> None:
    assert due(Bundle(root=row(years=50), related=[row("report", "RECALLED", years=1)])) is Kept.PERIOD_RUNNING


rows = st.builds(
    lambda family, pick, years: row(family, STATES[family][pick % len(STATES[family])], years=years),
    st.sampled_from(sorted(STATES)), st.integers(0, 99), st.integers(0, 60),
)  # fmt: skip


@given(rows, st.lists(rows, max_size=3), rows)
def test_more_records_in_a_bundle_never_make_it_due(root: RecordRow, related: list[RecordRow], more: RecordRow) -> None:
    assume(due(Bundle(root=root, related=related)) is not None)
    assert due(Bundle(root=root, related=[*related, more])) is not None


ENDED = [
    ("commitment", "CONFIRMED"), ("commitment", "WITHDRAWN"), ("verification", "ANSWERED"), ("finding", "CLEARED"),
    ("finding", "FINAL"), ("report", "RECALLED"), ("operation", "DONE"),
]  # fmt: skip
ended_rows = st.builds(lambda kind, years: row(*kind, years=years), st.sampled_from(ENDED), st.integers(0, 12))


@given(ended_rows, st.lists(ended_rows, max_size=2), st.integers(0, 20_000))
def test_what_is_due_stays_due_and_what_has_ended_becomes_due(
    root: RecordRow, related: list[RecordRow], days: int
) -> None:
    bundle, later = Bundle(root=root, related=related), NOW + timedelta(days=days)
    assert due(bundle) in (None, Kept.PERIOD_RUNNING)
    if due(bundle) is None:
        assert due(bundle, now=later) is None
    assert due(bundle, now=years_after(bundle.ended_at, 10)) is None


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.integers(1, 50))
def test_what_is_due_began_before_the_time_that_is_looked_from(moment: datetime, years: int) -> None:
    before = years_before(moment, years)
    for ended in (moment, *(before + timedelta(hours=hours) for hours in range(-48, 49))):
        if years_after(ended, years) <= moment:
            assert ended <= before


def test_a_day_that_a_year_lacks_is_the_next() -> None:
    leap = datetime(2024, 2, 29, 12, tzinfo=CHINA)
    assert years_after(leap, 1) == datetime(2025, 3, 2, tzinfo=CHINA)
    assert years_before(leap, 1) == datetime(2023, 3, 1, tzinfo=CHINA)


def test_the_shortest_period_bounds_the_search() -> None:
    assert RetentionRules(matters={"a": Periods(lookup=2)}).shortest() == 2
