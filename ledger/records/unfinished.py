"""What must come to its end before anything that it rests on is erased: findings that are open, and reports that the
credit platform was given and not yet told to end.

Without its documents nobody can close a finding, or tell whoever shows a report that it has ended: the person it is
about would stand accused, or shown, for ever. What can never end, because its own documents or those it hangs on are
erased already, keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger.records.kin import Kinship
from ledger.records.lifecycle import FAMILY_NUMBERS, STATE_NUMBERS
from ledger.records.projections import RecordRow, StoredRow

_UNFINISHED = {
    FAMILY_NUMBERS[family]: frozenset(STATE_NUMBERS[state] for state in states)
    for family, states in {
        "finding": ("DISCREPANCY", "EVIDENCE_REQUESTED", "FALSE_PROPOSED", "NOTIFIED", "DEFENCE_HEARD", "DECIDED"),
        "report": ("ISSUED", "ACKNOWLEDGED"),
    }.items()
}


def unfinished(record: bytes, rows: Mapping[bytes, StoredRow], kinship: Kinship) -> list[StoredRow]:
    """Pick what must end before a record is erased: itself, or what rests on it; `rows` are it and its kin."""
    found = [rows[one] for one in kinship.below(record) if one in rows]
    return sorted((row for row in found if _must_end(row, rows)), key=lambda row: row.first_idx)


def must_end(record: bytes, waiting: RecordRow) -> str:
    """Say that a record is not erased before something has ended."""
    return f"record {record.hex()} is erased only after {waiting.family} {waiting.record.hex()} ({waiting.state}) ended"


def _must_end(row: StoredRow, rows: Mapping[bytes, StoredRow]) -> bool:
    above = rows.get(row.parent) if row.parent is not None else None
    is_kept = row.unit is not None and (above is None or above.unit is not None)
    return is_kept and row.state in _UNFINISHED.get(row.family, frozenset())
