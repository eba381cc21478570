"""A spouse's, mother's or relative's name and number are compared as those of the applicant are."""

from collections.abc import Mapping
from datetime import date
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.compare import Unreadable, compared, old_number, same_number
from connectors.connector import Claim, Form, Subject
from connectors.outcome import MATCH, MISMATCH, Kind
from connectors.record import Shape, judge, read_zone
from connectors.stanza import Stanza
from tests.connectors.people import NOW, ZHANG

NEW, OLD = "230199198203040018", "230199820304001"
WITH_X = "23019919600101004X"
FORMS: Mapping[str, Form] = {
    "mother_name": Form.NAME,
    "mother_id_number": Form.ID_NUMBER,
    "relative_name": Form.NAME,
    "relative_id_number": Form.ID_NUMBER,
}
SHAPE = Shape(
    attributes={"mother_name": itemgetter("mother"), "mother_id_number": itemgetter("number")},
    narrow={"relative_name": itemgetter("mother"), "relative_id_number": itemgetter("number")},
    name=itemgetter("name"),
    zone=read_zone(Stanza("s", {})),
)


def said(asked: Mapping[str, str], *, subject: str = ZHANG.name, name: str = ZHANG.name, **held: str) -> str:
    """Ask about Zhang, whose record names somebody; once by an attribute, once by what is given."""
    record = {"name": name, "mother": "", "number": "", **held}
    who = Subject(id_type="resident-id", id_number=ZHANG.id_number, name=subject)
    attribute = {f"mother_{part}": value for part, value in asked.items()}
    relative = {f"relative_{part}": value for part, value in asked.items()}
    outcomes = [
        judge(Claim(fact_type="f", subject=who, forms=FORMS, **one), [record], SHAPE, now=NOW)[0].kind
        for one in ({"expected": attribute}, {"given": relative})
    ]
    told = {Kind.NO_RECORD: "MISMATCH"}  # a record that names another relative is another record
    [only] = {told.get(kind, kind.value) for kind in outcomes}
    return only


NAMES = [
    ("王　芳", "王芳"),
    ("王 芳", "王芳"),
    ("买买提．艾力", "买买提·艾力"),
    ("买买提‥艾力", "买买提·艾力"),
    ("阿依古丽 · 买买提", "阿依古丽·买买提"),
    ("\ue863芳", "䶮芳"),
    ("\ue864芳", "\u9fbb芳"),
    ("芳\ufe00", "芳"),
    ("Ｊｏｈｎ  Smith", "John Smith"),
]


@pytest.mark.parametrize(("held", "typed"), NAMES)
def test_the_name_of_a_second_person_is_compared_as_the_name_of_the_subject(held: str, typed: str) -> None:
    assert said({"name": typed}, mother=held) == "MATCH"
    assert said({"name": held}, mother=typed) == "MATCH"
    assert said({}, subject=typed, name=held) == "MATCH"


@pytest.mark.parametrize(
    ("held", "typed"), [("王方", "王芳"), ("張芳", "张芳"), ("JOHN SMITH", "John Smith"), ("王", "王芳")]
)
def test_another_name_of_a_second_person_is_another_name(held: str, typed: str) -> None:
    assert said({"name": typed}, mother=held) == "MISMATCH"


NUMBERS = [
    (NEW, NEW, "MATCH"),
    (OLD, NEW, "MATCH"),
    (NEW, OLD, "MATCH"),
    (f"{NEW[:6]} {NEW[6:]}", NEW, "MATCH"),
    (f"{NEW[:6]}-{NEW[6:14]}－{NEW[14:]}", NEW, "MATCH"),
    (f"{OLD[:6]}–{OLD[6:]}", NEW, "MATCH"),
    ("２３０１９９１９６００１０１００４ｘ", WITH_X, "MATCH"),
    (WITH_X, WITH_X.lower(), "MATCH"),
    (WITH_X.lower(), WITH_X, "MATCH"),
    ("E12345678", "e12345678", "MATCH"),
    ("230199198203040026", NEW, "MISMATCH"),
    ("230199820304002", NEW, "MISMATCH"),
    ("230199820304002", OLD, "MISMATCH"),
    ("E12345678", NEW, "MISMATCH"),
    ("230199198203040", "230199198203040018", "AMBIGUOUS"),  # eighteen digits cut off: no day in it
    ("230199820304997", NEW, "AMBIGUOUS"),  # kept for those born before 1900
    ("230199010304001", "230199200103040012", "AMBIGUOUS"),  # nobody born since 2000 has an old number
    ("E12345678", OLD, "AMBIGUOUS"),
]


