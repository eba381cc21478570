"""Files of tables: what other programs read in them, and that nothing in them runs."""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
import tracemalloc
from collections.abc import Iterable, Mapping
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ExportFormatMissing
from gateway.exports.writers import ExportFormat, harmless, open_writer

COLUMNS = (("name", "承诺人名称"), ("content", "承诺内容"))
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", " =HYPERLINK(1)", "\u3000+1", "\ufeff=1", "\n=1"]
printable = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=50)


def written(form: ExportFormat, rows: Iterable[Mapping[str, str]], **more: int) -> bytes:
    file = io.BytesIO()
    with open_writer(form, file, COLUMNS, title="告知承诺", **more) as writer:
        for row in rows:
            writer.write(row)
        writer.finish()
    return file.getvalue()


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def read_xlsx(data: bytes) -> list[list[object]]:
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
    rows = [[cell.value or None for cell in row] for sheet in book for row in sheet.iter_rows()]
    book.close()
    return rows


def test_csv_begins_with_the_mark_by_which_spreadsheets_know_utf_8() -> None:
    data = written(ExportFormat.CSV, [{"name": "张*", "content": 'a,"b"\n二'}])
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.endswith(b"\r\n")
    assert read_csv(data) == [["承诺人名称", "承诺内容"], ["张*", 'a,"b"\n二']]


@pytest.mark.parametrize("formula", FORMULAS)
def test_what_a_spreadsheet_would_run_is_text_in_csv(formula: str) -> None:
    ((cell,),) = [row[:1] for row in read_csv(written(ExportFormat.CSV, [{"name": formula, "content": ""}]))[1:]]
    assert cell == f"'{formula}"


@given(st.text(max_size=30))
def test_no_csv_cell_begins_with_what_could_run(cell: str) -> None:
    shown = harmless(cell)
    assert "\x00" not in shown
    assert (
        not shown.strip(" \u3000\xa0\ufeff")[:1]
        or shown.lstrip(" \u3000\xa0\ufeff")[0] not in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
    )
    assert shown.removeprefix("'") in (cell.replace("\x00", ""), cell.replace("\x00", "").removeprefix("'"))


@pytest.mark.parametrize("formula", [*FORMULAS[:4], "https://example.test/?a=1", "00123"])
def test_every_cell_of_a_workbook_is_text(formula: str) -> None:
    data = written(ExportFormat.XLSX, [{"name": formula, "content": "x"}])
    book = openpyxl.load_workbook(io.BytesIO(data))
    cell = book.active.cell(row=2, column=1)  # type: ignore[union-attr]
    assert (cell.data_type, cell.value, cell.hyperlink) == ("s", formula, None)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.fixed_dictionaries({"name": printable, "content": printable}), max_size=5))
def test_every_form_gives_back_what_was_written(rows: list[dict[str, str]]) -> None:
    cells = [[row["name"], row["content"]] for row in rows]
    assert [json.loads(line) for line in written(ExportFormat.JSONL, rows).splitlines()] == rows
    assert read_csv(written(ExportFormat.CSV, rows))[1:] == [[harmless(cell) for cell in row] for row in cells]
    assert read_xlsx(written(ExportFormat.XLSX, rows))[1:] == [[cell or None for cell in row] for row in cells]


def test_rows_that_do_not_fit_on_a_sheet_go_on_the_next() -> None:
    data = written(ExportFormat.XLSX, [{"name": str(n), "content": ""} for n in range(5)], sheet_rows=3)
    book = openpyxl.load_workbook(io.BytesIO(data))
    found = {sheet.title: [row[0] for row in sheet.iter_rows(values_only=True)] for sheet in book}
    heading = "承诺人名称"
    assert found == {
        "告知承诺": [heading, "0", "1"], "告知承诺2": [heading, "2", "3"], "告知承诺3": [heading, "4"],
    }  # fmt: skip


def test_a_cell_that_no_sheet_can_hold_is_cut_and_says_so() -> None:
    long = "长" * 32_768
    (_, (cell, _)) = read_xlsx(written(ExportFormat.XLSX, [{"name": long, "content": ""}]))
    assert isinstance(cell, str)
    assert len(cell) == 32_767
    assert cell.endswith("JSONL 格式)")
    assert read_csv(written(ExportFormat.CSV, [{"name": long, "content": ""}]))[1][0] == long


def test_a_gateway_without_the_extra_refuses_workbooks_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(ExportFormatMissing, match="extra `exports`"):
        written(ExportFormat.XLSX, [])
    assert written(ExportFormat.JSONL, []) == b""


@pytest.mark.parametrize("form", ExportFormat)
def test_memory_does_not_grow_with_the_rows(form: ExportFormat, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file, open_writer(form, file, COLUMNS, title="告知承诺") as writer:
        row = {"name": "张*", "content": "承" * 200}
        tracemalloc.start()
        try:
            for _ in range(8_000):
                writer.write(row)
            writer.finish()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        file.seek(0, io.SEEK_END)
        assert peak < 2_000_000
        assert form is ExportFormat.XLSX or file.tell() > 4_800_000


@pytest.mark.parametrize("form", ExportFormat)
@pytest.mark.parametrize("finishes", [True, False])
def test_nothing_of_a_table_is_left_elsewhere_however_writing_ends(
    form: ExportFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finishes: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        with open_writer(form, io.BytesIO(), COLUMNS, title="告知承诺", sheet_rows=10) as writer:
            for _ in range(100):
                writer.write({"name": "张*", "content": "承" * 200})
            if not finishes:
                raise KeyboardInterrupt
            writer.finish()
    except KeyboardInterrupt:
        assert not finishes
    assert list(tmp_path.iterdir()) == []
