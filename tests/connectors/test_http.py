import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from connectors.catalog import connect
from connectors.conformance.expectations import EXPECTED, require_no_conclusion
from connectors.conformance.server import FaultServer, Misbehaviour
from connectors.connector import Claim
from connectors.errors import StanzaError
from connectors.outcome import Cause, Kind
from tests.connectors.people import GOOD, LI, NOBODY, ZHANG, claim, fresh, http_stanza, now, question

RECORD: dict[str, object] = GOOD["data"]["result"][0]  # type: ignore[index]
WINDOW = {"status": 503, "at": "code", "equals": "WH", "cause": "WINDOW"}
_GOOD = json.dumps(GOOD, ensure_ascii=False).encode()


@asynccontextmanager
async def raw_service(head: str, body: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve one answer, byte for byte; gives where, and the requests that came."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        length = int(request.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        requests.append(request + await reader.readexactly(length))
        writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", requests


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A department's service that knows Zhang."""
    async with FaultServer(GOOD, person=(ZHANG.id_number, ZHANG.name)) as started:
        yield started


async def outcome(server: FaultServer, asked: Claim, /, **more: object) -> str:
    source = connect("civil-affairs", http_stanza(server.url, **more), now=now)
    [evidence] = await source.check_many([asked], question())
    await source.aclose()
    cause = evidence.outcome.cause
    if evidence.outcome.other_identity:
        return "MISMATCH(name)"
    return evidence.outcome.kind.value if cause is None else f"UNAVAILABLE({cause.value})"


@pytest.mark.parametrize("fault", EXPECTED)
async def test_no_fault_becomes_a_conclusion_or_tells_personal_data(
    server: FaultServer, fault: Misbehaviour, discreet: list[str]
) -> None:
    server.misbehave(fault)
    source = connect("civil-affairs", http_stanza(server.url, probe="/health"), now=now)
    evidence = await source.check_many([claim(status="married")], question())
    require_no_conclusion(evidence)
    assert evidence[0].outcome == EXPECTED[fault]
    discreet.append((await source.probe()).detail)
    await source.aclose()


@pytest.mark.parametrize(
    ("status", "opens"), [(400, False), (409, False), (422, False), (401, True), (403, True), (404, True), (408, True)]
)
@pytest.mark.parametrize("body", [b'{"code": "E400"}', b"<html>"])
async def test_questions_that_a_service_turns_down_are_no_outage_for_others(
    status: int, opens: bool, body: bytes
) -> None:
    async with raw_service(f"HTTP/1.1 {status} X\r\n", body) as (url, requests):
        source = connect("civil-affairs", http_stanza(url, answer_timeout="10s"), now=now)
        for number in range(6):
            [evidence] = await source.check_many([claim(status="married")], question(case=f"case-{number}"))
        assert evidence.outcome.cause is (Cause.OUTAGE if opens else Cause.GARBLED)
        assert (len(requests), len(source.outages())) == ((5, 1) if opens else (6, 0))
        await source.aclose()


async def test_a_flapping_service_is_asked_again_and_answers(server: FaultServer) -> None:
    server.misbehave(Misbehaviour.FLAPPING)
    source = connect("civil-affairs", http_stanza(server.url), now=now)
    [evidence] = await source.check_many([claim(status="married")], question())
    assert (evidence.outcome.kind, evidence.attempts) == (Kind.MATCH, 2)
    await source.aclose()


async def test_a_port_where_nobody_listens_is_an_outage(discreet: list[str]) -> None:
    source = connect("civil-affairs", http_stanza("http://127.0.0.1:1"), now=now)
    [evidence] = await source.check_many([claim(status="married")], question())
    assert evidence.outcome.cause is Cause.OUTAGE
    discreet.append(str(evidence))
    await source.aclose()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (claim(status="married", since=date(2010, 5, 1)), "MATCH"),
        (claim(), "MATCH"),
        (claim(status="divorced"), "MISMATCH"),
        (claim(height=180), "NOT_HELD"),
        (claim(LI), "UNAVAILABLE(GARBLED)"),
    ],
)
async def test_a_record_is_judged_against_the_claim(server: FaultServer, asked: Claim, expected: str) -> None:
    assert await outcome(server, asked) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"code": "NO_DATA"}, "NO_RECORD"),
        ({"code": "E-106"}, "REFUSED"),
        ({"code": "-1"}, "UNAVAILABLE(OUTAGE)"),
        ({"code": 0, "data": {"result": []}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"result": []}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"result": None}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0"}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"result": ["没有数据"]}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"result": [{**RECORD, "swbs": "1"}]}}, "SUBJECT_INACTIVE"),
        ({"code": "0", "data": {"result": [{**RECORD, "xm": "王二"}]}}, "MISMATCH(name)"),
        ({"code": "0", "data": {"result": [{**RECORD, "hyzk": "7"}]}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"result": [{**RECORD, "hyzk": ["1"]}]}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"result": [{**RECORD, "hyzk": ""}]}}, "NOT_HELD"),
    ],
)
async def test_only_declared_signs_mean_anything(server: FaultServer, answer: dict[str, object], expected: str) -> None:
    server.answer(answer)
    assert await outcome(server, claim(status="married")) == expected


