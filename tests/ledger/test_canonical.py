"""Canonical JSON: the fast encoder agrees byte for byte with the reference (RFC 8785), and refuses all else."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import canonical, parse_canonical
from ledger.errors import CanonicalError
from ledger.records.codec import Entry, decode_entry, encode_entry, entry_parts, later_entry, record_of
from ledger.records.lifecycle import FAMILY_OF

_LARGEST = (1 << 53) - 1
keys = st.text(st.characters(max_codepoint=127), max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-_LARGEST, _LARGEST) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=25
)


class _Word(StrEnum):
    A = "a"


class _Number(Enum):
    ONE = 1


@given(values)
def test_it_agrees_with_the_reference_encoder(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(values)
def test_what_was_encoded_is_read_back_as_it_was(value: Any) -> None:
    assert parse_canonical(canonical(value)) == value


@given(st.dictionaries(keys, scalars, max_size=4))
def test_a_mapping_or_tuple_is_encoded_as_the_object_or_array_it_stands_for(value: dict[str, Any]) -> None:
    assert canonical((MappingProxyType(value),)) == canonical([value])


def nested(depth: int) -> Any:
    value: Any = "x"
    for turn in range(depth):
        value = [value] if turn % 2 else {"k": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        1.0, 0.5, float("nan"), 1 << 53, -(1 << 53), b"x", {1: "x"}, {"é": 1}, "\ud800", {"k": "\udfff"}, {1, 2},
        _Word.A, {_Word.A: 1}, _Number.ONE, uuid.UUID(int=1), datetime.now(UTC), object(), [1.0], {"k": [1.5]},
        nested(65), {"k": nested(64)}, MappingProxyType({"k": 1.0}), [MappingProxyType({"é": 1})],
    ],
)  # fmt: skip
def test_what_the_profile_does_not_have_is_refused_without_being_shown(value: Any) -> None:
    with pytest.raises(CanonicalError) as refused:
        canonical(value)
    assert "0.5" not in str(refused.value)


def test_the_deepest_nesting_that_is_allowed_can_be_read_back() -> None:
    assert parse_canonical(canonical(nested(64))) == nested(64)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b'{"a":1,"a":1}', b'{"b":1,"a":1}', b'{"a": 1}', b'{"a":1}\n', b'{"a":1.0}', b'{"a":1e2}',
        b'"\\u0041"', b'"\\/"', b"\xef\xbb\xbf{}", b"\xff", b"01", b"-0", b"NaN",
        b"9007199254740992", b"[" * 100 + b"]" * 100,
    ],
)  # fmt: skip
def test_bytes_of_any_other_spelling_are_refused(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        parse_canonical(data)


@given(st.binary(max_size=60))
def test_parsing_is_total(data: bytes) -> None:
    try:
        value = parse_canonical(data)
    except CanonicalError:
        return
    assert canonical(value) == data


hashes = st.binary(min_size=32, max_size=32)
groups = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True) | st.just("record"), hashes.map(bytes.hex), max_size=5
)
times = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@given(
    st.sampled_from(sorted(FAMILY_OF)), st.binary(min_size=16, max_size=16), st.integers(0, 10**6), hashes, times,
    st.just("") | hashes.map(bytes.hex), groups,
)  # fmt: skip
def test_an_entry_put_together_from_parts_is_the_one_the_reference_encodes(
    kind: str, record: bytes, seq: int, prev: bytes, at: datetime, policy: str, commits: dict[str, str]
) -> None:
    entry = Entry(
        kind=kind, record=record, seq=seq, prev=prev if seq else None, at=at, policy=policy, commits=commits
    )  # fmt: skip
    leaf = encode_entry(entry)
    assert leaf == rfc8785.dumps(
        {
            "at": at.isoformat(timespec="microseconds")[:26] + "Z", "commits": commits, "kind": kind, "policy": policy,
            "prev": prev.hex() if seq else None, "record": record.hex(), "seq": seq, "v": 1,
        }
    )  # fmt: skip
    before, between = entry_parts(
        kind, record, at.isoformat(timespec="microseconds")[:26] + "Z", policy, dict(sorted(commits.items()))
    )
    parts = later_entry(before, prev, between, seq) if seq else before + b"null" + between + b'0,"v":1}'
    assert parts == leaf
    assert decode_entry(leaf) == entry
    assert record_of(leaf) == record.hex()
