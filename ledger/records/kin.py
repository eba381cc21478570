"""Kin: what a record hangs on and what hangs on it, however deep; not what else hangs on the same.

A commitment rests on its verification, a finding on its commitment: the one proves nothing without the other.
Operations are nobody's kin: a legal hold names the record that it is on, and is no part of its case.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from ledger.records.lifecycle import FAMILY_NUMBERS
from ledger.records.projections import StoredRow

_OPERATION = FAMILY_NUMBERS["operation"]
Ask = Callable[[str, list[bytes]], Iterable[StoredRow]]
"""Gives the rows whose column, `record` or `parent`, has one of some values."""


def read_kin(records: Collection[bytes], ask: Ask) -> dict[bytes, StoredRow]:
    """Read some records and all kin of theirs, by record; those that do not exist are not in the answer."""
    found: dict[bytes, StoredRow] = {}
    above = set(records)
    while above:
        rows = list(ask("record", list(above)))
        found.update({row.record: row for row in rows})
        above = {row.parent for row in rows if _hangs(row) and row.parent is not None} - found.keys()
    below, seen = set(records), set(records)
    while below:
        rows = [row for row in ask("parent", list(below)) if _hangs(row)]
        found.update({row.record: row for row in rows})
        below = {row.record for row in rows} - seen
        seen |= below
    return found


class Kinship:
    """Tells kin among rows that were read with `read_kin`, and others."""

    def __init__(self, rows: Mapping[bytes, StoredRow]) -> None:
        self._above = {row.record: row.parent for row in rows.values() if _hangs(row) and row.parent is not None}
        self._below: dict[bytes, list[bytes]] = {}
        for record, parent in self._above.items():
            self._below.setdefault(parent, []).append(record)

    def of(self, record: bytes) -> set[bytes]:
        """Give a record and its kin."""
        line = {record}
        above = self._above.get(record)
        while above is not None and above not in line:
            line.add(above)
            above = self._above.get(above)
        below = [*self._below.get(record, ())]
        for one in below:  # grows while it is walked
            if one not in line:
                line.add(one)
                below += self._below.get(one, ())
        return line


def _hangs(row: StoredRow) -> bool:
    return row.family != _OPERATION
