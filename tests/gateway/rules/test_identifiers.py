import json
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.compare import identity, old_number, same_name
from connectors.names import normal_name
from gateway.rules.identifiers import (
    IdentifierRefused,
    parse_identifier,
    parse_name,
    parse_resident_id,
    parse_uscc,
    resident_id_check_character,
    uscc_check_character,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "identifiers.json").read_text("utf-8"))
TODAY = date(2026, 11, 24)
DIGITS = "0123456789"
USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def named(group: str) -> list[Any]:
    return [pytest.param(one, id=one["why"][:50]) for one in VECTORS[group]]


@pytest.mark.parametrize("vector", named("accepted"))
def test_a_number_is_read_as_the_vectors_say(vector: dict[str, Any]) -> None:
    found = parse_identifier(vector["type"], vector["written"], today=TODAY)
    assert (found.id_type, found.number, found.upgraded) == (vector["type"], vector["number"], vector["upgraded"])
    assert vector["number"] not in repr(found)


@pytest.mark.parametrize("vector", [one for one in VECTORS["accepted"] if not one["upgraded"]])
def test_the_room_of_connectors_reads_the_same_number(vector: dict[str, Any]) -> None:
    assert identity(vector["written"].replace("-", "")) == vector["number"]


@pytest.mark.parametrize("vector", named("refused"))
def test_a_number_is_refused_by_the_rule_the_vectors_name_and_is_not_echoed(vector: dict[str, Any]) -> None:
    with pytest.raises(IdentifierRefused) as refused:
        parse_identifier(vector["type"], vector["written"], today=TODAY)
    assert refused.value.rule.name == vector["rule"]
    if vector["written"]:
        assert vector["written"] not in str(refused.value) + refused.value.chinese


@pytest.mark.parametrize("vector", named("same_names"))
def test_names_that_differ_in_typing_only_are_the_same_in_both_rooms(vector: dict[str, Any]) -> None:
    assert parse_name(vector["name"]) == vector["name"]
    for written in vector["written"]:
        assert parse_name(written) == vector["name"]
        assert same_name(vector["name"], written)


@pytest.mark.parametrize("vector", named("different_names"))
def test_names_that_differ_in_a_character_are_different_names(vector: dict[str, str]) -> None:
    assert parse_name(vector["one"]) != parse_name(vector["other"])
    assert not same_name(vector["one"], vector["other"])


@pytest.mark.parametrize("vector", named("kept_names"))
def test_a_rare_name_survives_gb_18030_and_normalising(vector: dict[str, str]) -> None:
    assert bytes.fromhex(vector["gb18030"]).decode("gb18030") == parse_name(vector["name"]) == vector["name"]


@pytest.mark.parametrize("vector", named("refused_names"))
def test_what_is_no_name_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(IdentifierRefused) as refused:
        parse_name(vector["written"])
    assert refused.value.rule.name == vector["rule"]


@given(st.text(max_size=60))
def test_a_name_read_twice_is_the_name_read_once(written: str) -> None:
    assert normal_name(normal_name(written)) == normal_name(written)


@given(
    st.text(alphabet=DIGITS, min_size=6, max_size=6),
    st.dates(date(1880, 1, 1), TODAY),
    st.text(alphabet=DIGITS, min_size=3, max_size=3),
    st.integers(0, 17),
    st.sampled_from(DIGITS),
)
def test_every_resident_number_is_read_and_no_single_wrong_digit_is(
    area: str, born: date, order: str, place: int, digit: str
) -> None:
    assume(area[:2] not in ("81", "82", "83") and area[0] != "9")
    seventeen = f"{area}{born:%Y%m%d}{order}" if born.year >= 1000 else ""
    number = seventeen + resident_id_check_character(seventeen)
    assert parse_resident_id(number, today=TODAY).number == number
    wrong = number[:place] + digit + number[place + 1 :]
    if wrong != number:
        with pytest.raises(IdentifierRefused):
            parse_resident_id(wrong, today=TODAY)


@given(
    st.text(alphabet=DIGITS, min_size=6, max_size=6),
    st.dates(date(1900, 1, 1), date(1999, 12, 31)),
    st.integers(0, 995),
)
def test_an_old_number_and_the_new_one_find_each_other(area: str, born: date, order: int) -> None:
    assume(area[:2] not in ("81", "82", "83") and area[0] != "9")
    old = f"{area}{born:%y%m%d}{order:03d}"
    found = parse_resident_id(old, today=TODAY)
    assert found.upgraded
    assert old_number(found.number) == old


@given(st.text(max_size=30))
def test_nothing_but_a_number_or_a_refusal_comes_of_any_text(written: str) -> None:
    for kind in ("resident-id", "permit", "uscc"):
        with suppress(IdentifierRefused):
            found = parse_identifier(kind, written, today=TODAY)
            assert found.number.isascii()
            assert len(found.number) == 18


@given(
    st.text(alphabet=DIGITS, min_size=6, max_size=6),
    st.dates(date(1880, 1, 1), TODAY),
    st.integers(0, 999),
    st.sampled_from("0123456789X"),
)
def test_no_number_is_read_as_of_two_kinds(area: str, born: date, order: int, last: str) -> None:
    body = f"{area}{born:%Y%m%d}{order:03d}"
    checked = (resident_id_check_character(body), uscc_check_character(body), last)
    for written in (*(body + check for check in checked), f"{area}{born:%y%m%d}{order:03d}"):
        read = []
        for kind in ("resident-id", "permit", "uscc"):
            with suppress(IdentifierRefused):
                read.append(parse_identifier(kind, written, today=TODAY))
        assert len(read) <= 1


def test_a_unit_may_bear_a_code_that_is_well_formed_as_a_persons_number() -> None:
    assert parse_uscc("230199198001010339").number == "230199198001010339"


@given(st.text(alphabet=USCC, min_size=17, max_size=17), st.integers(0, 17), st.sampled_from(USCC))
def test_no_single_wrong_character_of_a_credit_code_is_read(body: str, place: int, character: str) -> None:
    body = body[:2] + "230103" + body[8:]
    code = body + uscc_check_character(body)
    assert parse_uscc(code).number == code
    wrong = code[:place] + character + code[place + 1 :]
    if wrong != code:
        with pytest.raises(IdentifierRefused):
            parse_uscc(wrong)


def test_an_unknown_kind_of_number_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="kind"):
        parse_identifier("passport", "x", today=TODAY)
