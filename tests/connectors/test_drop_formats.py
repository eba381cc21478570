"""Drops that are JSON Lines or spreadsheets: what is read of them, and what makes one bad."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.catalog import connect
from connectors.drop_rows import read_rows
from connectors.errors import DropRefused
from connectors.outcome import Kind
from connectors.resilience import Resilient
from tests.connectors.people import LI, NOBODY, NOW, ZHANG, claim, now, question

FACT = "cremation"
COLUMNS = ("id", "name", "status", "on", "count")
ROWS: tuple[tuple[object, ...], ...] = (
    (ZHANG.id_number, ZHANG.name, "held", "2020-05-01", 2),
    (LI.id_number, LI.name, None, None, None),
)


def lines(*rows: Sequence[object]) -> bytes:
    written = [json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) for row in rows]
    return ("\n".join(written) + "\n").encode()


def workbook(*rows: Sequence[object], change: Callable[[Any], object] = lambda _: None) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (COLUMNS, *rows):
        sheet.append(list(row))
    change(book)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def drop(folder: Path, octets: bytes, form: str, rows: int = len(ROWS), **change: object) -> None:
    (folder / "a").write_bytes(octets)
    manifest: dict[str, object] = {
        "schema": 1, "fact_type": FACT, "file": "a", "sha256": hashlib.sha256(octets).hexdigest(), "rows": rows,
        "as_of": (NOW - timedelta(hours=1)).isoformat(), "format": form, "key": "id", "columns": list(COLUMNS),
    }  # fmt: skip
    if form != "xlsx":
        manifest["charset"] = "utf-8"
    (folder / "a.manifest.json").write_text(json.dumps({**manifest, **change}))


def source_of(folder: Path) -> Resilient:
    fact = {"key": "id", "name": "name", "columns": {"status": "status", "on": "on", "count": "count"}}
    stanza = {"kind": "dropbox", "department": "殡葬管理处", "folder": str(folder), "facts": {FACT: fact}}
    return connect("funeral", stanza, now=now)


async def found(folder: Path) -> list[Kind]:
    source = source_of(folder)
    asked = [
        claim(ZHANG, fact_type=FACT, status="held", on=date(2020, 5, 1), count=2),
        claim(ZHANG, fact_type=FACT, on=date(2020, 5, 2)),
        claim(ZHANG, fact_type=FACT, count=3),
        claim(LI, fact_type=FACT, on=date(2020, 5, 1)),
        claim(NOBODY, fact_type=FACT),
    ]
    kinds = [evidence.outcome.kind for evidence in await source.check_many(asked, question())]
    await source.aclose()
    return kinds


async def problem(folder: Path) -> str:
    source = source_of(folder)
    detail = (await source.probe()).detail
    [evidence] = await source.check_many([claim(ZHANG, fact_type=FACT)], question())
    assert evidence.outcome.kind is Kind.UNAVAILABLE
    await source.aclose()
    return detail


EXPECTED = [Kind.MATCH, Kind.MISMATCH, Kind.MISMATCH, Kind.NOT_HELD, Kind.NO_RECORD]


async def test_json_lines_answer_as_a_database_does(tmp_path: Path) -> None:
    drop(tmp_path, lines(*ROWS), "jsonl")
    assert await found(tmp_path) == EXPECTED


async def test_json_lines_may_be_of_another_character_set_and_end_without_a_line_break(tmp_path: Path) -> None:
    octets = lines(*ROWS).decode().rstrip("\n").encode("gb18030")
    drop(tmp_path, octets, "jsonl", charset="gb18030")
    assert await found(tmp_path) == EXPECTED


@pytest.mark.parametrize("on", ["2020-05-01", date(2020, 5, 1), datetime(2020, 5, 1)])
async def test_a_spreadsheet_answers_as_a_database_does(tmp_path: Path, on: object) -> None:
    drop(tmp_path, workbook((*ROWS[0][:3], on, 2), ROWS[1]), "xlsx")
    assert await found(tmp_path) == EXPECTED


def empty_rows_at_the_end(book: Any) -> None:
    book.active["A9"].font = openpyxl.styles.Font(bold=True)


async def test_rows_at_the_end_that_were_formatted_and_never_filled_are_none(tmp_path: Path) -> None:
    drop(tmp_path, workbook(*ROWS, change=empty_rows_at_the_end), "xlsx")
    assert await found(tmp_path) == EXPECTED


async def test_what_a_spreadsheet_says_of_its_own_extent_cuts_nothing_off(tmp_path: Path) -> None:
    octets = repacked(workbook(*ROWS), lambda _, part: re.sub(b'ref="A1:E3"', b'ref="A1:B2"', part))
    with zipfile.ZipFile(io.BytesIO(octets)) as packed:
        assert b'ref="A1:B2"' in packed.read("xl/worksheets/sheet1.xml")
    drop(tmp_path, octets, "xlsx")
    assert await found(tmp_path) == EXPECTED


async def test_an_empty_holding_says_so_in_every_format(tmp_path: Path) -> None:
    for form, octets in (("jsonl", b""), ("xlsx", workbook())):
        drop(tmp_path, octets, form, rows=0, empty=True)
        assert await found(tmp_path) == [Kind.NO_RECORD] * 5


GOOD = json.dumps(dict(zip(COLUMNS, ROWS[0], strict=True)))


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "number of rows"),
        (b"\n", "row 1 is not JSON"),
        (b"id,name\n", "row 1 is not JSON"),
        (GOOD.encode() + b"\n\n", "row 2 is not JSON"),
        (GOOD.encode() + b"\n" + GOOD.encode()[:-1], "row 2 is not JSON"),
        (f"[{GOOD}]".encode(), "row 1 is no object of the columns"),
        (b'"x"', "row 1 is no object of the columns"),
        (GOOD.replace('"name"', '"nom"').encode(), "row 1 is no object of the columns"),
        (GOOD.replace("{", '{"more": 1, ').encode(), "row 1 is no object of the columns"),
        (GOOD.replace("{", '{"id": "1", ').encode(), "row 1 is not JSON, or says one thing twice"),
        (GOOD.replace(": 2}", ": 2.5}").encode(), "row 1 has a value that is no text, whole number"),
        (GOOD.replace(": 2}", ": [2]}").encode(), "row 1 has a value that is no text, whole number"),
        (GOOD.replace(": 2}", ": NaN}").encode(), "row 1 is not JSON"),
        (GOOD.replace(f'"{ZHANG.id_number}"', ZHANG.id_number).encode(), "row 1 has a key that is no text"),
        (GOOD.replace(f'"{ZHANG.id_number}"', "null").encode(), "row 1 has no key"),
        (GOOD.replace(ZHANG.id_number, "2301031985070412").encode(), "row 1 has a key that is damaged"),
        (GOOD.encode() + b"\n" + GOOD.encode(), "number of rows"),
        ("张".encode("gb18030"), "the file is not utf-8"),
        (b"[" * 100_000, "row 1 is not JSON"),
    ],
)
async def test_json_lines_that_do_not_agree_make_a_bad_drop(
    tmp_path: Path, octets: bytes, why: str, discreet: list[str]
) -> None:
    drop(tmp_path, octets, "jsonl", rows=1)
    told = await problem(tmp_path)
    assert why in told
    discreet.append(told)


def in_cell(place: str, value: object) -> Callable[[Any], object]:
    return lambda book: book.active.__setitem__(place, value)


def without_rows(first: int, count: int) -> Callable[[Any], object]:
    def change(book: Any) -> None:
        for number in range(first, first + count):
            for cell in book.active[number]:
                cell.value = None

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda book: book.create_sheet("other"), "the file has 2 sheets"),
        (in_cell("A1", "number"), "does not have the columns"),
        (in_cell("F1", "more"), "does not have the columns"),
        (in_cell("B1", 1), "does not have the columns"),
        (in_cell("C1", "=1"), "the header has a formula"),
        (in_cell("F2", "more"), "row 1 does not have 5 values"),
        (in_cell("A2", 230103), "row 1 has a key that is no text"),
        (in_cell("A2", None), "row 1 has no key"),
        (in_cell("A2", "2.30103E+17"), "row 1 has a key that is damaged"),
        (in_cell("C3", "=A2"), "row 2 has a formula"),
        (in_cell("C3", 6222020000012340), "row 2 has a number of more than 15 digits"),
        (in_cell("C3", "#N/A"), "row 2 has a formula or an error"),
        (without_rows(2, 1), "row 2 comes after an empty one"),
        (without_rows(3, 1), "number of rows"),
        (in_cell("A4", LI.id_number), "number of rows"),
    ],
)
async def test_a_spreadsheet_that_does_not_agree_makes_a_bad_drop(
    tmp_path: Path, change: Callable[[Any], object], why: str, discreet: list[str]
) -> None:
    drop(tmp_path, workbook(*ROWS, change=change), "xlsx")
    told = await problem(tmp_path)
    assert why in told
    discreet.append(told)


def repacked(octets: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(octets)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return file.getvalue()


def typed(name: str, part: bytes) -> bytes:
    declared = b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]>"
    return part.replace(b"<worksheet", declared + b"<worksheet", 1) if "sheet1" in name else part


def typed_late(name: str, part: bytes) -> bytes:
    if "sheet1" not in name:
        return part
    declared = b"<!--" + b"x" * 5000 + b"--><!DOCTYPE x [<!ENTITY a 'EVIL'>]>"
    return part.replace(b"<worksheet", declared + b"<worksheet", 1)


def far_row(name: str, part: bytes) -> bytes:
    return part.replace(b"</sheetData>", b'<row r="12000000"/></sheetData>') if "sheet1" in name else part


def far_cell(name: str, part: bytes) -> bytes:
    return part.replace(b"</sheetData>", b'<row r="4"><c r="XFD4"/></row></sheetData>') if "sheet1" in name else part


def blown_up(name: str, part: bytes) -> bytes:
    return part + b" " * 5_000_000 if "sheet1" in name else part


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "no workbook"),
        (b"PK\x03\x04", "no workbook"),
        (lines(*ROWS), "no workbook"),
        (workbook(*ROWS)[:-100], "no workbook"),
        (repacked(workbook(*ROWS), lambda name, part: b"" if "sheet1" in name else part), "no workbook"),
        (repacked(workbook(*ROWS), lambda name, part: part[:-40] if "sheet1" in name else part), "no workbook"),
        (repacked(workbook(*ROWS), typed), "document type"),
        (repacked(workbook(*ROWS), typed_late), "document type"),
        (repacked(workbook(*ROWS), far_row), "far beyond"),
        (repacked(workbook(*ROWS), far_cell), "far beyond"),
        (repacked(workbook(*ROWS), blown_up), "unpacks to more than 4000000 bytes"),
    ],
)
def test_what_is_no_workbook_is_refused_before_it_is_unpacked(octets: bytes, why: str) -> None:
    with pytest.raises(DropRefused, match=why):
        list(read_rows(octets, "xlsx", "", COLUMNS, rows=2, most_bytes=4_000_000))


@pytest.mark.parametrize(
    ("form", "change", "why"),
    [
        ("csv", {"format": "ods"}, "format must be one of csv, jsonl, xlsx"),
        ("csv", {"format": ["csv"]}, "format must be one of csv, jsonl, xlsx"),
        ("xlsx", {"charset": "utf-8"}, "charset is not known"),
        ("jsonl", {"charset": "latin-1"}, "charset must be one of"),
    ],
)
async def test_a_manifest_that_cannot_be_meant_is_refused_by_name(
    tmp_path: Path, form: str, change: dict[str, object], why: str
) -> None:
    drop(tmp_path, workbook(*ROWS), form, **change)
    assert why in await problem(tmp_path)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["csv", "jsonl", "xlsx"]))
def test_any_bytes_are_rows_or_refused(octets: bytes, form: str) -> None:
    try:
        rows = list(read_rows(octets, form, "utf-8", ("a",), rows=1, most_bytes=1_000_000))
    except DropRefused:
        return
    assert all(len(row) == 1 for row in rows)