async def test_an_empty_list_is_absence_only_when_declared(server: FaultServer) -> None:
    server.answer({"code": "0", "data": {"result": []}})
    assert await outcome(server, claim(NOBODY), empty_is_absent=True) == "NO_RECORD"


async def test_a_404_is_absence_only_when_declared(server: FaultServer) -> None:
    server.misbehave(Misbehaviour.NOT_FOUND)
    assert await outcome(server, claim(NOBODY), absent={"status": 404}) == "NO_RECORD"


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1, "NO_RECORD"),
        ("1", "NO_RECORD"),
        (12, "UNAVAILABLE(GARBLED)"),
        (0, "UNAVAILABLE(GARBLED)"),
        (None, "UNAVAILABLE(GARBLED)"),
        ("many", "UNAVAILABLE(GARBLED)"),
        (True, "UNAVAILABLE(GARBLED)"),
    ],
)
async def test_one_page_of_several_proves_no_absence(server: FaultServer, total: object, expected: str) -> None:
    server.answer({**GOOD, "total": total})
    asked = replace(claim(), given={"partner": NOBODY.id_number})
    more = {"narrow": {"partner": "xm"}, "total": "total"}
    assert await outcome(server, asked, **more) == expected
    if total != 1:
        return
    server.answer({"code": "0", "total": 1, "data": {"result": []}})
    assert await outcome(server, claim(), total="total", empty_is_absent=True) == "UNAVAILABLE(GARBLED)"


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (0, "NO_RECORD"),
        ("0", "NO_RECORD"),
        (None, "NO_RECORD"),
        (37, "UNAVAILABLE(GARBLED)"),
        ("37", "UNAVAILABLE(GARBLED)"),
        ("many", "UNAVAILABLE(GARBLED)"),
    ],
)
@pytest.mark.parametrize(
    "absent",
    [
        {"at": "data.result", "equals": []},
        {"at": "length(data.result)", "equals": 0},
        [{"status": 404, "at": "code", "equals": "0"}, {"at": "code", "equals": "0"}],
    ],
)
async def test_an_empty_page_of_several_bears_no_sign_of_absence(
    server: FaultServer, total: object, expected: str, absent: object
) -> None:
    server.answer({"code": "0", "total": total, "data": {"result": []}})
    assert await outcome(server, claim(NOBODY), total="total", absent=absent) == expected
    assert await outcome(server, claim(NOBODY), absent=absent) == "NO_RECORD"


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"data": {"result": [RECORD]}}, "UNAVAILABLE(GARBLED)"),
        ({"data": {"result": [{**RECORD, "idcard": LI.id_number}]}}, "UNAVAILABLE(GARBLED)"),
        ({"data": {"result": ["没有数据"]}}, "UNAVAILABLE(GARBLED)"),
        ({"data": {"result": RECORD}}, "UNAVAILABLE(GARBLED)"),
        ({"data": {"result": {**RECORD, "idcard": None}}}, "NO_RECORD"),
        ({"data": {"result": {"message": "没有数据"}}}, "NO_RECORD"),
        ({"data": {"result": "没有数据"}}, "NO_RECORD"),
        ({"data": {"result": [None]}}, "NO_RECORD"),
        ({"data": {"result": []}}, "NO_RECORD"),
        ({"data": None}, "NO_RECORD"),
        ({"data": "没有数据"}, "NO_RECORD"),
    ],
)
async def test_a_sign_of_absence_beside_records_means_nothing(
    server: FaultServer, beside: dict[str, object], expected: str
) -> None:
    server.answer({"code": "NO_DATA", **beside})
    assert await outcome(server, claim(status="married")) == expected
    if beside["data"] is None:
        assert await outcome(server, claim(), records="sort_by(data, &at)") == expected


