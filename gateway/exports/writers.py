"""Writers of tables: rows go in one by one, the file grows, and memory does not.

A cell that a spreadsheet would take for a formula is text in every format: who commits chooses what stands in it, and
who opens the file must not run it (CSV injection, OWASP).
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import IO, TYPE_CHECKING, Any, Protocol

from gateway.errors import ExportFormatMissing

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

_BOM = b"\xef\xbb\xbf"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, half or full width."""
_MOST_ROWS = 1_048_576
"""Rows of a sheet (ECMA-376, and every program that reads it)."""
_LONGEST_CELL = 32_767
"""Characters (UTF-16 units) of a cell."""
_CUT = "…(内容过长,完整内容见 JSONL 格式)"


class ExportFormat(Enum):
    """The form of a file."""

    CSV = "CSV"
    XLSX = "XLSX"
    JSONL = "JSONL"


class TableWriter(Protocol):
    """Writes one table into a binary file, which stays open when it has ended."""

    def write(self, row: Mapping[str, str]) -> None:
        """Write one row: a text for each column."""
        ...

    def finish(self) -> None:
        """Complete the file."""
        ...


@contextmanager
def open_writer(
    form: ExportFormat,
    file: IO[bytes],
    columns: Sequence[tuple[str, str]],
    *,
    title: str,
    sheet_rows: int = _MOST_ROWS,
) -> Iterator[TableWriter]:
    """Begin a table; a column is its name (in JSON) and its heading, `title` names the sheet.

    A workbook begins a further sheet after so many `sheet_rows`, the heading included. However the block ends, nothing
    of the table is left elsewhere than in the file.

    Raises:
        ExportFormatMissing: what writes workbooks is not installed (extra `exports`).
    """
    match form:
        case ExportFormat.CSV:
            yield _Csv(file, columns)
        case ExportFormat.JSONL:
            yield _JsonLines(file, columns)
        case ExportFormat.XLSX:
            with tempfile.TemporaryDirectory(prefix="chengxin-export-") as scratch:
                workbook = _Xlsx(file, columns, title, sheet_rows, scratch)
                try:
                    yield workbook
                finally:
                    workbook.close()


def harmless(cell: str) -> str:
    """Make a CSV cell text for any spreadsheet: one that would be a formula gets an apostrophe before it.

    Spaces before it are no protection: programs trim them. NUL characters, which no cell can hold, fall away.
    """
    cell = cell.replace("\x00", "")
    return f"'{cell}" if cell.lstrip(" \u3000\xa0\ufeff").startswith(_FORMULA) else cell


class _Csv:
    """RFC 4180 in UTF-8 with a byte order mark, by which spreadsheets know it; every cell is quoted."""

    def __init__(self, file: IO[bytes], columns: Sequence[tuple[str, str]]) -> None:
        self._names = [name for name, _ in columns]
        file.write(_BOM)
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        self._writer.writerow([heading for _, heading in columns])

    def write(self, row: Mapping[str, str]) -> None:
        self._writer.writerow([harmless(row[name]) for name in self._names])

    def finish(self) -> None:
        self._text.flush()
        self._text.detach()


class _JsonLines:
    """One object a line, keys in the order of the columns."""

    def __init__(self, file: IO[bytes], columns: Sequence[tuple[str, str]]) -> None:
        self._names = [name for name, _ in columns]
        self._file = file

    def write(self, row: Mapping[str, str]) -> None:
        line = json.dumps({name: row[name] for name in self._names}, ensure_ascii=False)
        self._file.write(line.encode("utf-8") + b"\n")

    def finish(self) -> None:
        pass


class _Xlsx:
    """A workbook of one sheet, or as many as its rows need; rows lie in `scratch` until the end, not in memory."""

    def __init__(
        self, file: IO[bytes], columns: Sequence[tuple[str, str]], title: str, sheet_rows: int, scratch: str
    ) -> None:
        try:
            import xlsxwriter
        except ImportError as missing:
            raise ExportFormatMissing("XLSX", "exports") from missing
        self._columns = columns
        self._title = title
        self._sheet_rows = sheet_rows
        options: dict[str, Any] = {
            "constant_memory": True,
            "tmpdir": scratch,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._book: Workbook = xlsxwriter.Workbook(file, options)
        self._heading = self._book.add_format({"bold": True})
        self._sheets = 0
        self._sheet: Worksheet = self._add_sheet()

    def _add_sheet(self) -> Worksheet:
        self._sheets += 1
        sheet = self._book.add_worksheet(self._title if self._sheets == 1 else f"{self._title}{self._sheets}")
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(self._columns) - 1, 20)
        for at, (_, heading) in enumerate(self._columns):
            sheet.write_string(0, at, heading, self._heading)
        self._row = 1
        return sheet

    def write(self, row: Mapping[str, str]) -> None:
        if self._row == self._sheet_rows:
            self._sheet = self._add_sheet()
        for at, (name, _) in enumerate(self._columns):
            self._sheet.write_string(self._row, at, _fitting(row[name]))
        self._row += 1

    def finish(self) -> None:
        self._book.close()

    def close(self) -> None:
        """Close what rows lie in; an unfinished book leaves that open."""
        for sheet in self._book.worksheets():
            if not sheet.row_data_fh.closed:
                sheet.row_data_fh.close()


def _fitting(cell: str) -> str:
    """Cut a cell that no sheet can hold, and say so in it."""
    if len(cell.encode("utf-16-le")) // 2 <= _LONGEST_CELL:
        return cell
    room = 2 * (_LONGEST_CELL - len(_CUT))
    return cell.encode("utf-16-le")[:room].decode("utf-16-le", "ignore") + _CUT
