"""What a claim gives beside its subject (another person, the number of a certificate) is never left unchecked."""

import csv
import hashlib
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from connectors.catalog import connect
from connectors.conformance.server import FaultServer
from connectors.connector import Claim, Value
from connectors.errors import StanzaError
from connectors.resilience import Resilient
from tests.connectors.people import LI, NOBODY, NOW, ZHANG, now, question

FACT = "household-relation"
NUMBER = "relative_id_number"
COLUMNS = ("id", "name", "relation", "other", "other_name")
Row = tuple[str | None, ...]
CHILD_OF_LI: Row = (ZHANG.id_number, ZHANG.name, "CHILD", LI.id_number, LI.name)
CHILD_OF_SOMEBODY: Row = (ZHANG.id_number, ZHANG.name, "CHILD", None, None)
SPOUSE_OF_NOBODY: Row = (ZHANG.id_number, ZHANG.name, "SPOUSE", NOBODY.id_number, NOBODY.name)
BY_NUMBER = {NUMBER: "other"}


def relative(of: object = LI, relation: str = "CHILD", /, **more: Value) -> Claim:
    """Claim that a person is a relative of Zhang."""
    given = {f"relative_{part}": getattr(of, part) for part in ("name", "id_number", "id_type")}
    return Claim(fact_type=FACT, subject=ZHANG, expected={"relation": relation}, given={**given, **more})


Make = Callable[[Path, Sequence[Row], Mapping[str, object]], Resilient]


