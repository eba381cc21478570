"""XML and SOAP services: how answers are read, how requests are written, and what becomes of each."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.catalog import connect
from connectors.compare import Unreadable
from connectors.connector import Claim, Subject
from connectors.errors import StanzaError
from connectors.markup import DEEPEST, read_xml, read_xml_text
from connectors.outcome import Kind
from tests.connectors.people import LI, ZHANG, claim, now, question

# --- reading ----------------------------------------------------------------------------------------------------------

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@pytest.mark.parametrize(
    ("document", "read"),
    [
        ("<a> x </a>", "x"),
        ("<a>x<!-- one --><![CDATA[<y>]]>&amp;&#x5f20;</a>", "x<y>&张"),
        ("<a/>", ""),
        ("<a></a>", ""),
        ("<a>\n  \n</a>", ""),
        (f"<a {XSI} xsi:nil='true'/>", None),
        (f"<a {XSI} xsi:nil='1' n='2'> </a>", None),
        (f"<a {XSI} xsi:nil='false'>x</a>", "x"),
        ("<a>\n <b>1</b>\n <c>2</c>\n</a>", {"b": "1", "c": "2"}),
        ("<a><b>1</b><c/><b>2</b></a>", {"b": ["1", "2"], "c": ""}),
        ("<a><b><c>1</c></b></a>", {"b": {"c": "1"}}),
        ("<a n='1'>x</a>", {"@n": "1", "#text": "x"}),
        ("<a n='1'/>", {"@n": "1", "#text": ""}),
        ("<a n='1'><b>2</b></a>", {"@n": "1", "b": "2"}),
        (f"<a {XSI} xmlns:x='urn:x' xsi:type='xsd:string' x:n='1' xml:lang='zh'>x</a>", "x"),
        ("<p:a xmlns:p='urn:p' xmlns='urn:q'><p:b>1</p:b><c>2</c></p:a>", {"b": "1", "c": "2"}),
    ],
)
def test_an_element_has_one_form(document: str, read: object) -> None:
    assert read_xml(document.encode()) == {"a": read} == read_xml_text(document)


@pytest.mark.parametrize("name", ["GBK", "gb2312", "GB18030", "x-gbk"])
def test_the_declared_character_set_counts(name: str) -> None:
    document = f'<?xml version="1.0" encoding="{name}"?><a>张小明</a>'
    assert read_xml(document.encode("gb18030")) == {"a": "张小明"}
    assert read_xml_text(document) == {"a": "张小明"}


@pytest.mark.parametrize("name", ["UTF-8", "utf8"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_utf_8_may_begin_with_its_mark(name: str, mark: bytes) -> None:
    assert read_xml(mark + f"<?xml version='1.0' encoding='{name}'?><a>张</a>".encode()) == {"a": "张"}
    assert read_xml(mark + "<a>张</a>".encode()) == {"a": "张"}


def test_latin_is_taken_where_only_ascii_came() -> None:
    head = b'<?xml version="1.0" encoding="ISO-8859-1"?>'
    assert read_xml(head + b"<a>&#24352;</a>") == {"a": "张"}
    with pytest.raises(Unreadable, match="character set"):
        read_xml(head + "<a>张</a>".encode("gbk"))


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "an empty answer"),
        (b"{}", "not XML"),
        (b"<a>", "not XML"),
        (b"<a></b>", "not XML"),
        (b"<a/><a/>", "not XML"),
        (b"<a/>x", "not XML"),
        (b"<a b='1' b='2'/>", "not XML"),
        (b"<a>&nbsp;</a>", "not XML"),
        (b"<a>\x01</a>", "not XML"),
        (b"<p:a/>", "not XML"),
        (b"\r\n<?xml version='1.0'?><a/>", "not XML"),
        ("<a>张</a>".encode("gbk"), "character set that it declares"),
        (b"<?xml version='1.0' encoding='GBK'?><a>\xff</a>", "character set that it declares"),
        ("<a>张</a>".encode("utf-16"), "character set"),
        ("<?xml version='1.0' encoding='big5'?><a>張</a>".encode("big5"), "another character set"),
        (b"\xef\xbb\xbf<?xml version='1.0' encoding='GBK'?><a/>", "another character set"),
        (b"<!DOCTYPE a><a/>", "document type"),
        (b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "document type"),
        (b"<!DOCTYPE a [<!ENTITY x 'xxxxxxxxxx'><!ENTITY y '&x;&x;&x;'>]><a>&y;</a>", "document type"),
        (b"<a>x<b/></a>", "text beside elements"),
        (b"<a><b/>x</a>", "text beside elements"),
        (f"<a {XSI} xsi:nil='true'>x</a>".encode(), "null"),
        (f"<a {XSI} xsi:nil='true'><b/></a>".encode(), "null"),
        (b"<a>" * (DEEPEST + 1) + b"</a>" * (DEEPEST + 1), "in each other"),
    ],
)
def test_what_is_not_clear_is_not_read(octets: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as refused:
        read_xml(octets)
    assert "张" not in str(refused.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(octets: bytes) -> None:
    for document in (octets, b"<a>" + octets + b"</a>"):
        try:
            read = read_xml(document)
        except Unreadable:
            continue
        assert isinstance(read, dict)
        assert len(read) == 1


_SAID = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20).map(
    lambda said: said.strip(" \t\r\n")
)
_NAMED = st.from_regex("[a-z][a-z0-9]{0,3}", fullmatch=True)
_TREES = st.recursive(
    _SAID,
    lambda inner: st.dictionaries(_NAMED, inner | st.lists(inner, min_size=2, max_size=3), min_size=1),
    max_leaves=8,
)


def written(name: str, held: object) -> list[ElementTree.Element]:
    if isinstance(held, list):
        return [element for one in held for element in written(name, one)]
    element = ElementTree.Element(name)
    if isinstance(held, dict):
        element.extend([one for key, value in held.items() for one in written(key, value)])
    else:
        element.text = str(held)
    return [element]


@given(_NAMED, _TREES)
def test_what_another_writer_writes_is_read_back(name: str, held: object) -> None:
    [element] = written(name, held)
    for charset in ("utf-8", "gb18030"):
        assert read_xml(ElementTree.tostring(element, charset, xml_declaration=True)) == {name: held}


# --- a SOAP service ---------------------------------------------------------------------------------------------------

ENVELOPE = """
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="urn:marriage">
  <soapenv:Body><m:query operator="{context.operator}">
    <number>{subject.id_number}</number><name>{subject.name}</name>
    <inner><![CDATA[<q><n a='{subject.id_number}'>{subject.name}</n></q>]]></inner>
    <coded>{inner.coded}</coded><tree>{inner.tree}</tree>
  </m:query></soapenv:Body>
