import string
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import itemgetter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.compare import Unreadable, agrees, compared, day, identity, is_empty, normalise, text
from connectors.connector import Claim
from connectors.names import normal_name
from connectors.outcome import MATCH
from connectors.record import Shape, judge
from tests.connectors.people import NOW, ZHANG

ANY = st.one_of(
    st.none(),
    st.text(),
    st.integers(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.binary(),
    st.floats(),
    st.decimals(),
)
EXPECTED = st.one_of(st.text(), st.integers(), st.booleans(), st.dates())


UNSEEN = (
    *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u200b\u200c\u200d\u200e\u200f",
    *"\u202a\u202c\u202d\u202e\u2060\u2061\u2064\u2065\u2066\u2069\u206f\u2800\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0\ufff8",
    *"\U00016fe4\U0001bca0\U0001d159\U0001d173\U000e0001\U000e007f\U000e0100\U000e01ef\U000e0fff",
)
"""What nobody sees: format characters, choices of glyph, fillers, what Unicode lets be ignored."""


@given(st.text() | st.text("〇○◯一九●\u200b 年"))
def test_normalising_twice_changes_nothing_more(written: str) -> None:
    assert normalise(normalise(written)) == normalise(written)


@given(st.text() | st.text("〇○◯一九●\u200b 年"))
def test_an_identity_never_holds_blanks_or_changes_when_read_again(written: str) -> None:
    assert not any(c.isspace() for c in identity(written))
    assert identity(identity(written)) == identity(written)


@given(
    st.text(
        st.sampled_from(string.ascii_letters + string.digits)
        | st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
    )
)
def test_what_is_taken_as_it_is_is_what_folding_would_leave_of_it(written: str) -> None:
    folded = normalise(f" {written} ")  # the blanks send it the long way
    assert normalise(written) == folded == written
    assert identity(written) == identity(f"{written} ")


@pytest.mark.parametrize("dot", "·•・‧∙⋅･•")
def test_every_middle_dot_is_the_same_dot(dot: str) -> None:
    assert normalise(f"古丽{dot}阿不都") == "古丽·阿不都"


@pytest.mark.parametrize("written", ["张小明 ", "　张小明", "张小明\u200b", "\ufeff张小明", "张小明\u3000"])
def test_blanks_and_invisible_characters_around_a_name_mean_nothing(written: str) -> None:
    assert agrees("张小明", written)


@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
def test_a_text_a_number_and_a_name_are_the_same_with_what_nobody_sees_in_them(unseen: str) -> None:
    for said in ("示例路9号", "Zhao 9"):
        written = unseen.join(["", *said, ""])
        assert normalise(written) == normalise(normalise(written)) == said
        assert compared(said, written) is MATCH
        assert normal_name(written) == said
    assert identity(f"2301031987{unseen}0910234x{unseen}") == "23010319870910234X"
    assert is_empty(unseen * 3)


@given(st.text(), st.sampled_from(UNSEEN))
def test_what_nobody_sees_makes_no_other_text_and_no_other_name(written: str, unseen: str) -> None:
    assert normalise(unseen.join(["", *written, ""])) == normalise(written)
    assert normal_name(unseen.join(["", *written, ""])) == normal_name(written)


def test_full_width_digits_and_a_small_x_are_the_same_number() -> None:
    assert identity("２３０１03198709102３4x ") == "23010319870910234X"


@pytest.mark.parametrize(("one", "other"), [("張小明", "张小明"), ("张晓明", "张小明"), ("张小", "张小明"), ("", "张")])
def test_other_names_are_other_names(one: str, other: str) -> None:
    assert not agrees(one, other)


@given(EXPECTED, ANY)
def test_comparing_ends_in_an_answer_or_in_unreadable_and_in_nothing_else(expected: object, held: object) -> None:
    with suppress(Unreadable):
        assert agrees(expected, held) in (True, False)  # type: ignore[arg-type]


@given(st.integers(min_value=-(10**17), max_value=10**17))
def test_a_number_agrees_with_itself_in_every_form_a_database_may_give(number: int) -> None:
    assert agrees(number, number)
    assert agrees(number, str(number))
    assert agrees(number, Decimal(number))
    assert not agrees(number, number + 1)


@given(st.dates())
def test_a_day_agrees_with_itself_in_every_form_a_database_may_give(when: date) -> None:
    for held in (
        when,
        datetime(when.year, when.month, when.day, 13, 5),
        when.isoformat(),
        when.isoformat().replace("-", ""),
    ):
        assert agrees(when, held)


@pytest.mark.parametrize(
    "held",
    [
        datetime(2024, 3, 4, 16, tzinfo=UTC),
        "2024-03-04T16:00:00.000+00:00",
        "2024-03-04T16:00:00Z",
        "2024-03-04 16:00:00 +0000",
        "2024-03-04 15:59:59-00:01",
        "20240304T160000Z",
        "2024-03-04T16:00:00 GMT",
        "2024-03-04 16:00:00 UTC",
        "2024-03-04T16:00:00.000Z[UTC]",
        "2024-03-05T00:00:00+08:00[Asia/Shanghai]",
        "2024-03-05 8:00:00+08:00",
        "2024-03-04 24:00:00Z",
        "2024-03-05T24:00:00+08:00",
        "2024-03-05T24:00:00.000+08:00",
        "2024-03-05 24:00:00",
        "2024-03-05T00:00:00+08:00",
        "2024-03-05T23:59:59.123456789+08",
        "2024-03-05 12:00:00 AM",
        "2024-03-05 00:00:00",
        datetime(2024, 3, 5, 23, 59),
    ],
)
def test_an_instant_is_on_the_day_that_it_is_in_china(held: object) -> None:
    assert day(held) == date(2024, 3, 5)


@pytest.mark.parametrize("held", ["1988-05-31T15:00:00Z", "1988-05-31T16:00:00Z"])
def test_a_day_that_began_in_summer_time_is_that_day(held: str) -> None:
    assert day(held) == date(1988, 6, 1)


def test_an_instant_is_on_the_day_that_it_is_where_the_stanza_says() -> None:
    zone = ZoneInfo("Asia/Tokyo")
    assert day("2024-03-04T15:00:00Z", zone=zone) == date(2024, 3, 5) == day("2024-03-05 15:00:00", zone=zone)
    assert compared(date(2024, 3, 4), "2024-03-04T15:00:00Z").kind.value == "MATCH"
    assert compared(date(2024, 3, 5), "2024-03-04T15:00:00Z", zone=zone).kind.value == "MATCH"


def test_the_days_of_a_record_are_those_of_its_source() -> None:
    claim = Claim(
        fact_type="f", subject=ZHANG, expected={"died_on": date(2024, 3, 5)}, given={"seen": date(2024, 3, 5)}
    )
    readers = {name: itemgetter(name) for name in ("died_on", "seen")}
    zone = ZoneInfo("Asia/Tokyo")
    shape = Shape(attributes={"died_on": readers["died_on"]}, narrow={"seen": readers["seen"]}, zone=zone)
    record = {"died_on": "2024-03-04T15:00:00Z", "seen": datetime(2024, 3, 4, 15, tzinfo=UTC)}
    assert judge(claim, [record], shape, now=NOW)[0].kind.value == "MATCH"


@pytest.mark.parametrize(
    "held",
    [
        "2024-03-04T16:00:00 CST",
        "2024-03-04T16:00:00[America/New_York]",
        "2024-03-04T24:30:00Z",
        "2024-03-04T16:00:00 UTC+8",
        "2024-03-04TZ",
        "2024-03-04T25:00:00Z",
        "9999-12-31T23:00:00Z",
        datetime.max.replace(tzinfo=UTC),
        "2024-03-05 0点",
    ],
)
def test_an_instant_that_cannot_be_placed_is_no_day(held: object) -> None:
    with pytest.raises(Unreadable):
        day(held)


@pytest.mark.parametrize(
    "held",
    [
        *("2024/3/5", "2024/03/05", "2024-3-5", "2024.3.5", "2024年3月5日", "２０２４年０３月０５日", "20240305"),
        *("2024/3/5 0:00:00", "2024/03/05 23:59:59", 20240305, Decimal(20240305)),
    ],
)
def test_a_day_is_read_in_every_way_that_leaves_no_doubt(held: object) -> None:
    assert day(held) == date(2024, 3, 5)


@pytest.mark.parametrize("held", [Decimal("1.00"), b"\x01", 1])
def test_a_whole_number_is_a_code_and_a_truth_in_every_form_a_database_may_give(held: object) -> None:
    assert text(held) == "1"
    assert agrees(1, held)
    assert agrees(True, held)
    assert not agrees(False, held)


@pytest.mark.parametrize(
    "held",
    [
        "2020-02-30",
        "20201301",
        "昨天",
        "1/2/2020",
        2020131,
        1706630400000,
        "2024年3月",
        "2024/3",
        "24/3/5",
        True,
        1.5,
        b"2020-01-01",
    ],
)
def test_what_is_no_day_is_unreadable(held: object) -> None:
    with pytest.raises(Unreadable):
        day(held)


@pytest.mark.parametrize("held", [True, 1.0, "1.0", "一", "0x10", b"1", Decimal("1.5"), Decimal("NaN")])
def test_what_is_no_whole_number_is_unreadable(held: object) -> None:
    with pytest.raises(Unreadable):
        agrees(1, held)


@pytest.mark.parametrize("held", ["true", "1", "是", 2, -1, 1.0])
def test_what_is_no_truth_is_unreadable(held: object) -> None:
    with pytest.raises(Unreadable):
        agrees(True, held)


@pytest.mark.parametrize(
    "held",
    [
        "张小明".encode("gbk").decode("latin-1"),
        "张小明".encode().decode("latin-1"),
        "张小明".encode("gbk").decode("utf-8", "replace"),
        "???",
        "张\x00小明",
        "张\x85明",
        "张小明".encode(),
    ],
)
def test_a_name_in_a_wrong_character_set_is_unreadable_and_not_another_name(held: object) -> None:
    with pytest.raises(Unreadable):
        agrees("张小明", held)


@pytest.mark.parametrize("name", ["José María", "Müller", "Ångström", "D'Souza", "古丽·阿不都", "𠮷田"])
def test_foreign_and_rare_names_are_readable(name: str) -> None:
    assert text(name) == name


@pytest.mark.parametrize("held", [None, "", "  ", "　", "\u200b"])
def test_blanks_are_no_value(held: object) -> None:
    assert is_empty(held)


@pytest.mark.parametrize("held", [0, False, "0", "-"])
def test_zero_and_false_are_values(held: object) -> None:
    assert not is_empty(held)
