"""What a letter's QR code holds: one spelling, read back whole or refused with every mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.letters.reference import Reference, ReferenceMalformed, parse_reference
from tests.gateway.letters.making import REFERENCE

GOOD = REFERENCE.uri()
_HASH = st.binary(min_size=32, max_size=32)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def test_the_code_of_a_letter_is_as_documented() -> None:
    assert GOOD == (
        "chengxin:letter?v=1&o=chengxin.example/log&r=000102030405060708090a0b0c0d0e0f&i=1234567&n=1234590"
        "&l=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8&d=ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"
        "&u=https://log.example/chengxin"
    )


@given(
    origin=_TEXT,
    where=st.one_of(st.just(""), _TEXT),
    record=st.binary(min_size=16, max_size=16),
    index=st.integers(0, 10**15),
    beyond=st.integers(1, 10**6),
    leaf=_HASH,
    digest=_HASH,
)
def test_a_code_reads_back_as_what_was_written(
    origin: str, where: str, record: bytes, index: int, beyond: int, leaf: bytes, digest: bytes
) -> None:
    reference = Reference(
        origin=origin, where=where, record=record, index=index, size=index + beyond, leaf=leaf, document=digest
    )

    assert reference.uri().isascii()
    assert parse_reference(reference.uri()) == reference


@pytest.mark.parametrize(
    ("was", "now", "mistake"),
    [
        ("chengxin:", "https:", "begins with chengxin:letter?"),
        ("v=1", "v=2", "'v' is not a version"),
        ("v=1&", "", "'v' is missing"),
        ("o=chengxin.example/log", "o=", "'o' is missing"),
        ("r=00", "r=0", "'r' is not a record"),
        ("r=00", "r=ZZ", "'r' is not a record"),
        ("i=1234567", "i=01", "'i' is not a number"),
        ("i=1234567", "i=-1", "'i' is not a number"),
        ("i=1234567", "i=1234590", "'i' is beyond the checkpoint"),
        ("n=1234590", "n=one", "'n' is not a number"),
        ("Hh8", "Hh9", "'l' is not a hash"),  # the last bits of the last character are not zero
        ("Hh8", "Hh", "'l' is not a hash"),
        ("Pj8", "Pj8=", "'d' is not a hash"),
        ("&u=", "&x=", "'x' is not known"),
        ("v=1&", "v=1&v=1&", "'v' is there twice"),
        ("v=1&", "v=1&&", "its fields cannot be read"),
        ("o=chengxin.example", "o=%ff", "its fields cannot be read"),
        ("&u=", "&u=" + "x" * 2048, "begins with"),
    ],
)
def test_what_is_no_code_of_a_letter_is_refused(was: str, now: str, mistake: str) -> None:
    assert was in GOOD
    with pytest.raises(ReferenceMalformed, match=mistake.replace("?", r"\?")):
        parse_reference(GOOD.replace(was, now, 1))


def test_every_mistake_of_a_code_is_named_at_once() -> None:
    with pytest.raises(ReferenceMalformed) as caught:
        parse_reference("chengxin:letter?v=3&r=1&i=a&l=b&z=1")

    for part in ("'o' is missing", "'n' is missing", "'d' is missing", "'z'", "'v'", "'r'", "'i'", "'l'"):
        assert part in str(caught.value)


@given(st.text())
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    for candidate in (text, "chengxin:letter?" + text):
        try:
            assert parse_reference(candidate).uri()
        except ReferenceMalformed:
            continue