def sql(folder: Path, rows: Sequence[Row], fact: Mapping[str, object]) -> Resilient:
    with sqlite3.connect(folder / "r.db") as connection:
        connection.execute(f"CREATE TABLE r ({', '.join(COLUMNS)})")
        connection.executemany(f"INSERT INTO r VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    connection.close()
    shape = {"statement": "SELECT * FROM r WHERE id IN :keys", "key": "id", "name": "name", **fact}
    stanza = {"kind": "sql", "department": "公安局", "url": f"sqlite:///{folder / 'r.db'}", "facts": {FACT: shape}}
    return connect("police", stanza, now=now)


def dropbox(folder: Path, rows: Sequence[Row], fact: Mapping[str, object]) -> Resilient:
    written = io.StringIO()
    csv.writer(written).writerows([COLUMNS, *rows])
    octets = written.getvalue().encode()
    (folder / "a.csv").write_bytes(octets)
    manifest = {
        "schema": 1, "fact_type": FACT, "file": "a.csv", "sha256": hashlib.sha256(octets).hexdigest(),
        "rows": len(rows), **({} if rows else {"empty": True}),
        "as_of": NOW.isoformat(), "charset": "utf-8", "key": "id", "columns": COLUMNS,
    }  # fmt: skip
    (folder / "a.manifest.json").write_text(json.dumps(manifest))
    stanza = {"kind": "dropbox", "department": "公安局", "folder": str(folder)}
    return connect("police", {**stanza, "facts": {FACT: {"key": "id", "name": "name", **fact}}}, now=now)


async def said(source: Resilient, claim: Claim) -> str:
    [found] = await source.check_many([claim], question())
    await source.aclose()
    return found.outcome.kind.value


@pytest.mark.parametrize("make", [sql, dropbox])
@pytest.mark.parametrize(
    ("rows", "claim", "expected"),
    [
        ((CHILD_OF_LI,), relative(), "MATCH"),
        ((CHILD_OF_LI,), relative(LI, "SPOUSE"), "MISMATCH"),
        ((CHILD_OF_LI,), relative(NOBODY), "NO_RECORD"),
        ((CHILD_OF_LI,), relative(NOBODY, "SPOUSE"), "NO_RECORD"),
        ((CHILD_OF_SOMEBODY,), relative(), "NOT_HELD"),
        ((CHILD_OF_LI, SPOUSE_OF_NOBODY), relative(NOBODY, "SPOUSE"), "MATCH"),
        ((CHILD_OF_LI, SPOUSE_OF_NOBODY), relative(NOBODY), "MISMATCH"),
        ((CHILD_OF_LI, CHILD_OF_LI), relative(), "AMBIGUOUS"),
        ((CHILD_OF_LI, CHILD_OF_LI), relative(NOBODY), "NO_RECORD"),
        ((CHILD_OF_LI, CHILD_OF_SOMEBODY), relative(NOBODY), "NOT_HELD"),
        ((), relative(), "NO_RECORD"),
    ],
)
async def test_a_record_of_another_relative_is_another_record(
    tmp_path: Path, make: Make, rows: Sequence[Row], claim: Claim, expected: str
) -> None:
    source = make(tmp_path, rows, {"columns": {"relation": "relation"}, "narrow": BY_NUMBER})
    assert await said(source, claim) == expected


async def test_the_name_of_a_relative_is_compared_where_the_stanza_names_it(tmp_path: Path) -> None:
    both = {**BY_NUMBER, "relative_name": "other_name"}
    source = sql(tmp_path, [CHILD_OF_LI], {"columns": {"relation": "relation"}, "narrow": both})
    assert await said(source, relative(relative_name="王二")) == "NO_RECORD"


@pytest.mark.parametrize("make", [sql, dropbox])
@pytest.mark.parametrize(
    "fact",
    [
        {"columns": {"relation": "relation"}},
        {"columns": {"relation": "relation", NUMBER: "other"}},
        {"columns": {"relation": "relation"}, "narrow": {"relative_name": "other_name"}},
    ],
)
@pytest.mark.parametrize("relation", ["CHILD", "SPOUSE"])
async def test_what_a_stanza_cannot_find_a_record_by_is_neither_proved_nor_disproved(
    tmp_path: Path, make: Make, fact: Mapping[str, object], relation: str
) -> None:
    assert await said(make(tmp_path, [CHILD_OF_LI], fact), relative(LI, relation)) == "NOT_HELD"


async def test_under_another_name_even_an_incomplete_stanza_contradicts(tmp_path: Path) -> None:
    stranger = (ZHANG.id_number, "王二", *CHILD_OF_LI[2:])
    assert await said(sql(tmp_path, [stranger], {"columns": {"relation": "relation"}}), relative()) == "MISMATCH"


async def test_a_claim_that_gives_nothing_needs_no_telling_apart(tmp_path: Path) -> None:
    claim = Claim(fact_type=FACT, subject=ZHANG, expected={"relation": "CHILD"})
    source = sql(tmp_path, [CHILD_OF_LI], {"columns": {"relation": "relation"}, "narrow": BY_NUMBER})
    assert await said(source, claim) == "MATCH"


def service(url: str, /, **fact: object) -> dict[str, object]:
    """Write the stanza of a service."""
    base: dict[str, object] = {
        "success": {"at": "code", "equals": "0"},
        "records": "data",
        "subject_echo": "id",
        "attributes": {"relation": "relation"},
        "json": {"id": "{subject.id_number}"},
    }
    return {"kind": "http", "department": "公安局", "url": url, "facts": {FACT: {**base, **fact}}}


MATCHING: Mapping[str, object] = {
    "mode": "match",
    "json": {"id": "{subject.id_number}", "relation": "{expected.relation}"},
    "codes": {"subject.id_number": "id_code", "relation": "relation_code"},
    "match": ["1"],
    "mismatch": ["0"],
}
SENT = {"id": "{subject.id_number}", "relation": "{expected.relation}", "other": "{given.relative_id_number}"}


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A service that tells records and codes at once, and looks at nothing but the number."""
    record = {"id": ZHANG.id_number, "relation": "CHILD", "other": LI.id_number, "id_code": "1", "relation_code": "1"}
    async with FaultServer({"code": "0", "data": [record]}, person=(ZHANG.id_number, ZHANG.name)) as started:
        yield started


@pytest.mark.parametrize(
    ("fact", "claim", "expected"),
    [
        ({}, relative(), "NOT_HELD"),
        ({}, relative(LI, "SPOUSE"), "NOT_HELD"),
        ({"narrow": BY_NUMBER}, relative(), "MATCH"),
        ({"narrow": BY_NUMBER}, relative(NOBODY), "NO_RECORD"),
        ({"json": SENT}, relative(), "MATCH"),
        ({"json": SENT}, relative(LI, "SPOUSE"), "MISMATCH"),
        ({"json": {**SENT, "other": "{given.relative_name}"}}, relative(), "NOT_HELD"),
        ({"headers": {"X-Other": "{given.relative_id_number}"}}, relative(), "MATCH"),
        (MATCHING, relative(), "NOT_HELD"),
        ({**MATCHING, "json": SENT}, relative(), "MATCH"),
    ],
)
async def test_a_service_is_believed_about_a_relative_it_was_told_of_or_names(
    server: FaultServer, fact: Mapping[str, object], claim: Claim, expected: str
) -> None:
    assert await said(connect("police", service(server.url, **fact), now=now), claim) == expected


async def test_codes_of_a_service_that_was_not_told_the_relative_contradict_only_the_subject(
    server: FaultServer,
) -> None:
    source = connect("police", service(server.url, **MATCHING), now=now)
    for codes, expected in ((("1", "0"), "NOT_HELD"), (("0", "1"), "MISMATCH")):
        record = {"id": ZHANG.id_number, **dict(zip(("id_code", "relation_code"), codes, strict=True))}
        server.answer({"code": "0", "data": [record]})
        [found] = await source.check_many([relative()], question())
        assert found.outcome.kind.value == expected
    await source.aclose()


def test_a_stanza_that_would_tell_codes_apart_by_a_record_is_refused() -> None:
    with pytest.raises(StanzaError, match="narrow: belongs to the mode query"):
        connect("police", service("https://example.invalid", **MATCHING, narrow=BY_NUMBER), now=now)
