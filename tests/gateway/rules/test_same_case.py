"""A case number in another spelling is the same number; another number is another case."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.names import is_invisible
from gateway.rules.same_case import case_of
from ledger.spelling import one_spelling

UNIT, OTHER_UNIT = "11230000000000101E", "112300000000002027"
_DASHES = "-‐‑‒–—―−－﹣﹘─"
_OPENING, _CLOSING = "([{（［｛〔【﹝〖「", ")]}）］｝〕】﹞〗」"
_BLANKS = ("", *" \u3000\u00a0\u2009\u200b\u200e\u202a\ufeff\ufe0f\u00ad\u3164\u034f\u2800\u180b\uffa0")
_UNSEEN = tuple(sign for sign in _BLANKS if not sign.isspace())
_WIDE = {character: chr(ord(character) + 0xFEE0) for character in map(chr, range(0x21, 0x7F))}

numbers = st.text("0123456789ABCXYZabcxyz办案字第号民初黑()-./#_", min_size=1, max_size=16).filter(
    lambda number: "--" not in number
)


@st.composite
def respelled(draw: st.DrawFn, number: str) -> str:
    """Write a number in some way in which people and systems write it."""
    written = draw(st.sampled_from(_BLANKS))
    for character, following in itertools.zip_longest(number, number[1:], fillvalue=""):
        ways = {
            "-": [*_DASHES, "——"], "(": list(_OPENING), ")": list(_CLOSING),
        }.get(character, [character, character.upper(), character.lower()])  # fmt: skip
        chosen = draw(st.sampled_from(ways))
        written += draw(st.sampled_from([chosen, "".join(_WIDE.get(one, one) for one in chosen)]))
        parted = character.isdigit() and following.isdigit()  # what is seen between these makes another number
        written += draw(st.sampled_from(_UNSEEN if parted else _BLANKS))
    return written


@given(st.data(), numbers)
def test_every_spelling_of_a_number_is_the_same_case(data: st.DataObject, number: str) -> None:
    written = data.draw(respelled(number))

    assert case_of(UNIT, written) == case_of(UNIT, number)


def test_whatever_is_not_seen_in_a_case_number_is_not_seen_in_a_staff_number_either() -> None:
    unseen = [sign for sign in map(chr, range(0x110000)) if is_invisible(sign)]

    assert len(unseen) > 4000
    for sign in unseen:
        assert case_of(UNIT, f"办{sign}1{sign}") == case_of(UNIT, "办1")
        assert one_spelling(f"clerk{sign}1{sign}") == "clerk1"


@given(numbers, numbers)
def test_another_number_is_another_case(one: str, other: str) -> None:
    assert (case_of(UNIT, one) == case_of(UNIT, other)) == (one.upper() == other.upper())


@given(st.text())
def test_the_one_spelling_is_its_own(number: str) -> None:
    _, _, once = case_of(UNIT, number).partition("/")

    assert case_of(UNIT, once) == f"{UNIT}/{once}"


@pytest.mark.parametrize(
    "other",
    [
        "办1",
        "办-11",
        "办-2",
        "案-1",
        "办-1-",
        "-办-1",
        "办-l",
        "办-一",
        "办/1",
        "办_1",
        "办.1",
        "办~1",
        "(办)-1",
        "办-１０",
    ],
)
def test_what_is_no_habit_of_typing_makes_another_case(other: str) -> None:
    assert case_of(UNIT, other) != case_of(UNIT, "办-1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2026 1 12", "2026 11 2"),
        ("2026 1 12", "2026112"),
        ("办2026 3 45", "办2026 34 5"),
        ("办2026 0001", "办20260001"),
        ("2026\u3000112", "2026\u200b112"),
    ],
)
def test_a_blank_between_two_digits_parts_two_numbers(one: str, other: str) -> None:
    assert case_of(UNIT, one) != case_of(UNIT, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("办2026 0001", "办 2026 0001"),
        ("办2026 0001", " 办\u3000２０２６\u00a0 ０００１ "),
        ("2026年 12 号", "2026年12号"),
        ("(2026) 12", "(2026)12"),
        ("A 1-2 B", "a1 - 2b"),
        ("2026 \u200b 1", "2026 1"),
    ],
)
def test_every_other_blank_is_a_habit_of_typing(one: str, other: str) -> None:
    assert case_of(UNIT, one) == case_of(UNIT, other)


def test_the_same_number_of_another_unit_is_another_case() -> None:
    assert case_of(UNIT, "办-1") != case_of(OTHER_UNIT, "办-1")


def test_a_number_without_peculiarities_stays_as_it_is() -> None:
    assert case_of(UNIT, "办2026-0001") == f"{UNIT}/办2026-0001"
