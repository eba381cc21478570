"""What was destroyed, beside the entries that say so: each destroyed document is told of, and each one told of is gone.

A `DocumentErased` entry lists the records whose documents it destroys, in its own document. So without master keys only
this much is known: that some such entry came after what is destroyed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence

from ledger.canonical import Json
from ledger.completeness.changes import record_of
from ledger.errors import EntryError, LedgerDamaged, VaultError
from ledger.fsck.findings import Findings
from ledger.fsck.snapshot import Snapshot
from ledger.records.codec import decode_entry
from ledger.records.lifecycle import FAMILY_NUMBERS, STATE_NUMBERS
from ledger.vault import MasterKeys, SealedDocument, Vault
from ledger.vault.opening import Stored, examine, open_committed

ERASING = "DocumentErased"
_GROUP = "erased"
_QUESTION = 200
"""Records a question."""
_OPERATIONS = (
    "SELECT e.idx, e.leaf, k.master_version, k.wrapped, k.destroyed_at, d.sealed FROM record r "
    "JOIN entry e ON e.idx = r.last_idx LEFT JOIN vault_key k ON k.idx = e.idx "
    "LEFT JOIN vault_document d ON d.idx = e.idx WHERE r.family = ? AND r.state = ?"
)
_DESTROYED = "SELECT k.idx, e.leaf FROM vault_key k JOIN entry e ON e.idx = k.idx WHERE k.destroyed_at IS NOT NULL"


class ErasurePass:
    """Compares the vault with what entries say was erased; what they list is kept in a temporary file."""

    def __init__(self, view: Snapshot, findings: Findings, *, origin: str, master_keys: MasterKeys | None) -> None:
        self._view = view
        self._findings = findings
        self._vault = None if master_keys is None else Vault(master_keys, origin, os.urandom)
        self._unread = -1
        """The newest erasing entry whose list cannot be read: what it covered, nobody can tell."""
        self._listed = sqlite3.connect("")
        self._listed.execute("CREATE TABLE listed (record BLOB PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID")

    def run(self) -> None:
        """Check; raises nothing for what is wrong."""
        try:
            operations = (FAMILY_NUMBERS["operation"], STATE_NUMBERS["DONE"])
            for idx, leaf, *beside in self._view.stream("fsck_erasing", _OPERATIONS, *operations):
                self._note(idx, bytes(leaf), Stored(*beside))
            self._check_destroyed()
            self._check_gone()
        finally:
            self._listed.close()

    def _note(self, idx: int, leaf: bytes, beside: Stored) -> None:
        """Keep what an entry lists, if it is one that erases."""
        try:
            entry = decode_entry(leaf)
            if entry.kind != ERASING:
                return
            found = examine(beside, entry.commits)
            if self._vault is None or (entry.commits and not isinstance(found, SealedDocument)):
                self._unread = max(self._unread, idx)
                return
            groups = {}
            if isinstance(found, SealedDocument):
                groups = open_committed(self._vault, entry.record, found, dict(entry.commits))
        except (EntryError, LedgerDamaged, VaultError):
            self._unread = max(self._unread, idx)  # another pass names what is wrong with it
            return
        records = _records(groups[_GROUP].value if _GROUP in groups else [])
        if records is None:
            self._findings.add(idx, "the entry does not list records that it erases")
            return
        newest = "INSERT INTO listed VALUES (?, ?) ON CONFLICT (record) DO UPDATE SET idx = max(idx, excluded.idx)"
        self._listed.executemany(newest, [(record, idx) for record in records])

    def _check_destroyed(self) -> None:
        for idx, leaf in self._view.stream("fsck_destroyed", _DESTROYED):
            try:
                record = record_of(bytes(leaf))
            except LedgerDamaged:
                continue
            found = self._listed.execute("SELECT idx FROM listed WHERE record = ?", (record,)).fetchone()
            if idx > max(self._unread, -1 if found is None else found[0]):
                self._findings.add(idx, "the entry's document is destroyed, and no later entry says that it was erased")

    def _check_gone(self) -> None:
        rows = self._listed.execute("SELECT record, idx FROM listed")
        while some := rows.fetchmany(_QUESTION):
            until = dict(some)
            chosen = [idx for idx, record in self._entries(list(until)) if idx <= until[record]]
            for start in range(0, len(chosen), _QUESTION):
                part = chosen[start : start + _QUESTION]
                marks = ",".join("?" * len(part))
                alive = f"SELECT idx FROM vault_key WHERE idx IN ({marks}) AND destroyed_at IS NULL"  # noqa: S608
                stands = f"SELECT idx FROM vault_document WHERE idx IN ({marks})"  # noqa: S608
                for (idx,) in self._view.all(f"{alive} UNION {stands} ORDER BY 1", *part, *part):
                    self._findings.add(idx, "the entry's document was erased, and is there again")

    def _entries(self, records: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        marks = ",".join("?" * len(records))
        first = f"SELECT first_idx, record FROM record WHERE record IN ({marks})"  # noqa: S608
        later = f"SELECT idx, record FROM entry WHERE record IN ({marks})"  # noqa: S608
        for idx, record in self._view.all(f"{first} UNION ALL {later}", *records, *records):
            yield idx, bytes(record)


def _records(value: Json) -> list[bytes] | None:
    if not isinstance(value, list):
        return None
    try:
        records = [bytes.fromhex(one) if isinstance(one, str) else b"" for one in value]
    except ValueError:
        return None
    return records if all(len(record) == 16 for record in records) else None