@pytest.mark.parametrize(("code", "expected"), [("1", "UNAVAILABLE(GARBLED)"), ("0", "NO_RECORD")])
async def test_a_sign_of_absence_beside_codes_that_agree_means_nothing(
    server: FaultServer, code: str, expected: str
) -> None:
    server.answer({"code": "NO_DATA", "data": {"GMSFHM_PPDDM": code, "XM_PPDDM": code, "HYZK_PPDDM": "1"}})
    assert await outcome(server, claim(status="married"), **MATCHING) == expected


TODAY, LONG_AGO, AHEAD = "2026-11-24", "2020-01-01", "2027-01-01"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"code": "NO_DATA"}, "STALE"),
        ({"code": "NO_DATA", "date": TODAY}, "NO_RECORD"),
        ({"code": "NO_DATA", "date": LONG_AGO}, "STALE"),
        ({"code": "NO_DATA", "date": AHEAD}, "UNAVAILABLE(GARBLED)"),
        ({"code": "NO_DATA", "date": "soon"}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"result": []}}, "STALE"),
        ({"code": "0", "data": {"result": []}, "date": TODAY}, "NO_RECORD"),
        ({**GOOD, "date": TODAY}, "MATCH"),
        (GOOD, "STALE"),
        ({**GOOD, "date": LONG_AGO}, "STALE"),
        ({"code": "E-106", "date": "soon"}, "REFUSED"),
    ],
)
async def test_absence_under_a_promise_of_freshness_needs_a_date_as_a_record_does(
    server: FaultServer, answer: dict[str, object], expected: str
) -> None:
    server.answer(answer)
    more = {"freshness": "1d", "answer_as_of": "date", "empty_is_absent": True}
    assert await outcome(server, claim(), **more) == expected


async def test_absence_that_no_date_can_stand_beside_is_stale_under_a_promise(server: FaultServer) -> None:
    server.answer({"code": "NO_DATA", "date": TODAY})
    assert await outcome(server, claim(), freshness="1d", as_of="date") == "STALE"
    server.misbehave(Misbehaviour.NOT_FOUND)
    more = {"freshness": "1d", "answer_as_of": "date", "absent": {"status": 404}}
    assert await outcome(server, claim(NOBODY), **more) == "STALE"


@pytest.mark.parametrize("fault", [Misbehaviour.UNAUTHORISED, Misbehaviour.FORBIDDEN])
async def test_a_401_or_403_refuses_only_when_declared_whatever_its_body(
    server: FaultServer, fault: Misbehaviour
) -> None:
    server.misbehave(fault)
    status = 401 if fault is Misbehaviour.UNAUTHORISED else 403
    declared = [{"status": status, "rule": "sealed"}, {"at": "code", "equals": "E-106", "rule": "unknown caller"}]
    assert await outcome(server, claim(status="married")) == "UNAVAILABLE(GARBLED)"
    assert await outcome(server, claim(status="married"), refused=declared) == "REFUSED"


async def test_a_page_with_a_status_declared_as_an_error_is_that_error(server: FaultServer) -> None:
    server.misbehave(Misbehaviour.FORBIDDEN)
    assert await outcome(server, claim(), error={"status": 403, "cause": "OVERLOAD"}) == "UNAVAILABLE(OVERLOAD)"


