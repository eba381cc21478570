"""Which answers count as wrong guesses: what could not have come out otherwise, whatever was said, tells nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pytest

from connectors.connector import Claim, Form, Subject, Value
from connectors.outcome import Cause, Evidence, Kind, Outcome
from gateway.rules.guessing import Tells, named, said, told_by

WHO = Subject(id_type="resident-id", id_number="230199198001010072", name="示例甲")
NOTHING, FINDING, WHOLE = Tells.NOTHING, Tells.FINDING, Tells.WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A claim of a test, by what it names beyond its person."""

    expected: dict[str, Value] = field(default_factory=dict)
    given: dict[str, Value] = field(default_factory=dict)
    name: str = WHO.name

    def claim(self) -> Claim:
        who = Subject(id_type=WHO.id_type, id_number=WHO.id_number, name=self.name)
        return Claim(fact_type="f", subject=who, expected=self.expected, given=self.given)


BARE = Said()
ONE, TWO = Said(expected={"a": "x"}), Said(expected={"a": "x", "b": "y"})
GIVEN = Said(given={"relative": "乙"})
GIVEN_ONE, GIVEN_TWO = Said(expected=ONE.expected, given=GIVEN.given), Said(expected=TWO.expected, given=GIVEN.given)
CLAIMS = (BARE, ONE, TWO, GIVEN, GIVEN_ONE, GIVEN_TWO)
TABLE = {
    Kind.MISMATCH: (WHOLE,) * 6,
    Kind.NO_RECORD: (NOTHING, NOTHING, NOTHING, FINDING, FINDING, FINDING),
    Kind.AMBIGUOUS: (FINDING,) * 6,
    Kind.NOT_HELD: (NOTHING, NOTHING, WHOLE, FINDING, FINDING, WHOLE),
    Kind.NOT_COVERED: (NOTHING, NOTHING, NOTHING, FINDING, FINDING, FINDING),
}
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def answer(kind: Kind, *, attempts: int = 1) -> Evidence:
    outcome = Outcome(
        kind=kind,
        cause=Cause.OUTAGE if kind is Kind.UNAVAILABLE else None,
        until=NOW if kind is Kind.PENDING else None,
        attribute="a" if kind is Kind.NEEDS_ATTRIBUTE else "",
        rule="r" if kind is Kind.REFUSED else "",
    )
    return Evidence(source="s", fact_type="f", outcome=outcome, asked_at=NOW, answered_at=NOW, attempts=attempts)


@pytest.mark.parametrize("kind", list(Kind))
def test_each_outcome_of_each_claim_tells_what_the_table_says(kind: Kind) -> None:
    expected = TABLE.get(kind, (NOTHING,) * 6)

    assert tuple(told_by(one.claim(), [answer(kind)]) for one in CLAIMS) == expected


def test_several_sources_tell_what_the_most_telling_of_them_does() -> None:
    claim = GIVEN_ONE.claim()

    assert told_by(claim, []) is NOTHING
    assert told_by(claim, map(answer, [Kind.UNAVAILABLE, Kind.NO_RECORD, Kind.MATCH])) is FINDING
    assert told_by(claim, map(answer, [Kind.NO_RECORD, Kind.MISMATCH])) is WHOLE


def test_what_is_not_covered_tells_nothing_where_nobody_was_asked() -> None:
    assert told_by(GIVEN.claim(), [answer(Kind.NOT_COVERED, attempts=0)]) is NOTHING


@pytest.mark.parametrize("typed", ["示例路1号", "示例路１号", " 示例路1号 ", "示例路1号\u200b"])
def test_spellings_that_compare_equal_are_one_guess(typed: str) -> None:
    for tells, one, other in (
        (WHOLE, Said(expected={"a": "示例路1号"}), Said(expected={"a": typed})),
        (FINDING, Said(given={"a": "示例路1号"}), Said(given={"a": typed})),
    ):
        assert said(one.claim(), tells) == said(other.claim(), tells)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ONE, Said(expected={"a": "X"})),
        (ONE, Said(expected={"b": "x"})),
        (Said(expected={"a": 1}), Said(expected={"a": "1"})),
        (Said(expected={"a": 1}), Said(expected={"a": True})),
        (Said(expected={"a": date(2026, 1, 1)}), Said(expected={"a": "2026-01-01"})),
        (GIVEN, Said(given={"relative": "丙"})),
        (BARE, Said(name="示例乙")),
        (Said(expected={"a": "x"}), Said(given={"a": "x"})),
    ],
)
def test_what_differs_is_another_guess(one: Said, other: Said) -> None:
    assert said(one.claim(), WHOLE) != said(other.claim(), WHOLE)


def test_what_was_expected_makes_no_other_guess_of_what_was_looked_for() -> None:
    assert said(GIVEN_ONE.claim(), FINDING) == said(GIVEN_TWO.claim(), FINDING)
    assert said(GIVEN.claim(), FINDING) != said(BARE.claim(), FINDING)


NUMBER = Form.ID_NUMBER


@pytest.mark.parametrize(
    "typed",
    [
        "11010519491231002X",
        "11010519491231002x",
        "110105 19491231 002x",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105491231002",
    ],
)
def test_whom_a_claim_names_is_one_person_in_every_spelling(typed: str) -> None:
    claim = Claim(fact_type="f", subject=WHO, expected={"spouse": typed}, forms={"spouse": NUMBER})

    assert named(claim) == [("spouse", "110105491231002")]


def test_people_are_named_by_what_is_given_and_by_what_is_expected_and_only_by_number() -> None:
    claim = Claim(
        fact_type="f", subject=WHO,
        given={"relative_id_number": "110105200001010018", "relative_name": "乙", "certificate": "110105194912310021"},
        expected={"mother": "11010520000101003X", "married": True},
        forms={"relative_id_number": NUMBER, "relative_name": Form.NAME, "mother": NUMBER, "married": NUMBER},
    )  # fmt: skip

    assert named(claim) == [("relative_id_number", "110105200001010018"), ("mother", "11010520000101003X")]
