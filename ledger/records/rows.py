"""Rows of the projection table as values."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.canonical import from_microseconds
from ledger.records.lifecycle import FAMILY_NAMES, STATE_NAMES
from ledger.records.projections import RecordRow, StoredRow

_BYTES = tuple(StoredRow._fields.index(name) for name in ("record", "subject", "case_key", "parent"))


def stored_row(columns: Iterable[object]) -> StoredRow:
    """Take the columns of the table `record`, in order, as a row; drivers differ in the type of bytes."""
    values = list(columns)
    for at in _BYTES:
        value = values[at]
        if value is not None and type(value) is not bytes:
            values[at] = bytes(value)  # type: ignore[call-overload]
    return StoredRow(*values)  # type: ignore[arg-type]


def read_row(stored: StoredRow) -> RecordRow:
    """Turn a stored row into a value with names and times."""
    given = stored._asdict()
    for name in ("opened_at", "changed_at", "due_at"):
        given[name] = None if given[name] is None else from_microseconds(given[name])
    given["family"], given["state"] = FAMILY_NAMES[stored.family], STATE_NAMES[stored.state]
    return RecordRow(**given)