@pytest.mark.parametrize(
    ("status", "body", "more", "expected"),
    [
        ("503 X", b'{"code": "WH"}', {}, "UNAVAILABLE(OUTAGE)"),
        ("503 X", b'{"code": "WH"}', {"error": {"status": 503, "cause": "WINDOW"}}, "UNAVAILABLE(WINDOW)"),
        ("503 X", b"closed", {"error": {"status": 503, "cause": "WINDOW"}}, "UNAVAILABLE(WINDOW)"),
        ("503 X", b'{"code": "WH"}', {"error": WINDOW}, "UNAVAILABLE(WINDOW)"),
        ("503 X", b'{"code": "XX"}', {"error": WINDOW}, "UNAVAILABLE(OUTAGE)"),
        ("503 X", b"gone", {"error": WINDOW}, "UNAVAILABLE(OUTAGE)"),
        ("500 X", b'{"code": "NO"}', {"absent": {"status": 500, "at": "code", "equals": "NO"}}, "NO_RECORD"),
        ("500 X", _GOOD, {"success": {"status": 500, "at": "code", "equals": "0"}}, "MATCH"),
        ("500 X", _GOOD, {"absent": {"status": 500, "at": "code", "equals": "NO"}}, "UNAVAILABLE(OUTAGE)"),
        ("429 X", b"{}", {}, "UNAVAILABLE(OVERLOAD)"),
        ("429 X", b"{}", {"error": {"status": 429, "cause": "WINDOW"}}, "UNAVAILABLE(WINDOW)"),
        ("429 X", b"{}", {"refused": {"status": 429, "rule": "no more today"}}, "REFUSED"),
        ("302 X", b"", {}, "UNAVAILABLE(GARBLED)"),
        ("206 X", _GOOD, {}, "UNAVAILABLE(GARBLED)"),
        ("206 X", b'{"code": "NO_DATA"}', {}, "UNAVAILABLE(GARBLED)"),
        ("206 X", _GOOD, {"success": {"status": 206, "at": "code", "equals": "0"}}, "MATCH"),
        ("302 X", b"", {"absent": {"status": 302}}, "NO_RECORD"),
        ("302 X", b"", {"absent": {"status": 301}}, "UNAVAILABLE(GARBLED)"),
    ],
)
async def test_a_status_of_any_kind_means_what_is_declared_of_it_and_else_what_it_says(
    status: str, body: bytes, more: dict[str, object], expected: str
) -> None:
    async with raw_service(f"HTTP/1.1 {status}\r\nLocation: /elsewhere\r\n", body) as (url, requests):
        source = connect("s", http_stanza(url, resilience={"retries": 0}, **more), now=now)
        [evidence] = await source.check_many([claim()], question())
        await source.aclose()
    cause = evidence.outcome.cause
    assert (evidence.outcome.kind.value if cause is None else f"UNAVAILABLE({cause.value})") == expected
    assert len(requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": "E-106", ' + _GOOD[1:],
        _GOOD[:-1] + b', "code": "NO_DATA"}',
        _GOOD[:-1] + b', "c\\u006fde": "NO_DATA"}',
        _GOOD.replace(b'"hyzk":', b'"hyzk": "2", "hyzk":'),
        _GOOD[:-1] + b', "x": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    ],
)
async def test_an_answer_that_says_two_things_says_nothing(body: bytes) -> None:
    async with raw_service("HTTP/1.1 200 OK\r\n", body) as (url, _):
        source = connect("s", http_stanza(url), now=now)
        [evidence] = await source.check_many([claim(status="married")], question())
        await source.aclose()
    assert evidence.outcome.cause is Cause.GARBLED


async def test_a_probe_that_is_not_let_in_is_ill(server: FaultServer) -> None:
    server.misbehave(Misbehaviour.UNAUTHORISED)
    source = connect("civil-affairs", http_stanza(server.url, probe="/health"), now=now)
    health = await source.probe()
    assert (health.ok, health.detail) == (False, "HTTP 401")
    await source.aclose()


async def test_a_name_full_of_json_stays_a_name(server: FaultServer) -> None:
    evil = '","role":"admin","x":"{secret.key}'
    subject = type(ZHANG)(id_type="resident-id", id_number=ZHANG.id_number, name=evil)
    await outcome(server, claim(subject))
    sent = json.loads(server.requests[0].split(b"\r\n\r\n", 1)[1])
    assert sent["params"] == {"idcard": ZHANG.id_number, "name": evil}
    assert sent["operator"] == "clerk-7"


async def test_some_claims_failing_do_not_spoil_the_others(server: FaultServer) -> None:
    source = connect("civil-affairs", http_stanza(server.url), now=now)
    found = await source.check_many([claim(status="married"), claim(LI, status="married")], question())
    assert [one.outcome.kind for one in found] == [Kind.MATCH, Kind.UNAVAILABLE]
    await source.aclose()


