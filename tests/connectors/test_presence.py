"""A key that is absent is another format; a value that is empty is none. The table of both, and what holds of any."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.catalog import connect
from connectors.conformance.server import FaultServer
from connectors.connector import Claim
from connectors.presence import presence
from tests.connectors.people import GOOD, ZHANG, claim, fresh, http_stanza, now, question

RECORD: dict[str, object] = GOOD["data"]["result"][0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("written", "record", "is_there"),
    [
        ("a", {"a": "1"}, True),
        ("a", {"a": None}, True),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("a", {"A": "1"}, False),
        ("a.b", {"a": {"b": None}}, True),
        ("a.b", {"a": None}, True),
        ("a.b", {"a": {}}, False),
        ("a.b", {"b": "1"}, False),
        ("a.b", {"a": "1"}, False),
        ("a.b", {"a": ["1"]}, False),
        ("a[0].b", {"a": [{"b": None}]}, True),
        ("a[0].b", {"a": []}, True),
        ("a[1].b", {"a": [{"b": "1"}]}, True),
        ("a[0].b", {"a": None}, True),
        ("a[0].b", {"a": [{"c": "1"}]}, False),
        ("a[0].b", {"a": {"b": "1"}}, False),
        ("a[0].b", {}, False),
        ("a[:1]", {"a": "1"}, False),
        ("a[*].b | [0]", {"a": [{"b": "1"}, {"b": None}]}, True),
        ("a[*].b | [0]", {"a": []}, True),
        ("a[*].b | [0]", {"a": [{"b": "1"}, {}]}, False),
        ("a[*].b | [0]", {"a": {"b": "1"}}, False),
        ("a[].b | [0]", {"a": "1"}, False),
        ("a.*.b | [0]", {"a": ["1"]}, False),
        ("a.*.b | [0]", {"a": {"x": {"b": "1"}}}, True),
        ("a[?k=='x'].v | [0]", {"a": [{"k": "x", "v": "1"}]}, True),
        ("a[?k=='x'].v | [0]", {"a": [{"k": "y"}]}, True),
        ("a[?k=='x'].v | [0]", {"a": [{"k": "x"}]}, False),
        ("a[?k=='x'].v | [0]", {"a": [{"v": "1"}]}, False),
        ("a[?k=='x'].v | [0]", {"a": "1"}, False),
        ("a || b", {"a": "1"}, True),
        ("a || b", {"b": "1"}, True),
        ("a || b", {"a": None}, True),
        ("a || b", {"c": "1"}, False),
        ("(a || b).c", {"a": None, "b": {"d": "1"}}, False),
        ("not_null(a, b)", {"b": None}, True),
        ("not_null(a, b)", {}, False),
        ("a == '1'", {"b": "1"}, False),
        ("!a", {}, False),
        ("to_string(a)", {}, False),
        ("join('', [a, b])", {"a": "1"}, False),
        ("join('', [a, b])", {"a": "1", "b": None}, True),
        ("@", {}, True),
    ],
)
def test_a_key_is_there_or_not_whatever_it_holds(written: str, record: object, is_there: bool) -> None:
    assert presence(written)(record) is is_there


NAMES = st.sampled_from("abcd")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(NAMES, min_size=1, max_size=4), JSON)
def test_a_path_is_there_when_each_key_is_or_null_stands_above_it(keys: list[str], record: object) -> None:
    expected, held = True, record
    for key in keys:
        if held is None:
            break
        expected = isinstance(held, dict) and key in held
        if not expected:
            break
        held = held[key]  # type: ignore[index]
    assert presence(".".join(keys))(record) is expected


@given(NAMES, NAMES, JSON)
def test_an_alternative_is_there_when_either_is(one: str, other: str, record: object) -> None:
    assert presence(f"{one} || {other}")(record) is (presence(one)(record) or presence(other)(record))


async def said(record: object, asked: Claim, /, **more: object) -> str:
    records = record if isinstance(record, list) else [record]
    async with FaultServer({"code": "0", "data": {"result": records}}, person=(ZHANG.id_number, ZHANG.name)) as server:
        source = connect("civil-affairs", http_stanza(server.url, answer_timeout="10s", **more), now=now)
        [found] = await source.check_many([asked], question())
        await source.aclose()
    cause = found.outcome.cause
    return found.outcome.kind.value if cause is None else cause.value


def without(*keys: str) -> dict[str, object]:
    return {key: held for key, held in RECORD.items() if key not in keys}


MARRIED = claim(status="married")
NARROW = {"narrow": {"relative_id_number": "other"}}


@pytest.mark.parametrize(
    ("record", "asked", "more", "expected"),
    [
        (without("hyzk"), MARRIED, {}, "GARBLED"),
        ({**without("hyzk"), "zt": "1"}, MARRIED, {}, "GARBLED"),
        (without("hyzk"), claim(), {}, "GARBLED"),
        (without("djrq"), MARRIED, {}, "GARBLED"),
        (without("xm"), MARRIED, {}, "GARBLED"),
        (without("swbs"), MARRIED, {}, "GARBLED"),
        (RECORD, MARRIED, {"as_of": "gxsj"}, "GARBLED"),
        (RECORD, MARRIED, {"pick": "latest:gxsj"}, "GARBLED"),
        (RECORD, MARRIED, NARROW, "GARBLED"),
        ([RECORD, without("hyzk")], MARRIED, {"pick": "latest:djrq"}, "GARBLED"),
        ([without("hyzk"), {**RECORD, "djrq": "2020-01-01"}], MARRIED, {"pick": "latest:djrq"}, "GARBLED"),
        (RECORD, MARRIED, {"attributes": {"status": "marriage.hyzk"}}, "GARBLED"),
        (without("hyzk"), MARRIED, {"omitted_when_empty": ["djrq"]}, "GARBLED"),
        (without("hyzk"), MARRIED, {"omitted_when_empty": ["hyzk"]}, "NOT_HELD"),
        (without("djrq"), MARRIED, {"omitted_when_empty": ["djrq"]}, "MATCH"),
        (without("xm"), MARRIED, {"omitted_when_empty": ["xm"]}, "NOT_HELD"),
        (without("swbs"), MARRIED, {"omitted_when_empty": ["swbs"]}, "MATCH"),
        (RECORD, MARRIED, {"as_of": "gxsj", "omitted_when_empty": ["gxsj"]}, "MATCH"),
        (RECORD, MARRIED, {"as_of": "gxsj", "freshness": "1d", "omitted_when_empty": ["gxsj"]}, "STALE"),
        ({**RECORD, "gxsj": fresh()}, MARRIED, {"as_of": "gxsj", "freshness": "1d"}, "MATCH"),
        ({**RECORD, "hyzk": None}, MARRIED, {}, "NOT_HELD"),
        ({**RECORD, "hyzk": ""}, MARRIED, {}, "NOT_HELD"),
        ({**RECORD, "xm": None}, MARRIED, {}, "NOT_HELD"),
        ({**RECORD, "swbs": None}, MARRIED, {}, "MATCH"),
        ({**RECORD, "other": None}, MARRIED, NARROW, "MATCH"),
        ({**RECORD, "marriage": None}, MARRIED, {"attributes": {"status": "marriage.hyzk"}}, "NOT_HELD"),
        (RECORD, MARRIED, {"answer_as_of": "asOf"}, "MATCH"),
    ],
)
async def test_a_record_that_lacks_a_key_of_the_stanza_is_outside_the_agreed_format(
    record: object, asked: Claim, more: dict[str, object], expected: str
) -> None:
    assert await said(record, asked, **more) == expected


MATCHING: dict[str, object] = {
    "mode": "match",
    "json": {"id": "{subject.id_number}", "status": "{expected.status}"},
    "subject_echo": None,
    "name": None,
    "attributes": None,
    "values": None,
    "codes": {"subject.id_number": "ID_PPDDM", "status": "HYZK_PPDDM"},
    "match": ["1"],
    "mismatch": ["0"],
    "inactive": {"column": "SWBS", "values": ["1"], "active": ["0", ""]},
}
CODES = {"ID_PPDDM": "1", "HYZK_PPDDM": "1", "SWBS": "0"}


@pytest.mark.parametrize("lacking", [*CODES, ""])
@pytest.mark.parametrize("omitted", [[], ["SWBS"]])
async def test_the_dead_do_not_come_to_life_where_a_match_service_renames_a_key(
    lacking: str, omitted: list[str]
) -> None:
    record = {key: code for key, code in CODES.items() if key != lacking}
    expected = "MATCH" if not lacking or lacking in omitted else "GARBLED"
    assert await said(record, MARRIED, **MATCHING, omitted_when_empty=omitted) == expected


@given(st.lists(st.sampled_from(["xm", "hyzk", "djrq", "swbs"]), min_size=1, unique=True))
def test_what_a_record_lacks_shows_whatever_else_it_holds(lacking: list[str]) -> None:
    record = json.loads(json.dumps({key: None for key in RECORD if key not in lacking}))
    assert [key for key in RECORD if not presence(key)(record)] == [key for key in RECORD if key in lacking]
