"""Masking: what a list shows of a name or a number, whatever its length and script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.masking import MaskRule, MaskRules, mask, mask_name, mask_number, mask_words, read_rule

RULES = MaskRules()
NUMBER = "230199198001010072"
texts = st.text(st.characters(exclude_categories=("Cs", "Mn", "Me", "Cf"), exclude_characters="*"), max_size=40)
rules = st.builds(MaskRule, head=st.integers(0, 20), tail=st.integers(0, 20))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("张三", "张*"), ("欧阳修远", "欧***"), ("张", "*"), ("", ""), ("阿不都·热合曼", "阿******"), ("𬀩三", "𬀩*")],
)
def test_of_a_name_the_first_character_is_shown(name: str, shown: str) -> None:
    assert mask_name(name, "resident-id", RULES) == shown


def test_a_character_with_its_variation_selector_is_one() -> None:
    assert mask("葛\U000e0100城", RULES.name) == "葛\U000e0100*"


def test_numbers_keep_their_ends_and_their_length() -> None:
    assert mask_number(NUMBER, "resident-id", RULES) == "230***********0072"
    assert mask("13800138000", RULES.phone) == "138****8000"


def test_an_organisation_is_public() -> None:
    assert mask_name("示例公司", "uscc", RULES) == "示例公司"
    assert mask_number("91230199000000001X", "uscc", RULES) == "91230199000000001X"


def test_what_a_text_says_of_people_is_masked_where_it_stands() -> None:
    text = f"配偶:李小四({NUMBER}),电话13800138000;住址:示例路1号"
    assert mask_words(text, RULES) == "配偶:李**(230***********0072),电话138****8000;住址:示例路1号"
    assert mask_words(f"王五\uff08{NUMBER}\uff09", RULES) == "王*\uff08230***********0072\uff09"


def test_a_longer_run_of_digits_is_no_identity_number() -> None:
    assert mask_words("文号20260001234567890123号", RULES) == "文号20260001234567890123号"


@given(texts, rules)
def test_the_length_stays_and_at_least_a_third_is_hidden(text: str, rule: MaskRule) -> None:
    shown = mask(text, rule)
    assert len(shown) == len(text)
    assert shown.count("*") >= -(-len(text) // 3)


@given(texts, rules)
def test_what_is_shown_is_the_head_and_the_tail_and_never_more_than_the_rule_says(text: str, rule: MaskRule) -> None:
    head, _, rest = mask(text, rule).partition("*")
    tail = rest.lstrip("*")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) <= rule.head
    assert len(tail) <= rule.tail
    assert "*" not in tail


@given(texts, texts, rules)
def test_values_that_differ_in_the_hidden_part_only_look_alike(one: str, other: str, rule: MaskRule) -> None:
    wide = MaskRule(head=min(rule.head, 3), tail=min(rule.tail, 3))
    width = max(len(one), len(other), 12)
    left, right = ("甲乙丙" + filled.ljust(width, "x") + "丁戊己" for filled in (one, other))
    assert mask(left, wide) == mask(right, wide)


@given(st.text(max_size=60), st.text(max_size=60), st.booleans())
def test_no_number_survives_in_any_surroundings(before: str, after: str, spaced: bool) -> None:
    between = " " if spaced else "、"
    assert NUMBER not in mask_words(f"{before}{between}{NUMBER}{between}{after}", RULES)


@pytest.mark.parametrize("kept", [None, [1], [1, 2, 3], [1, -1], [1, 33], ["1", 2], [True, 0], "11", 3, {"head": 1}])
def test_a_rule_that_is_not_two_numbers_is_not_read(kept: object) -> None:
    assert read_rule(kept) is None


def test_a_rule_is_read_and_negative_ones_cannot_be_made() -> None:
    assert read_rule([3, 4]) == MaskRule(head=3, tail=4)
    with pytest.raises(ValueError, match="negative"):
        MaskRule(head=-1, tail=0)
