"""One person stays one however the name is typed, and two people stay two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.spelling import one_spelling

DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u02d7\u207b\u2500\u2796\u30fc\ufe58\ufe63"
ZHANG = [
    "zhang-07", "ZHANG-07", "Zhang-07 ", "\u3000zhang-07", "zhang -\t07", "zhang\u00a0-07",
    "ｚｈａｎｇ-07", "ｚｈａｎｇ－０７", "zhang-０７", "𝐳𝐡𝐚𝐧𝐠-07",
    "zhang\u200b-07", "\ufeffzhang-07", "zh\u2060ang-07", "zhang-07\u200d", "zhang\u00ad-07",
    "zhang-07\ufe0f", "\x00zhang-07", "zhang\u3164-07", "zhang\u115f-07", "z\u034fhang-07", "zhang\u2800-07",
    *(f"zhang{dash}07" for dash in DASHES),
    "zhang--07", "zhang\u2014\u201407", "zhang-\u200b-07",
]  # fmt: skip


@pytest.mark.parametrize("spelling", ZHANG, ids=ascii)
def test_every_spelling_of_one_person_is_one(spelling: str) -> None:
    assert one_spelling(spelling) == "zhang-07"


@pytest.mark.parametrize(
    ("one", "other"),
    [("张三", " 张\u3000三"), ("葛\U000e0100城", "葛城"), ("Straße", "STRASSE"), ("e\u0301va", "\u00c9VA"),
     ("e\u200b\u0301", "é")],
)  # fmt: skip
def test_names_are_folded_too(one: str, other: str) -> None:
    assert one_spelling(one) == one_spelling(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("zhang-07", "zhang-08"), ("zhang-07", "zhang07"), ("zhang-07", "zhang_07"), ("zhang.07", "zhang07"),
     ("张三", "張三"), ("张三", "张一三"), ("clerk-1", "clerk-11"), ("é", "e")],
)  # fmt: skip
def test_two_people_stay_two(one: str, other: str) -> None:
    assert one_spelling(one) != one_spelling(other)


@pytest.mark.parametrize("blank", ["", " ", "\u3000\t\n", "\u200b\ufeff", "\u3164\ufe0f", "\x00"], ids=ascii)
def test_of_what_nobody_can_see_nothing_is_left(blank: str) -> None:
    assert one_spelling(blank) == ""


@given(st.text())
def test_the_one_spelling_is_its_own(text: str) -> None:
    assert one_spelling(one_spelling(text)) == one_spelling(text)


@given(
    st.text(st.characters(max_codepoint=0x9FFF, exclude_categories=("Cs",))),
    st.sampled_from(" \u3000\u200b\ufeff\u00ad\ufe0f"),
)
def test_what_nobody_can_see_makes_no_other_person(text: str, unseen: str) -> None:
    assert one_spelling(unseen.join(["", *text, ""])) == one_spelling(text)
