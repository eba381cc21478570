"""The rows of a dropped file, whatever form it has: CSV, JSON Lines or a spreadsheet (XLSX)."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, Any
from xml.parsers import expat

from connectors.errors import DropRefused

FORMATS = ("csv", "jsonl", "xlsx")
_Values = tuple[object, ...]
_SCALARS = (str, int, bool, type(None))
_BESIDE, _BEYOND = 100, 10_000
"""Columns and rows that may be formatted beside and below those that are filled."""
_ROUNDED = 10**15
_PLACE = re.compile(r"([A-Z]*)(\d*)", re.ASCII)
_NOWHERE = ("", "")


def read_rows(
    octets: bytes, format_: str, charset: str, columns: Sequence[str], *, rows: int, most_bytes: int
) -> Iterator[_Values]:
    """Give the rows of a file, each with the values of the columns in order; of a number, a day or nothing as such.

    `rows` is how many its manifest tells.

    Raises:
        DropRefused: the file is not of the format or the charset, or has other columns.
    """
    if format_ == "xlsx":
        return _xlsx_rows(octets, columns, rows, most_bytes)
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


def _xlsx_rows(octets: bytes, columns: Sequence[str], rows_told: int, most_bytes: int) -> Iterator[_Values]:
    sheet = _only_sheet(octets, len(columns), rows_told, most_bytes)
    rows = (_cells(count, row) for count, row in enumerate(_rows_of(sheet, len(columns) + _BESIDE)))
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


class _Look:
    """Looks at one part of a workbook before it is read: it has no document type, and a sheet no row or cell so far out
    that all before it would have to be made."""

    def __init__(self, columns: int, rows: int) -> None:
        self._most_columns, self._most_rows = columns + _BESIDE, rows + 1 + _BEYOND
        self._is_sheet: bool | None = None

    def at(self, part: IO[bytes]) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._refuse_type
        parser.StartElementHandler = self._begin
        try:
            parser.ParseFile(part)
        except expat.ExpatError as error:
            raise DropRefused(f"the file is no workbook (XLSX; {expat.ErrorString(error.code)})") from None

    def _refuse_type(self, *_: object) -> None:
        raise DropRefused("the file has a document type (DOCTYPE)")

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if self._is_sheet is None:
            self._is_sheet = local == "worksheet"
        if not self._is_sheet or local not in ("row", "c"):
            return
        place = _PLACE.fullmatch(attributes.get("r", ""))
        letters, digits = _NOWHERE if place is None else place.groups()
        if len(digits) > 7 or int(digits or 0) > self._most_rows or _column(letters) > self._most_columns:
            raise DropRefused("the sheet has rows or cells far beyond those of the manifest")


def _column(letters: str) -> int:
    number = 0
    for letter in letters[:4]:
        number = 26 * number + ord(letter) - 64
    return number


def _only_sheet(octets: bytes, columns: int, rows: int, most_bytes: int) -> Any:
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
                if part.filename.lower().endswith((".xml", ".rels", ".vml")):
                    with packed.open(part) as unpacked:
                        _Look(columns, rows).at(unpacked)
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


def _rows_of(sheet: Any, columns: int) -> Iterator[Sequence[Any]]:
    try:
        yield from sheet.iter_rows(max_col=columns)
    except Exception as error:  # read as it is asked for, and openpyxl raises whatever its reader comes upon
        raise DropRefused(f"the sheet cannot be read ({type(error).__name__})") from None


def _cells(count: int, row: Sequence[Any]) -> _Values:
    """Give what cells hold, without those at the end that are empty; what is computed is refused, for nobody knows
    when it was."""
    if any(cell.data_type in ("f", "e") for cell in row):
        raise DropRefused(f"row {count} has a formula or an error" if count else "the header has a formula or an error")
    values = [cell.value for cell in row]
    if any(isinstance(held, int | float) and abs(held) >= _ROUNDED for held in values):
        raise DropRefused(f"row {count} has a number of more than 15 digits, of which a spreadsheet keeps 15")
    while values and values[-1] is None:
        values.pop()
    return tuple(values)


def _require_columns(found: Sequence[object], columns: Sequence[str]) -> None:
    if tuple(found) != tuple(columns):
        raise DropRefused("the file does not have the columns of its manifest")


def _require_width(count: int, row: Sequence[object], columns: Sequence[str]) -> None:
    if len(row) != len(columns):
        raise DropRefused(f"row {count} does not have {len(columns)} values")
