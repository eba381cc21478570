"""The rows of a dropped file, whatever form it has: CSV, JSON Lines or a spreadsheet (XLSX)."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from connectors.errors import DropRefused

FORMATS = ("csv", "jsonl", "xlsx")
_Values = tuple[object, ...]
_SCALARS = (str, int, bool, type(None))
_DOCTYPE = b"<!DOCTYPE"
_HEAD = 1024
"""Bytes at the beginning of a part of a workbook among which a document type would stand."""


def read_rows(octets: bytes, format_: str, charset: str, columns: Sequence[str], most_bytes: int) -> Iterator[_Values]:
    """Give the rows of a file, each with the values of the columns in order; of a number, a day or nothing as such.

    Raises:
        DropRefused: the file is not of the format or the charset, or has other columns.
    """
    if format_ == "xlsx":
        return _xlsx_rows(octets, columns, most_bytes)
    try:
        content = octets.decode("utf-8-sig" if charset == "utf-8" else charset)
    except UnicodeDecodeError:
        raise DropRefused(f"the file is not {charset}") from None
    return _csv_rows(content, columns) if format_ == "csv" else _jsonl_rows(content, columns)


def _csv_rows(content: str, columns: Sequence[str]) -> Iterator[_Values]:
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    count = 0
    try:
        _require_columns(next(reader, ()), columns)
        for count, row in enumerate(reader, 1):
            _require_width(count, row, columns)
            yield tuple(row)
    except csv.Error:
        raise DropRefused(f"row {count + 1} is not CSV") from None


def _jsonl_rows(content: str, columns: Sequence[str]) -> Iterator[_Values]:
    names = set(columns)
    lines = content.removesuffix("\n").split("\n") if content else ()
    for count, line in enumerate(lines, 1):
        try:
            row = json.loads(line, object_pairs_hook=_different, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise DropRefused(f"row {count} is not JSON, or says one thing twice") from None
        if not isinstance(row, dict) or row.keys() != names:
            raise DropRefused(f"row {count} is no object of the columns of the manifest")
        if not all(isinstance(held, _SCALARS) for held in row.values()):
            raise DropRefused(f"row {count} has a value that is no text, whole number, truth or null")
        yield tuple(row[name] for name in columns)


def _different(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a name stands twice")
    return read


def _refuse(_constant: str) -> object:
    raise ValueError("no JSON")


def _xlsx_rows(octets: bytes, columns: Sequence[str], most_bytes: int) -> Iterator[_Values]:
    sheet = _only_sheet(octets, most_bytes)
    rows = (_cells(count, row) for count, row in enumerate(_rows_of(sheet)))
    _require_columns([held if isinstance(held, str) else "" for held in next(rows, ())], columns)
    empty = 0
    for count, row in enumerate(rows, 1):
        if not row:  # rows that were formatted and never filled come after all others
            empty += 1
            continue
        if empty:
            raise DropRefused(f"row {count} comes after an empty one")
        if len(row) > len(columns):
            _require_width(count, row, columns)
        yield (*row, *[None] * (len(columns) - len(row)))


def _only_sheet(octets: bytes, most_bytes: int) -> Any:
    """Open the one sheet of a workbook, which may not unpack to more than a file may have."""
    try:
        import openpyxl
    except ImportError:
        raise DropRefused("a spreadsheet, and chengxin[drops] is not installed") from None
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as packed:
            if sum(part.file_size for part in packed.infolist()) > most_bytes:
                raise DropRefused(f"the file unpacks to more than {most_bytes} bytes")
            for part in packed.infolist():
                with packed.open(part) as unpacked:
                    if _DOCTYPE in unpacked.read(_HEAD):
                        raise DropRefused("the file has a document type (DOCTYPE)")
        book = openpyxl.load_workbook(io.BytesIO(octets), read_only=True, data_only=False, keep_links=False)
    except DropRefused:
        raise
    except Exception as error:  # openpyxl raises whatever its parts come upon in a file that is none
        raise DropRefused(f"the file is no workbook (XLSX; {type(error).__name__})") from None
    if len(book.sheetnames) != 1 or len(book.worksheets) != 1:
        raise DropRefused(f"the file has {len(book.sheetnames)} sheets: which is meant?")
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # what a sheet says of its own extent is often wrong, and would cut rows off
    return sheet


def _rows_of(sheet: Any) -> Iterator[Sequence[Any]]:
    try:
        yield from sheet.iter_rows()
    except Exception as error:  # read as it is asked for, and openpyxl raises whatever its reader comes upon
        raise DropRefused(f"the sheet cannot be read ({type(error).__name__})") from None


def _cells(count: int, row: Sequence[Any]) -> _Values:
    """Give what cells hold, without those at the end that are empty; what is computed is refused, for nobody knows
    when it was."""
    if any(cell.data_type in ("f", "e") for cell in row):
        raise DropRefused(f"row {count} has a formula or an error" if count else "the header has a formula or an error")
    values = [cell.value for cell in row]
    while values and values[-1] is None:
        values.pop()
    return tuple(values)


def _require_columns(found: Sequence[object], columns: Sequence[str]) -> None:
    if tuple(found) != tuple(columns):
        raise DropRefused("the file does not have the columns of its manifest")


def _require_width(count: int, row: Sequence[object], columns: Sequence[str]) -> None:
    if len(row) != len(columns):
        raise DropRefused(f"row {count} does not have {len(columns)} values")
