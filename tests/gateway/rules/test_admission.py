"""What a question may say: every text bounded and printable, every mistake named at once, no value echoed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
from gateway.errors import InvalidRequest
from gateway.rules.admission import LONGEST_TEXT, Mistakes, RawQuestion, RawSubject, read_question, require_admitted
from gateway.rules.roles import Caller, Role
from tests.gateway.verification.village import PEOPLE

CATALOGUE = load_catalogue(shipped_catalogue_files())
UNIT = "11230000000000101E"
CALLER = Caller(id="spiffe://test/clerk", unit=UNIT, roles=frozenset({Role.CLERK}))
TODAY = date(2026, 11, 29)
RIGHT: dict[str, Any] = {
    "request_id": "01234567-89ab-7def-8123-456789abcdef", "matter": "230000-MSA-001", "case_id": "办2026-1",
    "purpose": "办理行政许可", "person": "clerk-01", "unit": UNIT, "item": "business-premises",
    "subject": RawSubject(id_type="resident-id", id_number=PEOPLE[0].id_number, name=PEOPLE[0].name),
    "parameters": {"address": "示例路1号"},
}  # fmt: skip
CONTROLS = ["\n", "\r\nX: 1", "\x00", "\x1b[2J", "\x7f", "\x85", "\u2028", "\t"]
FIELDS = {
    "case_id": "context.case_id",
    "purpose": "context.purpose",
    "person": "context.operator.person",
    "unit": "context.operator.unit",
}


def mistakes(**changed: Any) -> list[str]:
    """Give the fields of every mistake of a question, each named as often as it is wrong."""
    reading = read_question(RawQuestion(**(RIGHT | changed)), CALLER, today=TODAY)
    try:
        require_admitted(reading, CATALOGUE)
    except InvalidRequest as refused:
        return [one.field for one in refused.violations]
    return []


@pytest.mark.parametrize("name", [PEOPLE[1].id_number, PEOPLE[1].name, "x" + PEOPLE[1].id_number, "zhangsan"])
@pytest.mark.parametrize("value", ["x", 1, True])
def test_an_unknown_parameter_is_named_by_its_number_for_its_name_may_be_somebodys(name: str, value: object) -> None:
    number = 1 if name < "address" else 2

    assert mistakes(parameters={"address": "示例路1号", name: value}) == [f"parameters[{number}]"]


@pytest.mark.parametrize(
    "value", [None, "a\nb", "x" * (LONGEST_TEXT + 1), RawSubject(id_type="uscc", id_number="1", name="")]
)
def test_a_parameter_named_like_a_number_is_named_by_its_place_whatever_is_wrong_with_it(value: object) -> None:
    number = PEOPLE[1].id_number
    reading = read_question(RawQuestion(**(RIGHT | {"parameters": {number: value}})), CALLER, today=TODAY)

    with pytest.raises(InvalidRequest) as refused:
        require_admitted(reading, CATALOGUE)

    assert number not in str(refused.value) + "".join(one.chinese for one in refused.value.violations)
    assert any(one.field.startswith("parameters[1]") for one in refused.value.violations)


def test_a_right_question_is_admitted() -> None:
    assert mistakes() == []
    assert mistakes(parameters={"address": "路" * LONGEST_TEXT}) == []


@pytest.mark.parametrize(
    "blank", ["", " ", "\u3000", "\u200b", "\u200e\u202c", "\u3164", "\u2800", "\ufe0f"], ids=ascii
)
def test_a_text_of_which_nothing_is_seen_is_none(blank: str) -> None:
    for field, where in {**FIELDS, "matter": "context.matter", "item": "item"}.items():
        assert mistakes(**{field: blank}) == [where]
    assert mistakes(parameters={"address": blank}) == ["parameters.address"]
    found = Mistakes()
    found.text("basis", blank, "核查依据")
    assert [one.chinese for one in found.found] == ["请填写核查依据。"]


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("field", FIELDS)
def test_control_characters_are_refused_by_field(field: str, control: str) -> None:
    assert FIELDS[field] in mistakes(**{field: RIGHT[field] + control + "x"})


@pytest.mark.parametrize("control", CONTROLS)
def test_control_characters_are_refused_in_parameters(control: str) -> None:
    assert mistakes(parameters={"address": f"示例路{control}1号"}) == ["parameters.address"]


@pytest.mark.parametrize("length", [LONGEST_TEXT + 1, 300_000])
def test_a_parameter_that_is_too_long_is_refused_by_name(length: int) -> None:
    assert mistakes(parameters={"address": "路" * length}) == ["parameters.address"]


def test_a_persons_number_is_refused_as_an_organisations() -> None:
    child = "230199201503010878"

    assert mistakes(subject=RawSubject(id_type="resident-id", id_number=child, name="示例童")) == []
    assert mistakes(subject=RawSubject(id_type="uscc", id_number=child, name="示例童")) == ["subject.id_number"]


def test_an_organisation_is_refused_in_the_place_of_a_second_person() -> None:
    married = {"matter": "230000-CIV-005", "purpose": "办理行政确认", "item": "marital-status"}
    for kind, number, wrong in (
        ("resident-id", PEOPLE[1].id_number, []),
        ("uscc", "112300000000002027", ["parameters.spouse"]),
    ):
        spouse = RawSubject(id_type=kind, id_number=number, name="示例乙")
        assert mistakes(**married, parameters={"status": "MARRIED", "spouse": spouse}) == wrong


def test_an_organisation_is_not_asked_about_what_is_true_of_people_only() -> None:
    firm = RawSubject(id_type="uscc", id_number="112300000000002027", name="示例商行")
    married = {"matter": "230000-CIV-005", "purpose": "办理行政确认", "item": "marital-status"}

    assert mistakes(**married, parameters={"status": "MARRIED"}, subject=firm) == ["subject.id_type"]
    assert mistakes(subject=firm) == []  # the premises of a business


def test_everything_that_is_wrong_is_named_at_once() -> None:
    found = mistakes(
        request_id="x",
        matter="nothing",
        case_id="a\nb",
        person="c\x00",
        item="nothing",
        parameters={"address": "x" * (LONGEST_TEXT + 1), "more": None},
    )

    assert sorted(found) == [
        "context.case_id",
        "context.matter",
        "context.operator.person",
        "item",
        "parameters.address",
        "parameters.more",
        "request_id",
    ]


@pytest.mark.parametrize("changed", [{"parameters": {"address": "x"}}, {"item": "nothing"}, {"matter": "nothing"}])
def test_a_form_is_right_whatever_the_catalogue_says(changed: dict[str, Any]) -> None:
    assert read_question(RawQuestion(**(RIGHT | changed)), CALLER, today=TODAY).is_well_formed


@pytest.mark.parametrize("changed", [{"case_id": ""}, {"parameters": {"address": None}}, {"request_id": ""}])
def test_a_form_that_is_wrong_is_known_without_the_catalogue(changed: dict[str, Any]) -> None:
    assert not read_question(RawQuestion(**(RIGHT | changed)), CALLER, today=TODAY).is_well_formed
