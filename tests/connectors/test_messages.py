"""Questions and answers cross the wire unchanged, and nothing that arrives is taken for what it is not."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from google.protobuf import timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from connectors.connector import Claim, Coverage, Form, Manifest, QueryContext, Subject
from connectors.outcome import Cause, Evidence, Kind, Outcome
from connectors.transports.messages import (
    UNNAMED_RULE,
    Malformed,
    read_coverage,
    read_evidence,
    read_question,
    write_evidence,
    write_manifest,
    write_question,
)
from connectors.v1 import source_pb2 as pb

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,20}", fullmatch=True)
values = texts | st.integers(-(1 << 63), (1 << 63) - 1) | st.booleans() | st.dates()
tables = st.dictionaries(names, values, max_size=4)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
id_types = st.sampled_from(["resident-id", "permit", "uscc"])
subjects = st.builds(Subject, id_type=id_types, id_number=texts, name=texts)
contexts = st.builds(
    QueryContext, matter=texts, case=texts, item=texts, operator=texts, unit=texts, reason=texts, deadline=st.just(7.0)
)


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    expected, given_ = draw(tables), draw(tables)
    named = sorted(expected.keys() | given_.keys())
    forms = draw(st.dictionaries(st.sampled_from(named), st.sampled_from(Form))) if named else {}
    period = draw(st.none() | st.tuples(st.dates(), st.dates()).map(lambda days: (min(days), max(days))))
    return Claim(
        fact_type=draw(texts),
        subject=draw(subjects),
        expected=expected,
        given=given_,
        forms=forms,
        place=draw(st.just("") | st.from_regex(r"[0-9]{6}", fullmatch=True)),
        period=period,
    )


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    kind = draw(st.sampled_from(Kind))
    may_wait = kind in (Kind.PENDING, Kind.UNAVAILABLE)
    until = draw(moments if kind is Kind.PENDING else st.none() | moments) if may_wait else None
    return Outcome(
        kind=kind,
        cause=draw(st.sampled_from(Cause)) if kind is Kind.UNAVAILABLE else None,
        until=until,
        attribute=draw(names) if kind is Kind.NEEDS_ATTRIBUTE else "",
        rule=draw(st.from_regex(r"[A-Z][A-Z0-9_]{0,62}", fullmatch=True)) if kind is Kind.REFUSED else "",
        other_identity=kind is Kind.MISMATCH and draw(st.booleans()),
    )


@given(st.lists(claims(), min_size=1, max_size=3), contexts)
def test_a_question_arrives_as_it_was_asked(asked: list[Claim], context: QueryContext) -> None:
    request = pb.CheckManyRequest.FromString(write_question(asked, context).SerializeToString())
    read, told, mistakes = read_question(request, 7.0)
    assert mistakes.found == []
    assert (read, told) == (asked, context)


@given(claims(), outcomes(), st.none() | moments, st.binary(min_size=32, max_size=32))
def test_an_answer_arrives_as_it_was_given(claim: Claim, outcome: Outcome, as_of: datetime | None, raw: bytes) -> None:
    told = {"source": "s", "fact_type": claim.fact_type, "asked_at": NOW, "answered_at": NOW}
    given_ = Evidence(**told, outcome=outcome, as_of=as_of, raw_digest=raw)  # type: ignore[arg-type]
    message = pb.Evidence()
    write_evidence(message, given_)
    assert read_evidence(pb.Evidence.FromString(message.SerializeToString()), claim) == (outcome, as_of, raw)


@given(st.binary(max_size=300), claims())
def test_whatever_arrives_for_an_answer_is_read_or_refused(octets: bytes, claim: Claim) -> None:
    message = pb.Evidence(fact_type=claim.fact_type)
    try:
        message.MergeFromString(octets)
    except Exception:
        return
    try:
        told = read_evidence(message, claim)
    except Malformed:
        return
    assert told.outcome.kind not in (Kind.MATCH, Kind.MISMATCH, Kind.NO_RECORD) or len(told.raw_digest) == 32


@pytest.mark.parametrize(
    "outcome",
    [
        pb.Outcome(),
        pb.Outcome(kind=13),  # type: ignore[arg-type]
        pb.Outcome(kind=pb.OUTCOME_KIND_UNAVAILABLE),
        pb.Outcome(kind=pb.OUTCOME_KIND_UNAVAILABLE, cause=9),  # type: ignore[arg-type]
        pb.Outcome(kind=pb.OUTCOME_KIND_MATCH, cause=pb.CAUSE_OUTAGE),
        pb.Outcome(kind=pb.OUTCOME_KIND_MATCH, other_identity=True),
        pb.Outcome(kind=pb.OUTCOME_KIND_PENDING),
        pb.Outcome(kind=pb.OUTCOME_KIND_PENDING, until=timestamp_pb2.Timestamp(seconds=1 << 60)),
        pb.Outcome(kind=pb.OUTCOME_KIND_REFUSED),
        pb.Outcome(kind=pb.OUTCOME_KIND_NEEDS_ATTRIBUTE),
        pb.Outcome(kind=pb.OUTCOME_KIND_NEEDS_ATTRIBUTE, attribute="230103198507041236 张小明"),
    ],
)
def test_an_outcome_outside_the_contract_is_refused(outcome: pb.Outcome) -> None:
    claim = Claim(fact_type="f", subject=Subject(id_type="uscc", id_number="1", name="示例"))
    with pytest.raises(Malformed):
        read_evidence(pb.Evidence(fact_type="f", outcome=outcome, raw_digest=bytes(32)), claim)


@pytest.mark.parametrize("rule", ["不予提供", "not of 张小明", "lower", "A" * 64, "A B"])
def test_a_rule_that_is_no_code_is_not_repeated(rule: str) -> None:
    claim = Claim(fact_type="f", subject=Subject(id_type="uscc", id_number="1", name="示例"))
    outcome = pb.Outcome(kind=pb.OUTCOME_KIND_REFUSED, rule=rule)
    told = read_evidence(pb.Evidence(fact_type="f", outcome=outcome), claim)
    assert told.outcome == Outcome(kind=Kind.REFUSED, rule=UNNAMED_RULE)


def test_a_manifest_tells_where_and_since_when_the_source_is_complete() -> None:
    coverage = {"f": Coverage(places=("23", "2201"), since=date(1985, 1, 1), until=date(2026, 1, 1)), "g": Coverage()}
    manifest = Manifest(source="s", department="民政厅", fact_types=frozenset("fgh"), coverage=coverage)
    written = write_manifest(manifest)
    assert {name: read_coverage(one) for name, one in written.coverage.items()} == coverage
    assert list(written.fact_types) == ["f", "g", "h"]
    assert not written.HasField("freshness")


def test_a_coverage_with_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(Malformed):
        read_coverage(pb.Coverage(since=pb.Date(year=2026, month=2, day=30)))
