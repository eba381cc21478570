"""Rows of the projection table as values, and back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from ledger.canonical import format_time, parse_time
from ledger.log import schema
from ledger.records.projections import RecordRow

_COLUMNS = tuple(column.name for column in schema.record.columns)
_BYTES = frozenset({"record", "last_leaf_hash", "subject", "case_key", "parent"})
_TIMES = frozenset({"opened_at", "changed_at", "due_at"})


def read_row(mapping: Any) -> RecordRow:
    """Turn a row of the table `record` into a value."""
    return RecordRow(**{name: _read(name, mapping[name]) for name in _COLUMNS})


def _read(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _BYTES:
        return bytes(value)
    return parse_time(value) if name in _TIMES else value


def write_row(row: RecordRow) -> list[object]:
    """Turn a value into a row of the table `record`, all columns in order."""
    return [_write(getattr(row, name)) for name in _COLUMNS]


def _write(value: object) -> object:
    return format_time(value) if isinstance(value, datetime) else value


def read_rows(connection: Connection, records: Iterable[bytes]) -> dict[bytes, RecordRow]:
    """Read the current state of some records in one question."""
    question = select(schema.record).where(schema.record.c.record.in_(list(records)))
    found = (read_row(row) for row in connection.execute(question).mappings())
    return {row.record: row for row in found}