@pytest.mark.parametrize(("held", "typed", "expected"), NUMBERS)
def test_the_number_of_a_second_person_is_compared_in_all_its_forms(held: str, typed: str, expected: str) -> None:
    assert said({"id_number": typed}, number=held) == expected


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("王芳", "230199820304997", "AMBIGUOUS"),
        ("王方", "230199820304997", "MISMATCH"),
        ("", "230199820304997", "AMBIGUOUS"),
        ("", NEW, "NOT_HELD"),
        ("王方", "", "MISMATCH"),
    ],
)
def test_a_contradiction_decides_before_what_is_unclear_and_that_before_what_is_missing(
    name: str, number: str, expected: str
) -> None:
    assert said({"name": "王芳", "id_number": NEW}, mother=name, number=number) == expected


def test_only_what_is_declared_a_name_or_number_is_compared_as_one() -> None:
    claim = Claim(fact_type="f", subject=ZHANG, expected={"mother_name": "王芳"})
    record = {"name": ZHANG.name, "mother": "王 芳", "number": ""}
    assert judge(claim, [record], SHAPE, now=NOW)[0] is MISMATCH
    assert compared("中山路 1号", "中山路1号") is MISMATCH
    assert compared("230199-1", "2301991") is MISMATCH
    assert compared(date(2020, 1, 1), "2020-01-01", Form.NAME) is MATCH


@given(st.from_regex(r"[0-9]{17}[0-9X]", fullmatch=True), st.from_regex(r"[0-9]{15}|[0-9]{17}[0-9X]", fullmatch=True))
def test_comparing_numbers_is_symmetric_and_a_number_is_itself(one: str, other: str) -> None:
    assert same_number(one, one) is MATCH
    assert same_number(one, other) is same_number(other, one)
    if len(other) == 18:
        assert same_number(one, other) is (MATCH if one == other else MISMATCH)


@given(st.dates(date(1900, 1, 1), date(1999, 12, 31)), st.integers(0, 995))
def test_every_number_of_the_1900s_agrees_with_its_old_form(born: date, order: int) -> None:
    number = f"230199{born:%Y%m%d}{order:03}X"
    assert same_number(number, old_number(number)) is MATCH
    other = f"230199{born:%Y%m%d}{(order + 1) % 996:03}X"
    assert same_number(number, old_number(other)) is MISMATCH
    assert same_number(f"230198{number[6:]}", old_number(number)) is MISMATCH


DAMAGED = [
    "2.30199E+17", "230199198203040000", NEW[:17], NEW[:12], NEW[6:], f'="{NEW}"', f"'{NEW}", f"{NEW}.0", "0", "0" * 18,
    "2301991982O3O4OO18", "23OI99198203040018", f"身份证{NEW}", f"{NEW},{WITH_X}", "无证件",
]  # fmt: skip


@pytest.mark.parametrize("held", DAMAGED)
def test_a_number_that_was_damaged_contradicts_nobody(held: str) -> None:
    with pytest.raises(Unreadable):
        compared(NEW, held, Form.ID_NUMBER)
    assert said({"id_number": NEW}, number=held) == "UNAVAILABLE"
    assert said({"id_number": OLD}, number=held) != "MISMATCH"


@pytest.mark.parametrize("held", ["E12345678", "军字第2001988号", "91230199MA18CXYJ3B", "230199198203040019"])
def test_another_whole_number_is_another_number(held: str) -> None:
    assert said({"id_number": NEW}, number=held) == "MISMATCH"