MATCHING: dict[str, object] = {
    "mode": "match",
    "json": {"id": "{subject.id_number}", "name": "{subject.name}", "status": "{expected.status}"},
    "records": "data",
    "subject_echo": None,
    "name": None,
    "attributes": None,
    "values": None,
    "codes": {"subject.id_number": "GMSFHM_PPDDM", "subject.name": "XM_PPDDM", "status": "HYZK_PPDDM"},
    "match": ["1"],
    "mismatch": ["0"],
    "not_held": ["2"],
    "inactive": {"column": "SWBS", "values": ["1"], "active": ["0"]},
}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (("1", "1", "1", "0"), "MATCH"),
        (("1", "1", "0", "0"), "MISMATCH"),
        (("1", "0", "1", "0"), "MISMATCH(name)"),
        (("0", "0", "0", "0"), "MISMATCH(name)"),
        (("1", "1", "2", "0"), "NOT_HELD"),
        (("1", "1", "1", "1"), "SUBJECT_INACTIVE"),
        (("1", "1", "0", "1"), "SUBJECT_INACTIVE"),
        (("1", "1", "1", "2"), "UNAVAILABLE(GARBLED)"),
        (("1", "1", "1", None), "UNAVAILABLE(GARBLED)"),
        (("1", "0", "1", "2"), "MISMATCH(name)"),
        (("1", "0", "1", "1"), "MISMATCH(name)"),
        (("1", "2", "1", "1"), "NOT_HELD"),
        (("1", "2", "0", "0"), "NOT_HELD"),
        (("1", "1", "9", "1"), "UNAVAILABLE(GARBLED)"),
        (("1", "1", "9", "0"), "UNAVAILABLE(GARBLED)"),
        (("1", None, "1", "0"), "UNAVAILABLE(GARBLED)"),
        (("0", "x", "1", "0"), "UNAVAILABLE(GARBLED)"),
        (("1", True, "1", "0"), "UNAVAILABLE(GARBLED)"),
    ],
)
async def test_verdict_codes_mean_what_the_stanza_says_and_nothing_else(
    server: FaultServer, codes: tuple[object, ...], expected: str
) -> None:
    names = ("GMSFHM_PPDDM", "XM_PPDDM", "HYZK_PPDDM", "SWBS")
    server.answer({"code": "0", "data": dict(zip(names, codes, strict=True))})
    assert await outcome(server, claim(status="married"), **MATCHING) == expected


@pytest.mark.parametrize(("as_of", "expected"), [(fresh(1), "MATCH"), (fresh(-1), "UNAVAILABLE(GARBLED)")])
async def test_codes_of_data_of_the_future_mean_nothing(server: FaultServer, as_of: str, expected: str) -> None:
    server.answer(
        {"code": "0", "data": {"GMSFHM_PPDDM": "1", "XM_PPDDM": "1", "HYZK_PPDDM": "1", "SWBS": "0", "at": as_of}}
    )
    assert await outcome(server, claim(status="married"), **MATCHING, as_of="at") == expected


async def test_what_the_request_needs_and_the_claim_lacks_is_asked_for(server: FaultServer) -> None:
    source = connect("civil-affairs", http_stanza(server.url, **MATCHING), now=now)
    [evidence] = await source.check_many([claim()], question())
    assert (evidence.outcome.kind, evidence.outcome.attribute) == (Kind.NEEDS_ATTRIBUTE, "status")
    assert server.asked == 0
    await source.aclose()


