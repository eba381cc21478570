"""What kept an answer from being used is told in words of ours and of the stanza, never in those of the answer."""

import json

import pytest

from connectors.catalog import connect
from connectors.outcome import Cause, unavailable
from tests.connectors.people import GOOD, LI, PERSONAL, ZHANG, claim, http_stanza, now, question
from tests.connectors.test_http import MATCHING, raw_service

RECORD: dict[str, object] = GOOD["data"]["result"][0]  # type: ignore[index]
MARRIED = claim(status="married")
JSON = "application/json"


def _of(*records: object, **more: object) -> bytes:
    return json.dumps({"code": "0", "data": {"result": records}, **more}, ensure_ascii=False).encode()


async def because(body: bytes, status: int, media: str, /, **more: object) -> str:
    async with raw_service(f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\n", body) as (url, _):
        source = connect("s", http_stanza(url, answer_timeout="10s", **more), now=now)
        [found] = await source.check_many([MARRIED], question())
        await source.aclose()
    assert found.outcome.kind.value == "UNAVAILABLE"
    assert found.outcome.why not in repr(found)
    return found.outcome.why


@pytest.mark.parametrize(
    ("body", "status", "media", "more", "said"),
    [
        (b"not found", 404, "text/plain", {}, "HTTP 404, text/plain: an answer that is not JSON"),
        (b"<html>", 200, "text/html; charset=gbk", {}, "HTTP 200, text/html: an answer that is not JSON"),
        (b"x", 200, f"x/{ZHANG.id_number}", {}, "HTTP 200, no usual media type: an answer that is not JSON"),
        (b"", 200, JSON, {}, "HTTP 200, application/json: an empty answer"),
        (_of(RECORD).decode().encode("gbk"), 200, JSON, {}, "not UTF-8, but may be GBK or GB 18030"),
        (b"\xef\xbb\xbf" + _of(RECORD), 200, JSON, {}, "begins with a byte order mark (BOM)"),
        (_of({**RECORD, "idcard": 2.30103e17}), 200, JSON, {}, "`subject_echo`: a text is expected, not float"),
        (b"\xff\xff", 200, JSON, {}, "an answer that is not UTF-8"),
        (b"{}", 404, JSON, {}, "HTTP 404, application/json: no declared sign; `code` finds nothing"),
        (b'{"code": 0}', 200, JSON, {}, "`code` finds a whole number, where `equals` is a text"),
        (_of(), 200, JSON, {"success": {"at": "code", "equals": 0}}, "finds a text, where `equals` is a whole number"),
        (b'{"code": "230103198507041236"}', 200, JSON, {}, "no declared sign; `code` finds another value"),
        (_of(), 404, JSON, {}, "`code` finds it, under another status"),
        (b"", 502, JSON, {}, "HTTP 502"),
        (b"", 302, JSON, {}, "HTTP 302"),
        (_of(RECORD), 200, JSON, {"records": "data.list"}, "`records` finds nothing"),
        (_of(RECORD), 200, JSON, {"records": "code"}, "`records` finds no record, nor a list of them"),
        (_of(), 200, JSON, {}, "`records` finds an empty list, and `empty_is_absent` is not declared"),
        (_of(RECORD, total=2), 200, JSON, {"total": "total"}, "`total` is not the number"),
        (_of({**RECORD, "idcard": LI.id_number}), 200, JSON, {}, "`subject_echo` finds nothing in a record, or"),
        (_of(RECORD), 200, JSON, {"attributes": {"status": "zt"}, "inactive": None}, "a record has no key zt"),
        (_of({**RECORD, "hyzk": "王"}), 200, JSON, {}, "`values.status`: a code that is not in the code table"),
        (_of({**RECORD, "xm": ["张小明"]}), 200, JSON, {}, "`name`: a text is expected, not list"),
        (_of({**RECORD, "xm": "鐜嬭姵"}), 200, JSON, {}, "`name`: "),
        (_of({**RECORD, "t": "2099-01-01"}), 200, JSON, {"as_of": "t"}, "a date of data in the future"),
        (_of({**RECORD, "t": "soon"}), 200, JSON, {"as_of": "t"}, "`as_of`: a timestamp that is not ISO 8601"),
        (b'{"code": "0", "data": {"SWBS": "0"}}', 200, JSON, MATCHING, "`codes.subject.id_number` finds nothing"),
        (
            b'{"code": "0", "data": {"SWBS": "0", "GMSFHM_PPDDM": "1", "XM_PPDDM": "1", "HYZK_PPDDM": "7"}}',
            200, JSON, MATCHING, "`codes.status` finds a code that no key gives a meaning",
        ),
    ],
)  # fmt: skip
async def test_it_is_named_what_to_look_at_and_nothing_of_the_answer_is_repeated(
    body: bytes, status: int, media: str, more: dict[str, object], said: str
) -> None:
    told = await because(body, status, media, **more)
    assert said in told
    assert not any(personal in told for personal in (*PERSONAL, "王", "鐜嬭姵", "soon", "2099"))


def test_outcomes_that_differ_in_the_reason_only_are_one() -> None:
    one, other = unavailable(Cause.GARBLED, why="`records` finds nothing"), unavailable(Cause.GARBLED)
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)
