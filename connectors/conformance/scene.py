"""Two people who do not exist, what a marriage register holds of them, and stanzas of sources that hold it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.connector import Claim, QueryContext, Subject, Value

BEGAN = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
FACT = "marriage-registration"
ZHANG = Subject(id_type="resident-id", id_number="230103198507041236", name="张小明")
LI = Subject(id_type="resident-id", id_number="23010319870910248X", name="古丽·阿不都")
NOBODY = Subject(id_type="resident-id", id_number="230103199912310000", name="无名氏")
PERSONAL = (ZHANG.id_number, ZHANG.name, LI.id_number, LI.name, NOBODY.id_number, NOBODY.name)
"""What no log, metric, exception or report of health may tell."""

RESILIENCE: Mapping[str, object] = {
    "timeout": "30s",
    "retries": 1,
    "backoff": "1ms",
    "breaker_failures": 2,
    "breaker_rest": "30s",
}
HASTY: Mapping[str, object] = {**RESILIENCE, "timeout": "1s"}
"""For sources that will be silent; all others have all the time that a busy machine may need."""
ROWS: tuple[tuple[str, str, str], ...] = ((ZHANG.id_number, ZHANG.name, "1"), (LI.id_number, LI.name, "2"))
"""Number, name, and the code of the marital status: 1 married, 2 divorced."""

_SHAPE: Mapping[str, object] = {"name": "name", "values": {"status": {"1": "MARRIED", "2": "DIVORCED"}}}
_COLUMNS = ("id_number", "name", "status")


class Clock:
    """A time of day that moves only when it is moved."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by


def married(subject: Subject = ZHANG, /, **more: Value) -> Claim:
    """Claim that somebody is married; Zhang is."""
    return Claim(fact_type=FACT, subject=subject, expected={"status": "MARRIED", **more})


def divorced(subject: Subject = ZHANG, /) -> Claim:
    """Claim that somebody is divorced; Zhang is not, Li is."""
    return Claim(fact_type=FACT, subject=subject, expected={"status": "DIVORCED"})


def asking(seconds: float = 30.0, *, case: str = "办-1") -> QueryContext:
    """Ask within some seconds."""
    return QueryContext(
        matter="M-1",
        case=case,
        item="marital-status",
        operator="clerk-7",
        unit="审批局",
        reason="办理住房保障",
        deadline=asyncio.get_running_loop().time() + seconds,
    )


def sql_stanza(url: Mapping[str, object], /, statement: str = "", **more: object) -> dict[str, object]:
    """Write the stanza of a register in a database; `url` holds `url` or `url_file`, `more` further keys."""
    fact = {
        "statement": statement or "SELECT id_number, name, status FROM marriage WHERE id_number IN :keys",
        "key": "id_number",
        "columns": {"status": "status"},
        **_SHAPE,
    }
    top = {"kind": "sql", "department": "民政厅", "statement_timeout": "10s", "resilience": dict(RESILIENCE)}
    return {**top, **url, **more, "facts": {FACT: fact}}


def http_stanza(url: str, /, **more: object) -> dict[str, object]:
    """Write the stanza of a register behind a JSON service; `more` are keys of the source."""
    fact = {
        "path": "/query",
        "json": {"requestId": "{request.id}", "reason": "{context.reason}", "idcard": "{subject.id_number}"},
        "success": {"at": "code", "equals": "0"},
        "absent": {"at": "code", "equals": "NO_DATA"},
        "records": "data",
        "subject_echo": "id_number",
        "attributes": {"status": "status"},
        **_SHAPE,
    }
    top: dict[str, object] = {
        "kind": "http",
        "department": "民政厅",
        "url": url,
        "answer_timeout": "10s",
        "most_bytes": 4096,
        "resilience": dict(RESILIENCE),
    }
    return {**top, **more, "facts": {FACT: fact}}


def http_answer(subject: Subject = ZHANG, status: str = "1") -> dict[str, object]:
    """Write the service's good answer about somebody."""
    return {"code": "0", "data": [{"id_number": subject.id_number, "name": subject.name, "status": status}]}


def grpc_stanza(address: str, /, **more: object) -> dict[str, object]:
    """Write the stanza of a register behind an adapter on this machine; `more` are keys of the source."""
    top: dict[str, object] = {
        "kind": "grpc",
        "department": "民政厅",
        "address": address,
        "plaintext": True,
        "answer_timeout": "10s",
        "resilience": dict(RESILIENCE),
    }
    return {**top, **more, "facts": {FACT: {"attributes": ["status"]}}}


def dropbox_stanza(folder: Path, /, **more: object) -> dict[str, object]:
    """Write the stanza of a register that arrives as files."""
    fact = {"key": "id_number", "columns": {"status": "status"}, **_SHAPE}
    top = {"kind": "dropbox", "department": "民政厅", "folder": str(folder), "resilience": dict(RESILIENCE)}
    return {**top, **more, "facts": {FACT: fact}}


def drop(
    folder: Path,
    name: str = "a",
    rows: tuple[tuple[str, ...], ...] = ROWS,
    *,
    age: timedelta = timedelta(hours=1),
    octets: bytes | None = None,
    **change: object,
) -> None:
    """Drop a file with its manifest; `octets` replace the file's bytes, `change` keys of the manifest."""
    content = "\n".join([",".join(_COLUMNS), *(",".join(row) for row in rows), ""]).encode()
    content = content if octets is None else octets
    manifest = {
        "schema": 1,
        "fact_type": FACT,
        "file": f"{name}.csv",
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": len(rows),
        "as_of": (BEGAN - age).isoformat(),
        "charset": "utf-8",
        "key": "id_number",
        "columns": list(_COLUMNS),
    }
    (folder / f"{name}.csv").write_bytes(content)
    (folder / f"{name}.manifest.json").write_text(json.dumps({**manifest, **change}), encoding="utf-8")