async def test_a_secret_comes_from_its_file_and_goes_into_the_header(server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    more = {"secrets": {"app_key_file": str(tmp_path / "key")}, "headers": {"X-Key": "{secret.app_key}"}}
    assert await outcome(server, claim(status="married"), **more) == "MATCH"
    assert b"X-Key: s3cret\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"success": None}, "nothing tells an answer from an error"),
        ({"subject_echo": None}, "names nobody proves nothing"),
        ({"json": {"a": "b"}}, "names nobody"),
        ({"json": {"a": "{subject.age}"}}, "nothing fills {subject.age}"),
        ({"path": "/q/{subject.id_number}"}, "access logs"),
        ({"records": "data..x"}, "JMESPath"),
        ({"refused": {"at": "code", "equals": "1"}}, "rule"),
        ({"error": {"at": "code", "equals": "1", "cause": "BOREDOM"}}, "cause"),
        ({"absent": {}}, "status"),
        ({"absent": {"at": "code"}}, "equals"),
        ({"mode": "guess"}, "mode"),
        ({"mode": "match"}, "codes"),
        ({**MATCHING, "json": {"id": "{subject.id_number}"}}, "never sends {expected.status}"),
        ({**MATCHING, "mismatch": ["1"]}, "second meaning"),
        ({"freshness": "1d"}, "date of the data"),
        ({"headers": {"X-Key": "{secret.none}"}}, "nothing fills {secret.none}"),
        ({"secrets": {"app_key": "in the open"}}, "_file"),
        ({"omitted_when_empty": "hyzk"}, "must be a list"),
        ({"omitted_when_empty": ["djrq", "zt"]}, "'zt' is no column that is read"),
        ({"omitted_when_empty": ["status"]}, "'status' is no column"),
        ({"omitted_when_empty": ["idcard"]}, "'idcard' is no column"),
        ({**MATCHING, "omitted_when_empty": ["XM_PPDDM"]}, "'XM_PPDDM' is no column"),
        ({"ca_file": "/no/such/file"}, "ca_file"),
        ({"client_cert_file": "/no/such/file"}, "client_cert_file"),
    ],
)
def test_a_wrong_stanza_is_refused(more: dict[str, object], said: str) -> None:
    with pytest.raises(StanzaError) as refused:
        connect("s", http_stanza("https://example.invalid", **more), now=now)
    assert any(said in mistake for mistake in refused.value.mistakes), refused.value.mistakes


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("ftp://example.invalid", "must begin"),
        ("http://[::1", "is no address"),
        ("https://example.invalid:port", "is no address"),
        ("https://example.invalid:99999", "is no address"),
        ("https:///path", "is no address"),
        ("https://example.invalid\0", "is no address"),
        ("https://me:hunter2@example.invalid", "`secrets`"),
        ("https://hunter2@example.invalid", "`secrets`"),
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused_and_not_repeated(url: str, mistake: str) -> None:
    with pytest.raises(StanzaError, match=mistake) as refused:
        connect("s", http_stanza(url), now=now)
    assert "hunter2" not in str(refused.value)


def _packed(octets: bytes, times: int) -> bytes:
    return octets if not times else gzip.compress(_packed(octets, times - 1))


@pytest.mark.parametrize(
    ("coding", "body", "expected"),
    [
        ("identity", _packed(_GOOD, 0), "MATCH"),
        ("gzip", _packed(_GOOD, 1), "MATCH"),
        ("GZIP", _packed(_GOOD, 1), "MATCH"),
        ("gzip", _packed(_GOOD + bytes(4096 - len(_GOOD) + 1), 1), "UNAVAILABLE(GARBLED)"),
        ("gzip", _packed(bytes(2**24), 1), "UNAVAILABLE(GARBLED)"),
        ("gzip", _packed(_GOOD, 1)[:-1], "UNAVAILABLE(GARBLED)"),
        ("gzip", _packed(_GOOD, 1) + _packed(_GOOD, 1), "UNAVAILABLE(GARBLED)"),
        ("gzip", _packed(_GOOD, 2), "UNAVAILABLE(GARBLED)"),
        ("gzip", _GOOD, "UNAVAILABLE(GARBLED)"),
        ("gzip, gzip", _packed(_GOOD, 2), "UNAVAILABLE(GARBLED)"),
        ("gzip\r\nContent-Encoding: gzip", _packed(_GOOD, 2), "UNAVAILABLE(GARBLED)"),
        ("deflate", zlib.compress(_GOOD), "UNAVAILABLE(GARBLED)"),
        ("br", _GOOD, "UNAVAILABLE(GARBLED)"),
    ],
)
async def test_a_compressed_answer_is_unpacked_once_and_within_the_bound(
    coding: str, body: bytes, expected: str
) -> None:
    async with raw_service(f"HTTP/1.1 200 X\r\nContent-Encoding: {coding}\r\n", body) as (url, requests):
        source = connect("civil-affairs", http_stanza(url), now=now)
        [found] = await source.check_many([claim(status="married")], question())
        await source.aclose()
    cause = found.outcome.cause
    assert (found.outcome.kind.value if cause is None else f"UNAVAILABLE({cause.value})") == expected
    assert b"accept-encoding: identity\r\n" in requests[0].lower()


async def test_a_bomb_costs_neither_time_nor_memory(server: FaultServer) -> None:
    """Unpacked, the answer has sixteen megabytes; what is reserved stays below half of that."""
    server.misbehave(Misbehaviour.BOMB)
    assert await outcome(server, claim(status="married")) == "UNAVAILABLE(GARBLED)"
    tracemalloc.start()
    try:
        assert await outcome(server, claim(status="married")) == "UNAVAILABLE(GARBLED)"
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()
