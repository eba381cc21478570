"""People who do not exist, a clock that stands still, questions about them, and stanzas of sources that know them."""

import asyncio
from datetime import UTC, datetime, timedelta

from connectors.connector import Claim, QueryContext, Subject, Value

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
ZHANG = Subject(id_type="resident-id", id_number="230103198507041236", name="张小明")
LI = Subject(id_type="resident-id", id_number="23010319870910234X", name="古丽·阿不都")
NOBODY = Subject(id_type="resident-id", id_number="230103199912310000", name="无名")
PERSONAL = (ZHANG.id_number, ZHANG.name, LI.id_number, LI.name)


def now() -> datetime:
    """Stand still."""
    return NOW


def question(seconds: float = 20.0, *, operator: str = "clerk-7", case: str = "case-1") -> QueryContext:
    """Ask within some seconds."""
    return QueryContext(
        matter="M-1",
        case=case,
        item="marital-status",
        operator=operator,
        unit="审批局",
        reason="办理住房保障",
        deadline=asyncio.get_running_loop().time() + seconds,
    )


def claim(
    subject: Subject = ZHANG, /, *, fact_type: str = "marriage-registration", place: str = "", **expected: Value
) -> Claim:
    """Claim that a subject's record carries some attributes."""
    return Claim(fact_type=fact_type, subject=subject, expected=expected, place=place)


def fresh(hours: float = 1) -> str:
    """Write a moment some hours ago."""
    return (NOW - timedelta(hours=hours)).isoformat()


ZHANG_MARRIED = (ZHANG.id_number, ZHANG.name, 1, LI.id_number, "2010-05-01", "living", fresh())
LI_DIVORCED = (LI.id_number, "古丽•阿不都 ", "2", None, "2012-06-02", "living", fresh())


def sql_stanza(url: str, /, **more: object) -> dict[str, object]:
    """Write the stanza of a marriage register."""
    fact: dict[str, object] = {
        "statement": "SELECT id_number, name, status, spouse_id, since, state, updated_at"
        " FROM marriage WHERE id_number IN :keys",
        "key": "id_number",
        "name": "name",
        "columns": {"status": "status", "spouse_id_number": "spouse_id", "since": "since"},
        "values": {"status": {"1": "married", "2": "divorced"}},
        "inactive": {"column": "state", "values": ["dead", "cancelled"], "active": ["living"]},
    }
    top: dict[str, object] = {"kind": "sql", "department": "民政厅", "url": url}
    for key, value in more.items():
        (top if key in ("freshness", "timezone", "statement_timeout", "resilience", "threads", "most_rows") else fact)[
            key
        ] = value
    return {**top, "facts": {"marriage-registration": fact}}


HTTP_FACT: dict[str, object] = {
    "path": "/query",
    "json": {
        "requestId": "{request.id}",
        "operator": "{context.operator}",
        "reason": "{context.reason}",
        "params": {"idcard": "{subject.id_number}", "name": "{subject.name}"},
    },
    "success": {"at": "code", "equals": "0"},
    "absent": {"at": "code", "equals": "NO_DATA"},
    "refused": {"at": "code", "equals": "E-106", "rule": "not on the list of authorised callers"},
    "error": {"at": "code", "equals": "-1", "cause": "OUTAGE"},
    "records": "data.result",
    "subject_echo": "idcard",
    "name": "xm",
    "attributes": {"status": "hyzk", "since": "djrq"},
    "values": {"status": {"1": "married", "2": "divorced"}},
    "inactive": {"column": "swbs", "values": ["1"], "active": ["0", ""]},
}
GOOD: dict[str, object] = {
    "code": "0",
    "data": {"result": [{"idcard": ZHANG.id_number, "xm": ZHANG.name, "hyzk": "1", "djrq": "2010-05-01", "swbs": "0"}]},
}


def http_stanza(url: str, /, **more: object) -> dict[str, object]:
    """Write the stanza of a marriage register behind a JSON service; keys of `more` replace those of the fact."""
    top: dict[str, object] = {
        "kind": "http",
        "department": "民政厅",
        "url": url,
        "answer_timeout": "400ms",
        "most_bytes": 4096,
        "resilience": {"timeout": "2s", "backoff": "1ms"},
    }
    names = ("freshness", "answer_timeout", "resilience", "headers", "secrets", "probe", "ca_file", "client_cert_file")
    top |= {key: value for key, value in more.items() if key in (*names, "client_key_file", "connections")}
    fact = {**HTTP_FACT, **{key: value for key, value in more.items() if key not in top}}
    return {**top, "facts": {"marriage-registration": {k: v for k, v in fact.items() if v is not None}}}