</soapenv:Envelope>
"""
INNER = {
    "coded": {"xml": "<q><name>{subject.name}</name></q>", "coding": "base64"},
    "tree": {"json": {"name": "{subject.name}", "list": [1, "{subject.id_number}"]}},
}
ROW = "<row><number>{number}</number><name>{name}</name><status>{status}</status><state>0</state></row>"
ROWS = "Envelope.Body.queryResponse.return.rows"


def soap(inside: str, charset: str = "UTF-8") -> bytes:
    body = f"<s:Body>{inside}</s:Body>"
    head = f'<?xml version="1.0" encoding="{charset}"?>'
    return f'{head}<s:Envelope xmlns:s="urn:s">{body}</s:Envelope>'.encode("utf-8" if charset == "UTF-8" else "gb18030")


def row(subject: Subject = ZHANG, status: str = "1") -> str:
    return ROW.format(number=subject.id_number, name=subject.name, status=status)


def answer(inside: str, code: str = "0", charset: str = "UTF-8") -> bytes:
    told = f"<m:queryResponse xmlns:m='urn:m'><return><code>{code}</code>{inside}</return></m:queryResponse>"
    return soap(told, charset)


def stanza(url: str, /, **more: object) -> dict[str, object]:
    place = ROWS.removesuffix(".rows")
    fact: dict[str, object] = {
        "path": "/ws",
        "headers": {"SOAPAction": "urn:query"},
        "xml": ENVELOPE,
        "inner": INNER,
        "success": {"at": f"{place}.code", "equals": "0"},
        "absent": {"at": f"{place}.code", "equals": "NO_DATA"},
        "refused": {
            "status": 500,
            "at": "Envelope.Body.Fault.faultcode",
            "equals": "s:Client",
            "rule": "NOT_AUTHORISED",
        },
        "error": {"status": 500, "at": "Envelope.Body.Fault.faultcode", "equals": "s:Server", "cause": "WINDOW"},
        "records": ROWS,
        "record": "row",
        "subject_echo": "number",
        "name": "name",
        "attributes": {"status": "status"},
        "values": {"status": {"1": "married", "2": "divorced"}},
        "inactive": {"column": "state", "values": ["1"], "active": ["0"]},
        **more,
    }
    top = {
        "kind": "http",
        "format": fact.pop("format", "xml"),
        "department": "民政厅",
        "url": url,
        "answer_timeout": "5s",
    }
    facts = {"marriage-registration": {key: value for key, value in fact.items() if value is not None}}
    return {**top, "resilience": {"retries": 0}, "facts": facts}


class Service:
    """Answers every request alike, and keeps what came."""

    def __init__(self) -> None:
        self.status, self.answer = 200, b""
        self.head, self.body = b"", b""
        self.url = ""

    async def serve(self, reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        self.head = await reading.readuntil(b"\r\n\r\n")
        length = int(self.head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        self.body = await reading.readexactly(length)
        head = f"HTTP/1.1 {self.status} X\r\nContent-Type: text/xml\r\nContent-Length: {len(self.answer)}\r\n"
        writing.write(f"{head}Connection: close\r\n\r\n".encode() + self.answer)
        writing.close()

    async def outcome(self, asked: Claim, /, **more: object) -> str:
        source = connect("civil-affairs", stanza(self.url, **more), now=now)
        [evidence] = await source.check_many([asked], question())
        await source.aclose()
        outcome = evidence.outcome
        told = "name" if outcome.other_identity else outcome.rule or (outcome.cause.value if outcome.cause else "")
        return f"{outcome.kind.value}({told})" if told else outcome.kind.value


@asynccontextmanager
async def _serving() -> AsyncIterator[Service]:
    service = Service()
    async with await asyncio.start_server(service.serve, "127.0.0.1", 0) as listening:
        service.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with _serving() as started:
        yield started


FAULT = "<s:Fault><faultcode>s:{code}</faultcode><faultstring>张小明 230103198507041236</faultstring></s:Fault>"
GARBLED = "UNAVAILABLE(GARBLED)"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, answer(f"<rows>{row()}</rows>"), "MATCH"),
        (200, answer(f"<rows>{row()}</rows>", charset="GBK"), "MATCH"),
        (200, answer(f"<rows n='1'>{row()}</rows>"), "MATCH"),
        (200, answer(f"<rows>{row(status='2')}</rows>"), "MISMATCH"),
        (200, answer(f"<rows>{row(status='7')}</rows>"), GARBLED),
        (200, answer(f"<rows>{row(status='')}</rows>"), "NOT_HELD"),
        (200, answer(f"<rows>{row()}{row(status='2')}</rows>"), "AMBIGUOUS"),
        (200, answer(f"<rows>{row(LI)}</rows>"), GARBLED),
        (200, answer(f"<rows>{row()}{row(LI)}</rows>"), GARBLED),
        (200, answer(f"<rows>{row().replace('张小明', '王二')}</rows>"), "MISMATCH(name)"),
        (200, answer(f"<rows>{row().replace('<state>0', '<state>1')}</rows>"), "SUBJECT_INACTIVE"),
        (200, answer(f"<rows>{row().replace('status', 'stat')}</rows>"), GARBLED),
        (200, answer("<rows/>"), GARBLED),
        (200, answer(""), GARBLED),
        (200, answer("<rows><row/></rows>"), GARBLED),
        (200, answer(f"<rows>{row()}<more/></rows>"), GARBLED),
        (200, answer("<rows>没有数据</rows>"), GARBLED),
        (200, answer("<rows n='0'>没有数据</rows>"), GARBLED),
        (200, answer(f"<rows>{row()}</rows><rows>{row()}</rows>"), GARBLED),
        (200, answer("", code="NO_DATA"), "NO_RECORD"),
        (200, answer("<rows/>", code="NO_DATA"), "NO_RECORD"),
        (200, answer(f"<rows>{row()}</rows>", code="NO_DATA"), GARBLED),
        (200, answer("<rows/>", code="1"), GARBLED),
        (200, answer(f"<code>0</code><rows>{row()}</rows>"), GARBLED),
        (500, soap(FAULT.format(code="Server")), "UNAVAILABLE(WINDOW)"),
        (500, soap(FAULT.format(code="Client")), "REFUSED(NOT_AUTHORISED)"),
        (500, soap(FAULT.format(code="Other")), "UNAVAILABLE(OUTAGE)"),
        (200, soap(FAULT.format(code="Server")), GARBLED),
        (200, b"<html><body>login</body></html>", GARBLED),
        (200, b"<!DOCTYPE html><html></html>", GARBLED),
        (200, b'{"code": "0"}', GARBLED),
        (200, answer(f"<rows>{row()}</rows>").replace(b"UTF-8", b"GBK"), GARBLED),
        (200, answer(f"<rows>{row()}</rows>")[:-5], GARBLED),
    ],
)
async def test_only_declared_signs_of_a_soap_answer_mean_anything(
    service: Service, status: int, body: bytes, expected: str, discreet: list[str]
) -> None:
    service.status, service.answer = status, body
    assert await service.outcome(claim(status="married")) == expected


@pytest.mark.parametrize(
    ("inside", "expected"),
    [("<rows/>", "NO_RECORD"), ("<rows>\n</rows>", "NO_RECORD"), ("<rows n='0'/>", "NO_RECORD"), ("", GARBLED),
     ("<rows><other/></rows>", GARBLED), ("<rows>0</rows>", GARBLED)],
)  # fmt: skip
async def test_an_empty_list_is_an_element_around_nothing_and_never_a_missing_one(
    service: Service, inside: str, expected: str
) -> None:
    service.answer = answer(inside)
    assert await service.outcome(claim(status="married"), empty_is_absent=True) == expected


async def test_pages_are_counted_by_a_text(service: Service) -> None:
    total = f"{ROWS.removesuffix('.rows')}.total"
    for count, expected in (("1", "MATCH"), ("2", GARBLED), ("x", GARBLED)):
        service.answer = answer(f"<total>{count}</total><rows>{row()}</rows>")
        assert await service.outcome(claim(status="married"), total=total) == expected


async def test_codes_of_a_match_service_are_read_from_xml(service: Service) -> None:
    asked: dict[str, object] = {
        "mode": "match", "subject_echo": None, "name": None, "attributes": None, "values": None, "inactive": None,
        "xml": "<q><n>{subject.id_number}</n><s>{expected.status}</s></q>", "inner": None, "record": None,
        "success": {"at": "PACKAGE.HEAD.FHDM", "equals": "10"}, "absent": None, "refused": None, "error": None,
        "records": "PACKAGE.DATA.RECORD", "codes": {"subject.id_number": "GMSFHM_PPDDM", "status": "HYZK_PPDDM"},
        "match": ["1"], "mismatch": ["0"],
    }  # fmt: skip
    form = "<PACKAGE><HEAD><FHDM>10</FHDM></HEAD><DATA>{}</DATA></PACKAGE>"
    record = "<RECORD><GMSFHM_PPDDM>{}</GMSFHM_PPDDM><HYZK_PPDDM>{}</HYZK_PPDDM></RECORD>"
    for codes, expected in (
        (("1", "1"), "MATCH"),
        (("1", "0"), "MISMATCH"),
        (("0", "1"), "MISMATCH(name)"),
        (("1", ""), GARBLED),
    ):
        service.answer = form.format(record.format(*codes)).encode()
        assert await service.outcome(claim(status="married"), **asked) == expected
    service.answer = form.format(record.format("1", "1") * 2).encode()
    assert await service.outcome(claim(status="married"), **asked) == "AMBIGUOUS"


# --- documents within answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["text", "base64"])
@pytest.mark.parametrize("form", ["xml", "json"])
async def test_a_document_within_an_answer_is_opened_in_its_place(service: Service, form: str, coding: str) -> None:
    place = "Envelope.Body.queryResponse.return"
    rows = [{"number": ZHANG.id_number, "name": ZHANG.name, "status": "1", "state": "0"}]
    inner = f'<?xml version="1.0" encoding="GBK"?><r><code>0</code><rows>{row()}</rows></r>'
    if form == "json":
        inner = json.dumps({"code": 0, "rows": rows}, ensure_ascii=False)
    octets = inner.encode("gbk" if form == "xml" else "utf-8")
    told = (
        base64.encodebytes(octets).decode() if coding == "base64" else inner.replace("&", "&amp;").replace("<", "&lt;")
    )
    service.answer = soap(f"<queryResponse><return>{told}</return></queryResponse>")
    within = f"{place}.r" if form == "xml" else place
    more: dict[str, object] = {
        "unwrap": {"at": place, "format": form, "coding": coding},
        "success": {"at": f"{within}.code", "equals": "0" if form == "xml" else 0},
        "absent": None,
        "records": f"{within}.rows",
        "record": "row" if form == "xml" else None,
    }
    assert await service.outcome(claim(status="married"), **more) == "MATCH"
    service.status, service.answer = 500, soap(FAULT.format(code="Server"))
    assert await service.outcome(claim(status="married"), **more) == "UNAVAILABLE(WINDOW)"


@pytest.mark.parametrize("told", ["", "x", "<a", "<a/>", "1", "eA==", "<b/><c/>"])
@pytest.mark.parametrize("coding", ["text", "base64"])
async def test_what_cannot_be_opened_is_garbled(service: Service, told: str, coding: str) -> None:
    place = "Envelope.Body.queryResponse.return"
    escaped = told if told.startswith("<b/>") else told.replace("<", "&lt;")
    service.answer = soap(f"<queryResponse><return>{escaped}</return></queryResponse>")
    unwrap = {"at": place, "format": "xml", "coding": coding}
    assert await service.outcome(claim(status="married"), unwrap=unwrap) == GARBLED


async def test_json_written_as_a_text_within_json_is_opened(service: Service) -> None:
    record = {"number": ZHANG.id_number, "name": ZHANG.name, "status": "1", "state": "0"}
    service.answer = json.dumps({"code": 0, "data": json.dumps({"rows": [record]})}).encode()
    more: dict[str, object] = {
        "format": "json", "unwrap": {"at": "data"}, "success": {"at": "code", "equals": 0}, "absent": None,
        "refused": None, "error": None, "records": "data.rows", "record": None, "xml": None,
        "form": {"biz_content": "{inner.tree}", "version": "1"}, "inner": {"tree": INNER["tree"]},
    }  # fmt: skip
    assert await service.outcome(claim(status="married"), **more) == "MATCH"
    assert b"application/x-www-form-urlencoded" in service.head
    assert service.body.startswith(b"biz_content=%7B%22name%22%3A%22%E5%BC%A0")


# --- requests ---------------------------------------------------------------------------------------------------------


def asked_about(document: str) -> dict[str, str]:
    """Read a request as another reader does: by its places."""
    query = ElementTree.fromstring(document).find(".//{urn:marriage}query")
    assert query is not None
    inner = ElementTree.fromstring(query.findtext("inner", "")).find("n")
    coded = ElementTree.fromstring(base64.b64decode(query.findtext("coded", "")))
    tree = json.loads(query.findtext("tree", ""))
    assert inner is not None
    assert [element.tag for element in query] == ["number", "name", "inner", "coded", "tree"]
    return {
        "name": query.findtext("name", ""), "inner": inner.text or "", "coded": coded.findtext("name", ""),
        "tree": tree["name"], "operator": query.attrib["operator"], "number": inner.attrib["a"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["张小明", "O'Brien \"&\" <b>", "]]><x/>", "</name><name>李", "&lt;/name&gt;", "{subject.id_number}",
     "\U00020000·\u3007", "a\tb\nc\rd", " x ", '"}, "a": "'],
)  # fmt: skip
async def test_a_value_reaches_its_place_whatever_it_holds(service: Service, name: str) -> None:
    service.answer = answer("", code="NO_DATA")
    for charset in ("UTF-8", "GBK"):
        declared = f'<?xml version="1.0" encoding="{charset}"?>{ENVELOPE.strip()}'
        said = Subject(id_type="resident-id", id_number=ZHANG.id_number, name=name)
        source = connect("civil-affairs", stanza(service.url, xml=declared), now=now)
        await source.check_many([claim(said, status="married")], question(operator=name))
        await source.aclose()
        head, _, document = service.body.decode(charset).partition("?>")
        assert charset in head
        assert asked_about(document) == {
            "name": name, "inner": name, "coded": name, "tree": name, "operator": name, "number": ZHANG.id_number,
        }  # fmt: skip
        assert f"content-type: text/xml; charset={charset.lower()}\r\n".encode() in service.head.lower()
        assert b"soapaction: urn:query\r\n" in service.head.lower()


async def test_a_media_type_of_the_stanza_stands(service: Service) -> None:
    service.answer = answer("", code="NO_DATA")
    headers = {"content-type": "application/soap+xml; charset=utf-8"}
    assert await service.outcome(claim(status="married"), headers=headers) == "NO_RECORD"
    assert service.head.lower().count(b"content-type") == 1
    assert b"application/soap+xml" in service.head


@pytest.mark.parametrize("name", ["张\x00", "张\x1b", "\ud800", "张\uffff"])
async def test_what_no_xml_holds_is_not_sent(service: Service, name: str) -> None:
    said = Subject(id_type="resident-id", id_number=ZHANG.id_number, name=name)
    assert await service.outcome(claim(said, status="married")) == GARBLED
    assert service.body == b""


async def test_a_number_may_stand_in_a_text_with_a_structure_of_its_own_and_is_only_ever_a_number(
    service: Service,
) -> None:
    service.answer = answer("", code="NO_DATA")
    xml, inner = "<a>{inner.form}<b>SFZH='{subject.id_number}'</b></a>", {"form": {"form": {"n": "{subject.name}"}}}
    named = Subject(id_type="resident-id", id_number=ZHANG.id_number, name="张&n=李")
    assert await service.outcome(claim(named, status="married"), xml=xml, inner=inner) == "NO_RECORD"
    assert service.body.decode() == f"<a>n=%E5%BC%A0%26n%3D%E6%9D%8E<b>SFZH='{ZHANG.id_number}'</b></a>"
    service.body = b""
    for number in ("' OR '1'='1", "1&id=2", "", "２３"):
        other = Subject(id_type="resident-id", id_number=number, name="张")
        assert await service.outcome(claim(other, status="married"), xml=xml, inner=inner) == GARBLED
    assert service.body == b""


async def test_a_claim_that_lacks_what_an_inner_document_needs_is_told_so(service: Service) -> None:
    inner = {**INNER, "coded": {"xml": "<q>{given.certificate}</q>"}}
    source = connect("civil-affairs", stanza(service.url, inner=inner), now=now)
    [evidence] = await source.check_many([claim(status="married")], question())
    await source.aclose()
    assert (evidence.outcome.kind, evidence.outcome.attribute) == (Kind.NEEDS_ATTRIBUTE, "certificate")
    assert service.body == b""


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        ({"xml": "no xml {subject.name}"}, "xml: is no XML document"),
        ({"xml": "<a>{subject.name}</a><b/>"}, "xml: is no XML document"),
        ({"xml": "<!DOCTYPE a><a>{subject.name}</a>"}, "xml: has a document type"),
        ({"xml": "<?xml version='1.0' encoding='big5'?><a>{subject.name}</a>"}, "xml: declares another character set"),
        ({"xml": "<a><!-- {subject.name} -->{subject.id_number}</a>"}, "elsewhere than in texts"),
        ({"xml": "<a><?do {subject.name}?></a>"}, "elsewhere than in texts"),
        ({"xml": "<a>{subject.&#110;ame}{subject.name}</a>"}, "elsewhere than in texts"),
        ({"xml": "<a>&lt;q>{subject.name}&lt;/q></a>"}, "put that under `inner`"),
        ({"xml": "<a>{\"name\": \"{subject.name}\"}</a>"}, "put that under `inner`"),
        ({"xml": "<a b='&lt;q>{subject.name}'/>"}, "put that under `inner`"),
        ({"xml": "<a><![CDATA[{\"name\": \"{subject.name}\"}]]></a>"}, "CDATA that is no XML document"),
        ({"xml": "<a><![CDATA[<q>{subject.name}]]></a>"}, "is no XML document"),
        ({"xml": "<a><![CDATA[<q><!-- {subject.name} --></q>]]></a>"}, "elsewhere than in texts"),
        ({"xml": "<a>{subject.nobody}</a>"}, "nothing fills {subject.nobody}"),
        ({"xml": "<a>{inner.other}{subject.name}</a>"}, "nothing fills {inner.other}"),
        ({"xml": "<a>{context.operator}</a>", "inner": None}, "the request names nobody"),
        ({"xml": "<a>{subject.name}</a>"}, "inner.coded: is sent nowhere"),
        ({"json": {"a": "{subject.name}"}}, "xml: is a second body beside `json`"),
        ({"method": "GET"}, "xml: is a body, which a GET does not have"),
        ({"inner": {**INNER, "tree": {}}}, "inner.tree.xml: give one of `xml`, `json`, `form`"),
        ({"inner": {**INNER, "tree": {"form": "x={subject.id_number}"}}}, "inner.tree.form: must be a table"),
        ({"inner": {**INNER, "tree": {"json": {"a": "<b>{subject.name}</b>"}}}}, "put that text under `inner`"),
        ({"xml": "<a>id={subject.id_number}&amp;name={subject.name}</a>"}, "put that under `inner`"),
        ({"xml": "<a>NAME='{expected.status}'</a>"}, "put that under `inner`"),
        ({"xml": None, "json": {"q": "id={subject.id_number}&name={subject.name}"}}, "put that text under `inner`"),
        ({"xml": None, "form": {"q": '{"n":"{subject.name}"}'}}, "put that text under `inner`"),
        ({"xml": None, "params": {"q": "{subject.id_number},{subject.name}"}}, "put that text under `inner`"),
        ({"xml": "<a><!-- {subject.name} --><b>&#123;subject.name}</b></a>"}, "elsewhere than in texts"),
        ({"inner": {**INNER, "tree": {"json": "{inner.coded}"}}}, "nothing fills {inner.coded}"),
        ({"inner": {**INNER, "tree": {"json": "{subject.name}", "coding": "hex"}}}, "coding: must be one of"),
        ({"success": {"at": "a", "equals": 0}}, "success: `equals` must be a text"),
        ({"unwrap": {"at": "a..b"}}, "unwrap[0].at: must be names"),
        ({"unwrap": {"at": "a", "format": "yaml"}}, "unwrap[0].format: must be one of json, xml"),
        ({"format": "json"}, "record: belongs to XML"),
        ({"format": "csv"}, "format: must be one of json, xml"),
        ({"headers": {"X": "{inner.tree}"}}, "nothing fills {inner.tree}"),
    ],
)  # fmt: skip
def test_a_stanza_that_would_go_wrong_is_refused_by_name(more: dict[str, object], mistake: str) -> None:
    with pytest.raises(StanzaError) as refused:
        connect("civil-affairs", stanza("http://127.0.0.1:1", **more), now=now)
    assert mistake in "\n".join(refused.value.mistakes)
