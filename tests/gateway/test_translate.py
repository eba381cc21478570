"""What is kept of an answer reaches the wire whole, and a time to the microsecond and in every year."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.protobuf import duration_pb2, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.rpc.translate import timestamp, verification
from gateway.v1 import parties_pb2
from gateway.v1 import verification_pb2 as pb

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC) | ZONES)


@given(TIMES)
def test_a_time_is_written_as_protobuf_itself_writes_it(at: datetime) -> None:
    expected = timestamp_pb2.Timestamp()
    expected.FromDatetime(at)
    assert timestamp(at) == expected


def test_no_time_is_no_message() -> None:
    assert timestamp(None) is None


@pytest.mark.parametrize("kept", ["0001-01-01T00:00:00+08:05", "9999-12-31T23:59:59-01:00"])
def test_a_time_that_the_protocol_has_not_is_no_message(kept: str) -> None:
    assert timestamp(datetime.fromisoformat(kept)) is None
    answer = verification(RECORD, KEPT_QUESTION, {**KEPT_ANSWER, "facts": [{**FACT, "as_of": kept}]})
    assert not answer.facts[0].HasField("as_of")


RECORD = bytes.fromhex("ab" * 16)
KEPT_QUESTION: dict[str, Any] = {
    "item": "i",
    "context": {"matter": "m", "case_id": "c", "purpose": "p", "operator": {"person": "o", "unit": "u"}},
}
FACT: dict[str, Any] = {
    "fact_type": "f", "source": "s", "outcome": "MATCH", "cause": "", "asked_at": "1970-01-01T00:00:00+00:00",
    "answered_at": "2026-11-24T04:00:00.000001+00:00", "as_of": None, "attempts": 2, "cached": True, "raw_digest": "ab",
}  # fmt: skip
KEPT_ANSWER: dict[str, Any] = {
    "item": "i", "verdict": "UNDETERMINED", "reasons": ["a", "b"], "facts": [FACT], "disclosure": "PER_FACT",
    "next_step": {
        "explanation": "e",
        "kind": "RETRY_AFTER", "until": None, "retry_after_s": 0, "attribute": "", "attempts": ["x"],
    },
    "catalogue_version": "v", "policy_version": "w", "answered_at": "2026-11-24T12:00:00+08:00",
}  # fmt: skip


def test_an_answer_is_written_whole() -> None:
    assert verification(RECORD, KEPT_QUESTION, KEPT_ANSWER) == pb.Verification(
        record="ab" * 16,
        item="i",
        context=parties_pb2.CaseContext(
            matter="m", case_id="c", purpose="p", operator=parties_pb2.Operator(person="o", unit="u")
        ),
        verdict=pb.VERDICT_UNDETERMINED,
        reasons=["a", "b"],
        next_step=pb.NextStep(
            kind=pb.NEXT_STEP_KIND_RETRY_AFTER,
            retry_after=duration_pb2.Duration(),
            attempts=["x"],
            explanation="e",
        ),
        facts=[
            pb.FactOutcome(
                fact_type="f",
                source="s",
                outcome="MATCH",
                asked_at=timestamp_pb2.Timestamp(),
                answered_at=timestamp_pb2.Timestamp(seconds=1795492800, nanos=1000),
                attempts=2,
                raw_digest=b"\xab",
                cached=True,
            )
        ],
        catalogue_version="v",
        policy_version="w",
        answered_at=timestamp_pb2.Timestamp(seconds=1795492800),
    )


@pytest.mark.parametrize("part", ["context", "item"])
def test_a_question_that_lacks_a_part_is_not_written(part: str) -> None:
    with pytest.raises(KeyError):
        verification(RECORD, {name: value for name, value in KEPT_QUESTION.items() if name != part}, KEPT_ANSWER)


UNWRITTEN = ("disclosure", "cached", "item")
"""Only compared, or kept for the proof: an answer's item is written from its question."""


def of_another_shape(kept: Any) -> Iterator[Any]:
    """Give what was kept with one value at a time, at any depth, of another type."""
    if isinstance(kept, dict):
        told = {name: value for name, value in kept.items() if name not in UNWRITTEN}
        for name, value in told.items():
            yield from (kept | {name: other} for other in of_another_shape(value))
    elif isinstance(kept, list):
        yield from ([other, *kept[1:]] for other in of_another_shape(kept[0]))
        yield {"a": "table"}
    else:
        yield 1.5
        yield ["a list"]
        if isinstance(kept, str):
            yield 5


@pytest.mark.parametrize("kept", list(of_another_shape(KEPT_ANSWER)))
def test_an_answer_of_another_shape_is_not_written(kept: dict[str, Any]) -> None:
    with pytest.raises((TypeError, KeyError)):
        verification(RECORD, KEPT_QUESTION, kept)


@pytest.mark.parametrize(
    "kept", [{"item": 5, **{k: v for k, v in KEPT_QUESTION.items() if k != "item"}}, *of_another_shape(KEPT_QUESTION)]
)
def test_a_question_of_another_shape_is_not_written(kept: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        verification(RECORD, kept, KEPT_ANSWER)


@pytest.mark.parametrize("part", ["catalogue_version", "policy_version", "verdict"])
def test_an_answer_that_lacks_a_text_is_not_written(part: str) -> None:
    with pytest.raises((TypeError, KeyError)):
        verification(RECORD, KEPT_QUESTION, KEPT_ANSWER | {part: None})
