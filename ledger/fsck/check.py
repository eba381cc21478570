"""The check as a whole: three passes over one log, of the size it had when the check began, and its other tables."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ledger.anchors.token import require_rfc3161
from ledger.errors import LedgerDamaged, ResumeRefused
from ledger.fsck.erasures import ErasurePass
from ledger.fsck.findings import Damage, Findings, FsckReport, Progress
from ledger.fsck.indexes import IndexPass, reach_of_indexes
from ledger.fsck.ranges import SPAN
from ledger.fsck.records import check_records, find_unprojected, split_records
from ledger.fsck.signatures import KeysOverTime, Signatures, StoredCheckpoint
from ledger.fsck.snapshot import snapshot
from ledger.fsck.state import FsckState, RecordsDone, read_state_file, write_state
from ledger.fsck.stored import examine_stored
from ledger.fsck.tables import TablesPass
from ledger.fsck.tree import LogPass, Position
from ledger.fsck.workers import Workers, cores
from ledger.log.databases import database_at
from ledger.log.guards import wrong_tables
from ledger.log.note import Verifier
from ledger.log.store import Head, Store, open_store, read_head
from ledger.vault import MasterKeys

_PARTS = 64
"""Into how many parts the records of a large log are cut."""


def fsck(
    url: str,
    *,
    verifiers: Sequence[Verifier] | KeysOverTime,
    origin: str,
    master_keys: MasterKeys | None = None,
    witnesses: Sequence[Verifier] = (),
    progress: Progress | None = None,
    workers: int | None = None,
    resume: Path | None = None,
    leaves_from_tiles: bool = False,
    inline: bool = False,
) -> FsckReport:
    """Check a whole ledger, also one that is being appended to, or a copy on read-only media.

    `verifiers` are the log's keys, or their history; `witnesses` the keys by which further lines and cosignatures are
    verified. Lines of other keys are counted.
    `workers` is the number of processes (None: as many as cores, or none beside this one for a small log). With
    `resume`, what an earlier run verified of the same log is skipped, and how far this one comes is kept in that file.
    With `leaves_from_tiles` only hashes are read, from the tiles: roots and signatures are checked, entries are not.
    With `inline`, the ledger signs with each commit: there can be no checkpoint that is not published.

    What the database cannot read of itself is damage like any other: it is named, and the rest is checked.

    Raises:
        StoreMissing, SchemaNewer, SchemaOlder: there is no store this program can open.
        ResumeRefused: the file is of another log or another kind of check.
        LedgerUnavailable: the database cannot be read.
        ExtraMissing: there are time stamps, and what reads them is not installed.
    """
    try:
        store = open_store(url, readers=2, unhurried=True)
    except LedgerDamaged as damage:
        return _unopened(url, damage)
    count = cores() if workers is None else workers
    signatures = Signatures(verifiers, origin, witnesses, count)
    try:
        check = _Check(store, url, origin, signatures, master_keys, hashed=not leaves_from_tiles, inline=inline)
        return check.run(progress or (lambda done, total: None), workers, count, resume)
    finally:
        signatures.close()
        store.close()


class _Check:
    def __init__(
        self,
        store: Store,
        url: str,
        origin: str,
        signatures: Signatures,
        master_keys: MasterKeys | None,
        *,
        hashed: bool,
        inline: bool,
    ) -> None:
        self._store = store
        self._url = url
        self._origin = origin
        self._signatures = signatures
        self._master_keys = master_keys
        self._hashed = hashed
        self._inline = inline
        self._findings = Findings()
        self._resume: Path | None = None
        self._state: FsckState | None = None

    def run(self, progress: Progress, workers: int | None, count: int, resume: Path | None) -> FsckReport:
        try:
            with snapshot(self._store) as view:
                missing = list(wrong_tables(view.connection))
                if missing:
                    self._findings.add_all(Damage(index=None, what=what) for what in missing)
                    return self._findings.report(0)
                head = read_head(view.connection)
                if view.attempt("SELECT 1 FROM anchor LIMIT 1"):
                    require_rfc3161()
        except LedgerDamaged as damage:
            return _unread(self._store, self._findings, damage)
        self._resume = resume
        start = self._start(head)
        if workers is None and head.size < 2 * SPAN:
            count = 1
        total, later = head.size, progress
        if self._hashed:
            total = 3 * head.size + self._index_reach(head.size)
            later = _after(head.size, progress)
            examine_stored(
                self._store, self._findings, lambda share: progress(int(share * head.size), total), size=head.size
            )
        with Workers(count) as pool:
            self._check_log(pool, head, start, later, total)
            if self._hashed:
                self._check_records(pool, head, later, total)
        with snapshot(self._store) as view:
            if self._hashed:
                with view.despite_damage(lambda: self._findings.add(None, "what was erased cannot be read to its end")):
                    ErasurePass(view, self._findings, origin=self._origin, master_keys=self._master_keys).run()
            TablesPass(view, self._origin, self._findings).run(entries=self._hashed, inline=self._inline)
        progress(total, total)
        self._findings.unverified = self._signatures.unverified
        return self._findings.report(head.size)

    def _index_reach(self, size: int) -> int:
        with snapshot(self._store) as view, view.despite_damage(lambda: None):
            return reach_of_indexes(view, size)
        return 0

    # --- the log ---

    def _check_log(self, pool: Workers, head: Head, start: Position | None, progress: Progress, total: int) -> None:
        try:
            log = LogPass(self._store, head, self._signatures, self._findings, start=start)
        except LedgerDamaged as damage:
            raise ResumeRefused(f"the log is not the one that was verified before: {damage}") from damage
        if start is not None and log.grown_root() != start.root:
            raise ResumeRefused("the log is not the one that was verified before: its tiles lead to another root")
        for position in log.run(self._url, pool, hash_leaves=self._hashed, progress=progress, total=total):
            if position is not None and position != start:
                self._save(position)

    def _start(self, head: Head) -> Position | None:
        """Read from where to go on, if an earlier run left word of it that can be believed."""
        self._state = state = None if self._resume is None else read_state_file(self._resume)
        if state is None:
            return None
        if state.origin != self._origin:
            raise ResumeRefused(f"the state is of log {state.origin!r}")
        if self._hashed and not state.hashed:
            raise ResumeRefused("the earlier check did not read the entries")
        if self._master_keys is not None and not state.opened:
            self._state = state = replace(state, records=None)
        self._require_signed(state, head)
        if state.size == 0:
            return None  # nothing to skip but the empty tree
        self._findings.checkpoints = state.checkpoints
        self._findings.skipped = state.size
        return Position(state.size, state.root, state.note, state.checkpoints)

    def _require_signed(self, state: FsckState, head: Head) -> None:
        """Require that a checkpoint signed of what would be skipped is one of this log still."""
        with snapshot(self._store) as view:
            found = view.all("SELECT size, root, note FROM checkpoint WHERE note = ?", state.note)
        row = StoredCheckpoint(*found[0]) if found else None
        if row is None or self._signatures.wrong(row) is not None:
            raise ResumeRefused("the checkpoint of the state is not one of this log")
        if state.size % SPAN or not state.size <= row.size <= head.size:
            raise ResumeRefused("the state reaches beyond its checkpoint")

    def _save(self, position: Position) -> None:
        self._state = FsckState(
            origin=self._origin,
            hashed=self._hashed,
            opened=self._master_keys is not None,
            size=position.size,
            root=position.root,
            note=position.note,
            checkpoints=position.checkpoints,
            records=None if self._state is None else self._state.records,
        )
        self._write()

    def _write(self) -> None:
        if self._resume is not None and self._state is not None and not self._findings.damages:
            write_state(self._resume, self._state)

    # --- the records ---

    def _check_records(self, pool: Workers, head: Head, progress: Progress, total: int) -> None:
        size, findings = head.size, self._findings
        with snapshot(self._store) as view:
            parts = _PARTS if size >= SPAN else 1
            tasks = split_records(
                view, url=self._url, size=size, origin=self._origin, master_keys=self._master_keys, parts=parts
            )
        parts = len(tasks)
        done = self._records_done(size, parts)
        tasks = tasks[done.parts :]
        whole = True
        if not _can_be_sent(self._master_keys):
            pool = Workers(1)
        entries, indexes = done.entries, list(done.indexes)
        findings.records = done.records
        for number, result in enumerate(pool.run(check_records, tasks), done.parts + 1):
            findings.records += result.records
            findings.add_all(result.damages)
            entries += result.entries
            indexes += result.indexes
            whole = whole and result.whole
            progress(size + entries, total)
            self._save_records(
                RecordsDone(
                    size=size, parts=number, of=parts, entries=entries, records=findings.records, indexes=tuple(indexes)
                )
            )
        with snapshot(self._store) as view:
            if whole and entries != size:
                findings.add_all(find_unprojected(view, size))
                if not findings.damages:
                    findings.add(None, f"{entries} entries are in records, of {size}")
            with view.despite_damage(lambda: findings.add(None, "the index of records cannot be read to its end")):
                index = IndexPass(view, size, sorted(indexes, key=lambda one: one[0]), findings)
                index.run(progress, 2 * size, total)

    def _records_done(self, size: int, parts: int) -> RecordsDone:
        done = None if self._state is None else self._state.records
        if done is None or (done.size, done.of) != (size, parts):
            return RecordsDone(size=size, parts=0, of=parts, entries=0, records=0, indexes=())
        return done

    def _save_records(self, done: RecordsDone) -> None:
        if self._state is not None:
            self._state = replace(self._state, records=done)
            self._write()


def _unopened(url: str, damage: LedgerDamaged) -> FsckReport:
    store = Store(database_at(url, unhurried=True), 1)
    try:
        return _unread(store, Findings(), damage)
    finally:
        store.close()


def _unread(store: Store, findings: Findings, damage: LedgerDamaged) -> FsckReport:
    """Report on a store of which not even the head can be read, as far as its database can tell why."""
    examine_stored(store, findings)
    if not findings.damages:
        findings.add(None, str(damage))
    return findings.report(0)


def _after(before: int, progress: Progress) -> Progress:
    """Count on from what was done before."""
    return lambda done, total: progress(before + done, total)


def _can_be_sent(master_keys: MasterKeys | None) -> bool:
    """Tell whether keys can be handed to another process; those in a device cannot."""
    try:
        pickle.dumps(master_keys)
    except Exception:  # whatever a provider raises, it means no
        return False
    return True
