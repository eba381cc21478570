"""A later question tells of a first one only if it asserts the same, or that with what the applicant was asked for."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from connectors.compare import Unreadable, compared, normalise
from connectors.connector import Form, Subject
from connectors.names import normal_name
from connectors.outcome import MATCH
from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.rules.admission import CaseContext, Operator, Question
from gateway.rules.fallback import StepKind
from gateway.rules.plan import Argument
from gateway.rules.same_claim import (
    Asserted,
    AssertedCheck,
    asks_again,
    asserted,
    asserts_alike,
    asserts_more,
    is_same_claim,
)

FIRST: dict[str, Any] = {
    "item": "i",
    "context": {"case_id": "c"},
    "subject": {"id_type": "resident-id", "id_number": "1", "name": "甲"},
    "parameters": {"a": {"text": "x"}},
}
OTHERS = [
    {"item": "j"},
    {"subject": FIRST["subject"] | {"id_number": "2"}},
    {"subject": FIRST["subject"] | {"name": "乙"}},
    {"parameters": {}},
    {"parameters": {"a": {"text": "y"}}},
    {"parameters": {"a": {"text": "y"}, "b": {"text": "z"}}},
    {"parameters": {"b": {"text": "x"}}},
    {"parameters": {"a": {"integer": 1}}},
]


def test_the_same_claim_is_known_again_whoever_asks_it() -> None:
    later = FIRST | {"context": {"case_id": "c", "operator": {"person": "another"}}}

    assert is_same_claim(FIRST, later)
    for step in StepKind:
        assert asks_again(FIRST, step.value, later)


@pytest.mark.parametrize(
    "typed",
    [
        "示例路9号A－1（东）",
        "示例路 9号a-1(东)",
        "示例路９号 A—1 【东】",
        "示例路\u200a9号\u3164A-1〔东〕",
        "示例路9号A--1[东]",
    ],
)
def test_another_way_of_typing_is_no_other_claim(typed: str) -> None:
    first = FIRST | {"parameters": {"address": {"text": "示例路9号A-1(东)"}}}

    assert is_same_claim(first, FIRST | {"parameters": {"address": {"text": typed}}})
    assert not is_same_claim(first, FIRST | {"parameters": {"address": {"text": typed.replace("1", "2")}}})


NUMBER, WRONGLY_CHECKED, OLD = "230199198001010072", "23019919800101007X", "230199800101007"
_HAN, _SIGNED = "路号幢座龘一〇吐买·", " \u3000\u200b-—－_()（【]．.。·•‥▪●○◯\ufe0f\u0301?/"
_LETTERS = "0123456789AbxX９Ａ"
texts = st.text(
    st.sampled_from(_HAN + _SIGNED + _LETTERS + "\ue863\U00020087\ue816²㎡½İi") | st.characters(), max_size=12
)
numbers = st.sampled_from([NUMBER, WRONGLY_CHECKED, OLD, "91230103MA18Y3XX0C", "123456780112345", "000000190000000000"])
documents = st.from_regex(r"[A-Z]{1,3}[0-9]{7,12}", fullmatch=True)
"""Numbers of passports, permits and residence cards."""


def of_text(written: str) -> dict[str, Any]:
    return FIRST | {"parameters": {"a": {"text": written}}}


def is_one(first: str, other: str) -> bool:
    """Tell whether two texts assert the same, wherever they stand."""
    people = [FIRST["subject"] | {"id_number": written, "name": written} for written in (first, other)]
    found = {
        is_same_claim(of_text(first), of_text(other)),
        is_same_claim(*(FIRST | {"subject": person} for person in people)),
        is_same_claim(*(FIRST | {"parameters": {"mother": {"person": person}}} for person in people)),
    }
    assert len(found) == 1
    return found.pop()


@st.composite
def retyped(draw: st.DrawFn, number: str) -> str:
    """Write a number of an identity in some way that is a number still."""
    written = ""
    for character in number:
        wide = chr(ord(character) + 0xFEE0)
        written += draw(st.sampled_from([character, character.lower(), wide]))
        written += draw(st.sampled_from(["", "", "", "-", "—", "－", " ", "\u200b"]))
    return written


def is_match(said: str, held: str, form: Form | None) -> bool:
    with suppress(Unreadable):
        return compared(said, held, form) is MATCH
    return False


@given(texts)
@example("同心‥人才")
@example("1．2")
@example("二 ○")
def test_what_a_source_reads_a_text_as_asserts_the_same(written: str) -> None:
    for read in (normalise(written), normal_name(written)):
        assert is_one(written, read)


@given(st.data(), texts)
def test_whatever_a_source_compares_as_equal_is_one_claim(data: st.DataObject, said: str) -> None:
    other = data.draw(st.sampled_from([normalise(said), normal_name(said), f" {said}\u200b"]) | texts)

    for form in (None, Form.NAME):
        if is_match(said, other, form) or is_match(other, said, form):
            assert is_one(said, other)


@given(st.data(), numbers | documents, numbers | documents)
def test_whatever_numbers_a_source_compares_as_equal_are_one_claim(data: st.DataObject, one: str, other: str) -> None:
    said, held = data.draw(retyped(one)), data.draw(retyped(other))

    if any(is_match(said, held, form) for form in (None, Form.NAME, Form.ID_NUMBER)):
        assert is_one(said, held)
    elif one != other and not {one, other} <= {NUMBER, WRONGLY_CHECKED}:
        assert not is_one(said, held)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("同心·人才服务中心", "同心.人才服务中心"),
        ("同心·人才服务中心", "同心。人才服务中心"),
        ("同心·人才服务中心", "同心‥人才服务中心"),
        ("同心·人才服务中心", "同心 ▪ 人才服务中心"),
        ("张䶮", "张\ue863"),
        (NUMBER, "230199-19800101-0072"),
        (NUMBER, "２３０１９９ １９８００１０１ ００７２"),
        (NUMBER, OLD),
        ("23019919800101001x", "230199-800101-001"),
        ("91230103ma18y3xx0c", "91230103-MA18Y3XX-0C"),
        ("E12345678", "E 1234 5678"),
        ("E12345678", "E-12345678"),
        ("EA1234567", "ＥＡ－１２３ ４５６７"),
        ("C1234567", "c 1234567"),
        ("H1234567890", "h12345678 90"),
        ("ABC110000010100", "ABC 110000 010100"),
        ("ABC110800101001", "abc-110800101001"),
        ("二○二一年 3 月", "二〇二一年3月"),
        ("A ○", "a〇"),
        ("示例路1－2号", "示例路 1 — 2 号"),
        ("Unit 3  (B)", "unit\u30003(b)"),
    ],
)
def test_what_only_the_writing_tells_apart_is_one_claim(one: str, other: str) -> None:
    assert is_one(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("示例路11 2号", "示例路1 12号"),
        ("2幢1 12", "2幢11 2"),
        ("2幢1 12", "2幢112"),
        ("1-12", "11-2"),
        ("1-12", "112"),
        ("1·5", "15"),
        ("Li Na", "Lina"),
        ("張三", "张三"),
        (NUMBER, "230199198001010080"),
        (NUMBER, f"{NUMBER}1"),
        ("230199-800101-997", "230199198001019974"),
        ("9123 4567", "91 234567"),
        ("E12345678", "E12345679"),
        ("E12345678", "12345678"),
        ("B121-203", "B12-1203"),
        ("430104193000000011", "430104193000000012"),
        ("1001-0002-0003-004", "100-1000-2000-3004"),
        ("1001-0002-0003-004", "100100020003004"),
        ("1 10000000000001", "11 0000000000001"),
        ("430104300000001", "430104193000000012"),
        ("A座1-2345678", "A座12-345678"),
    ],
)
def test_another_letter_digit_or_grouping_is_another_claim(one: str, other: str) -> None:
    assert not is_one(one, other)


def words(written: str) -> list[str]:
    """Give the letters of a text, and its digits and Latin letters in their groups."""
    return re.findall(r"[0-9A-Z]+|[\u3400-\u9fff〇]", unicodedata.normalize("NFKC", written).upper())


plain = st.text("0123456789AbxX路号幢 -()/_.，", max_size=12)


@given(plain, plain)
def test_texts_that_differ_in_more_than_signs_are_other_claims(one: str, other: str) -> None:
    assume(words(one) != words(other))

    assert not is_one(one, other)


@given(st.data(), st.text("0123456789AbxX路号幢-", min_size=3, max_size=12))
def test_a_blank_that_stands_elsewhere_among_digits_makes_another_claim(data: st.DataObject, written: str) -> None:
    places = (data.draw(st.integers(1, len(written) - 1)) for _ in range(2))
    assume(re.fullmatch("[A-Z]{1,3}[0-9]{7,12}", written.replace("-", "").upper()) is None)
    one, other = (f"{written[:place]} {written[place:]}" for place in places)

    assert is_one(one, other) == (words(one) == words(other))


@pytest.mark.parametrize("changed", OTHERS)
def test_another_claim_asks_nothing_again_whatever_was_awaited(changed: dict[str, Any]) -> None:
    assert not is_same_claim(FIRST, FIRST | changed)
    for step in StepKind:
        assert not asks_again(FIRST, step.value, FIRST | changed)


def test_one_thing_more_asks_again_only_where_the_applicant_was_to_be_asked_for_it() -> None:
    more = FIRST | {"parameters": {"a": {"text": "x"}, "b": {"text": "y"}}}

    assert [step for step in StepKind if asks_again(FIRST, step.value, more)] == [StepKind.ASK_APPLICANT]
    assert not is_same_claim(FIRST, more)


CATALOGUE = load_catalogue(shipped_catalogue_files())
PERSON = Subject(id_type="resident-id", id_number="230199199003150072", name="示例甲")
SPOUSE = Subject(id_type="resident-id", id_number="230199199103150071", name="示例乙")
MARRIAGE = "marriage-registration"


def status(word: str, *, name: str = PERSON.name, **more: Argument) -> Asserted:
    """Give what a question about a marital status asserts."""
    context = CaseContext(matter="m", case_id="c", purpose="p", operator=Operator(person="o", unit="u"))
    person = replace(PERSON, name=name)
    asked = Question(context=context, item="marital-status", subject=person, parameters={"status": word, **more})
    return asserted(asked, CATALOGUE, today=date(2026, 11, 24))


@pytest.mark.parametrize(
    "later",
    [
        status("UNMARRIED", judgment_number="1"),
        status("UNMARRIED", judgment_number="2", spouse=SPOUSE),
        status("UNMARRIED", name="示例甲甲"),
    ],
)
def test_what_comes_to_the_same_checks_asserts_the_same(later: Asserted) -> None:
    assert asserts_alike(later, status("UNMARRIED"))
    assert asserts_alike(status("UNMARRIED"), later)


def test_a_second_person_is_the_number_too_whatever_the_name() -> None:
    renamed = replace(SPOUSE, name="示例乙丙", id_number="230199 19910315 0071")

    assert asserts_alike(status("MARRIED", spouse=SPOUSE), status("MARRIED", spouse=renamed))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (status("UNMARRIED"), status("MARRIED")),
        (status("UNMARRIED"), status("DIVORCED")),
        (status("MARRIED", spouse=SPOUSE), status("MARRIED", spouse=PERSON)),
        (status("DIVORCED_BY_COURT", judgment_number="1"), status("DIVORCED_BY_COURT", judgment_number="2")),
    ],
)
def test_what_comes_to_other_checks_is_another_claim(one: Asserted, other: Asserted) -> None:
    for first, second in ((one, other), (other, one)):
        assert not asserts_alike(first, second)
        assert not asserts_more(first, second, MARRIAGE)


def test_what_says_more_of_a_fact_cannot_be_true_where_less_is_untrue() -> None:
    less, more = status("MARRIED"), status("MARRIED", spouse=SPOUSE)

    assert asserts_more(more, less, MARRIAGE)
    assert not asserts_more(less, more, MARRIAGE), "one may be married to another"
    assert not asserts_alike(more, less)


def test_that_there_is_no_such_fact_says_more_the_less_is_said_of_it() -> None:
    less, more = (
        Asserted(
            item="i",
            parameters={},
            checks=(AssertedCheck(fact_type="f", subject="1", said=frozenset(said), negated=True),),
        )
        for said in ((), (b"a",))
    )

    assert asserts_more(less, more, "f")
    assert not asserts_more(more, less, "f"), "there may be another"


def test_what_was_found_of_an_item_that_changed_since_still_holds_of_what_says_nothing_else() -> None:
    old = status("UNMARRIED", gone="x")
    assert old.checks is None

    assert asserts_more(status("UNMARRIED", judgment_number="1"), old, MARRIAGE)
    assert not asserts_more(status("MARRIED"), old, MARRIAGE)
    assert not asserts_more(status("UNMARRIED"), old, "divorce-judgment"), "which has nothing to do with it"
    assert not asserts_alike(status("UNMARRIED"), old), "that it was found true then takes nothing back now"
    assert asserts_alike(old, old)
