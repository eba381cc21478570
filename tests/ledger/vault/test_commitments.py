"""Commitments and the document behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger import CanonicalError
from ledger.canonical import Json
from ledger.records.commitments import VaultGroup, commit_group, commit_groups, decode_document

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)
FIELDS = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,10}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=6,
)


def stream() -> Callable[[int], bytes]:
    calls = iter(range(1 << 20))
    return lambda count: hashlib.shake_256(next(calls).to_bytes(4, "big")).digest(count)


@given(
    groups=st.dictionaries(NAMES, VALUES, max_size=4),
    fields=st.dictionaries(
        NAMES.map(lambda name: "f" + name), st.dictionaries(FIELDS, VALUES, min_size=1, max_size=4), max_size=3
    ),
)
def test_a_document_reads_back_and_commits_to_the_same(
    groups: dict[str, Json], fields: dict[str, dict[str, Json]]
) -> None:
    groups = {name: value for name, value in groups.items() if name not in fields}
    commits, document, mistakes, _ = commit_groups(groups, fields, stream())
    assert mistakes == []
    assert list(commits) == sorted([*groups, *fields])
    opened = decode_document(document)
    assert decode_document(document, own=True) == opened
    assert {name: group.value for name, group in opened.items()} == {**groups, **fields}
    assert {name: commit_group(name, group) for name, group in opened.items()} == commits
    salts = [s for g in opened.values() for s in (g.salt, *(g.field_salts or {}).values())]
    assert len(set(salts)) == len(salts)


def test_the_commitments_are_what_the_documentation_says() -> None:
    commits, document, _, _ = commit_groups({"whole": {"a": [1, "甲"]}}, {"by-field": {"B": None, "a": 2}}, stream())
    opened = decode_document(document)
    whole, fields = opened["whole"], opened["by-field"]
    sha256, encode = hashlib.sha256, rfc8785.dumps
    expected = sha256(b"chengxin/ledger/v1/commit\0whole\0" + whole.salt + encode({"a": [1, "甲"]})).hexdigest()
    assert commits["whole"] == expected
    assert fields.field_salts is not None
    digests = {
        name: sha256(
            b"chengxin/ledger/v1/field\0by-field\0" + name.encode() + b"\0" + fields.field_salts[name] + encode(value)
        ).hexdigest()
        for name, value in (("B", None), ("a", 2))
    }
    expected = sha256(b"chengxin/ledger/v1/fields\0by-field\0" + fields.salt + encode(digests)).hexdigest()
    assert commits["by-field"] == expected


def test_frozen_commitments_do_not_change() -> None:
    commits, document, _, _ = commit_groups({"g": {"a": 1}}, {"h": {"x": "y", "z": None}}, bytes)
    assert commits == {
        "g": "5b457647fdddfd8e137674cd62799dc7861b8f06e616961e828bf0e11cbbe668",
        "h": "5e07c435f69b394f4879a1cc24744088032e04ec114f84c779992adf9751868e",
    }
    assert hashlib.sha256(document).hexdigest() == "1440e54cc5216c58eb5eadee02b43b7bc1cbeb05ce447952dadd3e305c11daad"


def test_a_group_by_fields_and_the_same_group_whole_have_different_commitments() -> None:
    value: dict[str, Json] = {"a": 1}
    by_fields, _, _, _ = commit_groups({}, {"g": value}, bytes)
    whole, _, _, _ = commit_groups({"g": value}, {}, bytes)
    assert by_fields != whole


def test_every_mistake_in_names_is_told_at_once_and_no_value() -> None:
    _, _, mistakes, _ = commit_groups(
        {"Bad": 1, "both": 2}, {"both": {"a b": "secret"}, "none": {}, "x": {"": 1}}, stream()
    )
    assert mistakes == [
        "a group's name is malformed",
        "group 'both' is given twice, whole and by fields",
        "group 'both': a field's name is malformed",
        "group 'none' is not 1 to 256 fields",
        "group 'x': a field's name is malformed",
    ]


def test_every_group_outside_the_profile_is_told_and_no_value() -> None:
    _, _, mistakes, _ = commit_groups({"a": 1.5, "b": 1}, {"c": {"d": 2**60}}, stream())  # type: ignore[dict-item]
    assert mistakes == [
        "group 'a': a float has no canonical form",
        "group 'c': field 'd': an integer is not below 2^53 in magnitude",
    ]


def test_a_document_over_the_limit_is_told() -> None:
    _, _, mistakes, _ = commit_groups({"big": "x" * (16 << 20)}, {}, stream())
    assert mistakes == ["the document is larger than 16 MiB"]


@pytest.mark.parametrize("by_fields", [False, True])
def test_what_is_accepted_at_the_greatest_depth_can_be_read_back(by_fields: bool) -> None:
    def nested(depth: int) -> Json:
        value: Json = 1
        for _ in range(depth):
            value = [value]
        return value

    accepted = []
    for depth in range(55, 70):
        value = nested(depth)
        _, document, mistakes, _ = commit_groups(
            {} if by_fields else {"g": value}, {"g": {"f": value}} if by_fields else {}, stream()
        )
        if not mistakes:
            assert decode_document(document)
            accepted.append(depth)
    assert 55 in accepted
    assert 69 not in accepted


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b'{"g":1}',
        b'{"g":{"salt":"00","value":1}}',
        b'{"g":{"value":1}}',
        b'{"G":{"salt":"%s","value":1}}' % (b"0" * 64),
        b'{"g":{"extra":1,"salt":"%s","value":1}}' % (b"0" * 64),
        b'{"g":{"fields":{},"salt":"%s"}}' % (b"0" * 64),
        b'{"g":{"fields":{"a":{"value":1}},"salt":"%s"}}' % (b"0" * 64),
        b'{"g":{"salt":"%s","value":1,"value":1}}' % (b"0" * 64),
        b'{"g":{"salt":"%s", "value":1}}' % (b"0" * 64),
    ],
)
def test_what_is_not_exactly_a_document_is_refused(document: bytes) -> None:
    with pytest.raises(CanonicalError):
        decode_document(document)


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b'{"g":1}', b'{"g":{"salt":"00","value":1}}'])
def test_what_is_no_document_is_refused_among_our_own_too(document: bytes) -> None:
    with pytest.raises(CanonicalError):
        decode_document(document, own=True)


def test_a_group_does_not_show_its_value_in_its_representation() -> None:
    assert "secret" not in repr(VaultGroup(salt=bytes(32), value="secret"))
