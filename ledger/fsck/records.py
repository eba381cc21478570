"""The second pass: every record's chain, its documents and its projection, and that no entry is in none.

Each chain is followed from the row of the projection. Every entry counted is a different one: a first entry names its
record, whose row is one, and a later one is read once from its own row. So if as many were counted as the log has,
each entry is in exactly one chain.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from ledger.canonical import microseconds
from ledger.completeness.changes import record_of
from ledger.completeness.commitment import INDEX_KIND
from ledger.errors import EntryError, LedgerDamaged, TransitionRefused, VaultError
from ledger.fsck.findings import Damage
from ledger.fsck.snapshot import Snapshot, snapshot_at
from ledger.merkle import hash_leaf
from ledger.records.chains import facts_of
from ledger.records.codec import Entry, decode_entry
from ledger.records.commitments import VaultGroup
from ledger.records.lifecycle import opening
from ledger.records.projections import StoredRow, fold, forget, open_row
from ledger.records.rows import stored_row
from ledger.vault import MasterKeys, SealedDocument, Vault
from ledger.vault.opening import Stored, examine, open_committed

_MOST_DAMAGES = 1000


class RecordsTask(NamedTuple):
    """The records with ids from `low` up to, without, `high` (None: no end); entries below `size` are counted."""

    url: str
    low: bytes
    high: bytes | None
    size: int
    origin: str
    master_keys: MasterKeys | None


class RecordsResult(NamedTuple):
    """What was found in a part of the records."""

    records: int
    entries: int
    indexes: list[tuple[int, dict[str, str]]]
    """Entries that commit to an index, and their commitments."""
    damages: list[Damage]
    whole: bool = True
    """Whether everything could be read."""


class _Stored(NamedTuple):
    """An entry and what the vault holds of it."""

    idx: int
    leaf: bytes
    beside: Stored


def split_records(
    view: Snapshot, *, url: str, size: int, origin: str, master_keys: MasterKeys | None, parts: int
) -> list[RecordsTask]:
    """Cut the ids of records into about `parts` ranges of equal share, in order.

    Ids begin with their time, and the load of a log changes with it: so the bounds are the ids of entries at equal
    distances in the log, which are the same whenever the same log is cut.
    """
    bounds = sorted({record for part in range(1, parts) for record in _record_at(view, size * part // parts)})
    ends = [*bounds, None]
    return [
        RecordsTask(url, low, high, size, origin, master_keys) for low, high in zip([b"", *bounds], ends, strict=True)
    ]


def _record_at(view: Snapshot, index: int) -> list[bytes]:
    try:
        found = view.attempt("SELECT leaf FROM entry WHERE idx = ?", index) or []
        return [record_of(bytes(leaf)) for (leaf,) in found]
    except LedgerDamaged:
        return []


def check_records(task: RecordsTask) -> RecordsResult:
    """Check one part of the records, as far as it can be read; raises as `snapshot_at`."""
    with snapshot_at(task.url) as view:
        return _Records(view, task).check()


class _Records:
    def __init__(self, view: Snapshot, task: RecordsTask) -> None:
        self._view = view
        self._task = task
        keys = task.master_keys
        self._vault = None if keys is None else Vault(keys, task.origin, os.urandom)
        self._damages: list[Damage] = []
        self._indexes: list[tuple[int, dict[str, str]]] = []
        self._entries = 0
        self._records = 0

    def check(self) -> RecordsResult:
        whole = False
        with self._view.despite_damage(self._break_off):
            self._check_all()
            whole = True
        return RecordsResult(self._records, self._entries, self._indexes, self._damages, whole)

    def _break_off(self) -> None:
        low, high = self._task.low.hex(), self._task.high
        bounds = (f" from {low}" if low else "") + ("" if high is None else f" to {high.hex()}")
        self._damage(None, f"the records{bounds} cannot be read to their end: {self._records} were")

    def _check_all(self) -> None:
        later = self._read_later()
        waiting = next(later, None)
        for row, first in self._read_rows():
            while waiting is not None and waiting[0] < row.record:
                waiting = self._orphan(waiting, later)
            chain = _Chain(row.record, self._vault)
            if first is None:
                chain.broken = True
                self._damage(row.first_idx, f"the first entry of record {row.record.hex()} is missing")
            else:
                self._follow(chain, first, later=False)
            while waiting is not None and waiting[0] == row.record:
                self._follow(chain, waiting[1], later=True)
                waiting = next(later, None)
            self._compare(row, chain)
            self._records += 1
        while waiting is not None:
            waiting = self._orphan(waiting, later)

    def _follow(self, chain: _Chain, stored: _Stored, *, later: bool) -> None:
        counted = stored.idx < self._task.size
        try:
            entry = decode_entry(stored.leaf)
            if entry.record != chain.record or (entry.seq > 0) != later:
                raise LedgerDamaged("the entry is of another record than the database says")
            self._entries += counted
            if counted and entry.kind == INDEX_KIND:
                self._indexes.append((stored.idx, dict(entry.commits)))
            chain.follow(stored, entry)
        except (EntryError, LedgerDamaged, TransitionRefused, VaultError) as failure:
            self._damage(stored.idx, str(failure))
            chain.broken = True

    def _compare(self, row: StoredRow, chain: _Chain) -> None:
        if chain.broken or chain.row is None:
            return
        folded, stored = chain.row, row
        if self._vault is None:
            folded, stored = forget(folded), forget(stored)
        if folded != stored:
            self._damage(row.last_idx, f"the projection of record {row.record.hex()} is not what its entries say")

    def _orphan(
        self, waiting: tuple[bytes, _Stored], later: Iterator[tuple[bytes, _Stored]]
    ) -> tuple[bytes, _Stored] | None:
        record, stored = waiting
        self._damage(stored.idx, f"the entry's record {record.hex()} is not projected")
        return next(later, None)

    def _damage(self, index: int | None, what: str) -> None:
        if len(self._damages) < _MOST_DAMAGES:
            self._damages.append(Damage(index=index, what=what))

    # --- reading ---

    def _read_rows(self) -> Iterator[tuple[StoredRow, _Stored | None]]:
        width = len(StoredRow._fields)
        columns = ", ".join(f"r.{name}" for name in StoredRow._fields)
        question = f"SELECT {columns}, e.idx, e.leaf, {self._vaulted()} FROM record r LEFT JOIN entry e ON e.idx = r.first_idx {_VAULT} WHERE {self._range('r')} ORDER BY r.record"  # noqa: S608, E501
        for values in self._view.stream("fsck_rows", question, *self._bounds()):
            yield stored_row(values[:width]), _stored(values[width:]) if values[width] is not None else None

    def _read_later(self) -> Iterator[tuple[bytes, _Stored]]:
        question = f"SELECT e.record, e.idx, e.leaf, {self._vaulted()} FROM entry e {_VAULT} WHERE e.record IS NOT NULL AND {self._range('e')} ORDER BY e.record, e.idx"  # noqa: S608, E501
        for values in self._view.stream("fsck_later", question, *self._bounds()):
            yield bytes(values[0]), _stored(values[1:])

    def _vaulted(self) -> str:
        sealed = "d.sealed" if self._vault is not None else "d.idx IS NOT NULL"
        return f"k.master_version, k.wrapped, k.destroyed_at, {sealed}"

    def _range(self, table: str) -> str:
        return f"{table}.record >= ?" + ("" if self._task.high is None else f" AND {table}.record < ?")

    def _bounds(self) -> list[bytes]:
        return [self._task.low] if self._task.high is None else [self._task.low, self._task.high]


_VAULT = "LEFT JOIN vault_key k ON k.idx = e.idx LEFT JOIN vault_document d ON d.idx = e.idx"


def _stored(values: tuple[Any, ...]) -> _Stored:
    idx, leaf, version, wrapped, destroyed_at, sealed = values
    return _Stored(idx, bytes(leaf), Stored(version, wrapped, destroyed_at, None if sealed in (0, None) else sealed))


class _Chain:
    """One record, folded entry by entry."""

    def __init__(self, record: bytes, vault: Vault | None) -> None:
        self.record = record
        self.broken = False
        self.row: StoredRow | None = None
        self._vault = vault
        self._newest: bytes | None = None

    def follow(self, stored: _Stored, entry: Entry) -> None:
        """Apply the next entry.

        Raises:
            LedgerDamaged: it does not continue the chain, or its document is not what it commits to.
            TransitionRefused: the lifecycle forbids it.
            VaultError: its document cannot be opened.
        """
        if self.broken:
            return
        row, at = self.row, microseconds(entry.at)
        if (entry.seq, entry.prev) != (0 if row is None else row.seq + 1, self._newest):
            raise LedgerDamaged("the entry does not continue the chain of its record")
        facts = facts_of(open_document(stored.beside, entry, self._vault))
        if row is None:
            self.row = open_row(entry.record, opening(entry.record, entry.kind), stored.idx, at, facts)
        else:
            self.row = fold(row, entry.kind, stored.idx, at, facts)
        self._newest = hash_leaf(stored.leaf)


def open_document(stored: Stored, entry: Entry, vault: Vault | None) -> dict[str, VaultGroup] | None:
    """Check the document beside an entry, as far as the vault can be opened; None if it is not.

    Raises:
        LedgerDamaged: it is missing without having been erased, is there though it was, or is another.
        VaultError: it cannot be opened.
    """
    found = examine(stored, entry.commits)
    if vault is None or not isinstance(found, SealedDocument):
        return None
    return open_committed(vault, entry.record, found, dict(entry.commits), strictly=True)


def find_unprojected(view: Snapshot, size: int) -> list[Damage]:
    """Name the first entries that no row of the projection begins with."""
    question = (
        "SELECT e.idx FROM entry e LEFT JOIN record r ON r.first_idx = e.idx "
        "WHERE e.record IS NULL AND e.idx < ? AND r.record IS NULL ORDER BY e.idx LIMIT ?"
    )
    found = view.all(question, size, _MOST_DAMAGES)
    return [Damage(index=index, what="the entry is in no record of the projection") for (index,) in found]
