"""Masking: what a list shows of a name or a number, whatever its length and script."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.masking import (
    MaskRule,
    MaskRules,
    Person,
    mask,
    mask_code,
    mask_name,
    mask_number,
    mask_words,
    people_in,
    read_rule,
)

RULES = MaskRules()
NUMBER = "230199198001010072"
HIM = Person(name="示例甲", number=NUMBER)
DAY = date(2026, 11, 29)
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


@pytest.mark.parametrize(
    "typed",
    [
        "230199 19800101 0072", "230199-19800101-0072", "230199 1980 0101 0072", "2301 9919 8001 0100 72",
        "230199\u201019800101\u20100072", "230199\u3000\u300019800101\u30000072", "230199\u200b198001010072",
        "２３０１９９１９８００１０１００７２", "２３０１９９ １９８００１０１ ００７２",
        "23019919800101007x", "23019919800101007×",
        "ID230199198001010072", "身份证230199 19800101 0072号", "2026-230199-19800101-0072", "230199198001010072 1",
        "230199800101007", "230199 800101 007",
    ],
)  # fmt: skip
def test_a_number_is_masked_however_it_was_typed(typed: str) -> None:
    for shown in (mask_words(f"户主 {typed} 等", RULES), mask_code(typed, RULES, on=DAY)):
        assert "19800101" not in (plain := "".join(c for c in shown if c.isalnum()))
        assert "800101" not in plain
        assert "１９８００１０１" not in plain
        assert shown.count("*") >= 8


@pytest.mark.parametrize(
    ("typed", "hidden"),
    [
        ("13800138000", "0013"), ("138 0013 8000", "0013"), ("138-0013-8000", "0013"), ("1380 013 8000", "013"),
        ("+86 138-0013-8000", "0013"), ("１３８００１３８０００", "００１３"), ("0451-82345678", "8234"),
        ("045182345678", "8234"), ("0451 8234 5678", "8234"), ("(0451)82345678", "8234"),
        ("\uff080451\uff098234-5678", "8234"), ("010-62345678", "6234"), ("+86 451 8234 5678", "8234"),
        ("0451\u20148234567-801", "8234"), ("0451-8234567", "8234"),
    ],
)  # fmt: skip
def test_a_telephone_is_masked_however_it_was_typed(typed: str, hidden: str) -> None:
    shown = mask_words(f"联系电话:{typed},住址:示例路82号", RULES)
    assert hidden not in shown
    assert "***" in shown
    assert shown.endswith(",住址:示例路82号")


@pytest.mark.parametrize(
    "text",
    [
        "示例路1号3单元502室,面积138.5平方米", "国办发〔2020〕42号", "2026-11-29 16:03:21", "建筑面积 1380 平方米",
        "第2301号,共18页,20260001", "01a2280b-f282-097c-c17d-c655955d933c", "00000000-1391-2345-6780-045182345678",
        "01a2280bf282097cc17dc655955d933c",
    ],
)  # fmt: skip
def test_what_is_nobodys_number_stays_in_a_text(text: str) -> None:
    assert mask_words(text, RULES) == text


CODES = [
    "CASE-2026-000123", "办2026-0001", "2026000123", "BJ-20261129-00017", "11230000MB0123456X", "91230199000000001X",
    "2301022026112900017", "230102202611290001", "230102202501310001", "230102261129001", "202600010001234",
    "0451-20260001", "045182345678", "HRB/2026/0451/000123", "CASE20260001234567", "2026-1391-2345-678",
    "01a2280b-f282-097c-c17d-c655955d933c", "00000000-1391-2345-6780-045182345678",
    "01a2280bf282097cc17dc655955d933c",
]  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_the_number_of_a_case_stays_as_people_look_for_it(code: str) -> None:
    assert mask_code(code, RULES, [HIM], on=DAY) == code


@given(st.uuids())
def test_no_uuid_is_changed(identity: UUID) -> None:
    assert mask_code(str(identity), RULES, [HIM], on=DAY) == str(identity)
    assert mask_code(identity.hex, RULES, [HIM], on=DAY) == identity.hex


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (f"{NUMBER} 示例甲", "230***********0072 示**"),
        (f"2026{NUMBER}", "2026230***********0072"),
        ("CASE-230199-19800101-0072", "CASE-230*************0072"),
        ("230199800101007-示 例 甲", "230********1007-示****"),
        ("示例甲的住所", "示**的住所"),
        ("办-230102198511290001", "办-230***********0001"),
        ("办 13912345678", "办 139****5678"),
        ("办 (0451)82345678", "办 (04*******5678"),
        ("0451-82345678", "045******5678"),
    ],
)
def test_what_is_surely_a_persons_is_masked_in_the_number_of_a_case(code: str, shown: str) -> None:
    assert mask_code(code, RULES, [HIM], on=DAY) == shown


def test_a_date_of_this_year_or_the_last_is_that_of_the_case() -> None:
    assert mask_code("230102202412310001", RULES, on=DAY) != "230102202412310001"
    assert mask_code("230102202501010001", RULES, on=DAY) == "230102202501010001"
    assert mask_code("230102202501010001", RULES, on=date(2027, 1, 1)) != "230102202501010001"


def test_whom_the_document_names_is_masked_wherever_named() -> None:
    text = "户主示例甲(又名李四光),配偶ZHANG San"
    people = [HIM, Person(name="zhang san", number=NUMBER), Person(name="又", number="1")]
    assert mask_words(text, RULES, people) == "户主示**(又名李四光),配偶Z********"


DOTTED = Person(name="阿不都·热合曼", number=NUMBER)
PLAIN = Person(name="葛平", number=NUMBER)


@pytest.mark.parametrize(
    ("person", "typed", "shown"),
    [
        (DOTTED, "阿不都·热合曼", "阿******"),
        (DOTTED, "阿不都•热合曼", "阿******"),
        (DOTTED, "阿不都・热合曼", "阿******"),
        (DOTTED, "阿不都.热合曼", "阿******"),
        (DOTTED, "阿不都。热合曼", "阿******"),
        (DOTTED, "阿不都．热合曼", "阿******"),
        (DOTTED, "阿不都热合曼", "阿*****"),
        (DOTTED, "阿不都 · 热合曼", "阿********"),
        (DOTTED, "阿\u2060不都‧‧热\u200b合曼\ufeff", "阿**********"),
        (PLAIN, "葛\U000e0100平", "葛\U000e0100*"),
        (PLAIN, "葛平\ufe00", "葛*"),
        (PLAIN, "葛   \u3000 平", "葛******"),
        (PLAIN, "葛·平", "葛**"),
        (PLAIN, "葛\u00ad平", "葛**"),
        (Person(name="José Pérez", number=NUMBER), "JOSE\u0301  PE\u0301REZ", "J**********"),
        (Person(name="Ｌｉ Ｍｉｎｇ", number=NUMBER), "LI MING", "L******"),
    ],
)
def test_a_name_that_is_known_is_masked_however_it_was_typed(person: Person, typed: str, shown: str) -> None:
    for before, after in (("", ""), ("出租人", "的住宅"), ("办-1-", "-2")):
        told = f"{before}{typed}{after}"
        assert mask_words(told, RULES, [person]) == f"{before}{shown}{after}"
        assert mask_code(told, RULES, [person], on=DAY) == f"{before}{shown}{after}"


@pytest.mark.parametrize("typed", ["230199/19800101/0072", "230199.19800101.0072", "230199_1980_0101_0072"])
def test_a_number_that_is_known_is_masked_with_any_signs_between_its_parts(typed: str) -> None:
    assert typed[6:] not in mask_words(f"证号{typed}", RULES, [HIM])
    assert typed[6:] not in mask_code(f"办{typed}", RULES, [HIM], on=DAY)


def test_a_sentence_that_ends_within_a_name_names_nobody() -> None:
    assert mask_words("已告知葛。平时联系", RULES, [PLAIN]) == "已告知葛。平时联系"


def test_those_whom_a_text_names_with_their_numbers_are_found() -> None:
    found = people_in("李小四\uff08230199 19800101 0072\uff09,王五(23019919800101007x),赵六(无)")
    assert [(one.name, one.number) for one in found] == [("李小四", NUMBER), ("王五", "23019919800101007X")]
    assert NUMBER not in repr(found)


@given(
    st.text(max_size=60),
    st.text(max_size=60),
    st.lists(st.sampled_from(["", " ", "-", "\u3000"]), min_size=17, max_size=17),
)
def test_no_known_number_survives_in_any_surroundings(before: str, after: str, gaps: list[str]) -> None:
    typed = "".join(digit + gap for digit, gap in zip(NUMBER, [*gaps, ""], strict=True))
    assert typed not in mask_code(f"{before}{typed}{after}", RULES, [HIM], on=DAY)
    assert typed not in mask_words(f"{before}{typed}{after}", RULES, [HIM])


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
