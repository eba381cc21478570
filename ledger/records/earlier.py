"""A record as it stood before its newest entry, from its entries and what is kept behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ledger.canonical import microseconds
from ledger.records.chains import facts_of
from ledger.records.lifecycle import opening
from ledger.records.projections import RecordRow, StoredRow, fold, open_row
from ledger.records.register import HistoryLine
from ledger.records.rows import read_row
from ledger.vault import VaultGroup

Step = tuple[HistoryLine, Mapping[str, VaultGroup] | None]
"""An entry of a record, and the document behind it; None where it never had one."""


def row_after(record: bytes, steps: Iterable[Step]) -> RecordRow:
    """Fold the first entries of a record, oldest first, into its row as it was after them.

    Raises:
        TransitionRefused: they are not the beginning of a record's life.
    """
    row: StoredRow | None = None
    for line, groups in steps:
        at, facts = microseconds(line.at), facts_of(groups)
        if row is None:
            row = open_row(record, opening(record, line.kind), line.idx, at, facts)
        else:
            row = fold(row, line.kind, line.idx, at, facts)
    if row is None:
        raise ValueError("a record begins with an entry")
    return read_row(row)
