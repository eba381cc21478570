"""The stored index of records, brought up to date from the entries since it was last.

It is no part of the append path: its pages follow the log, in transactions of their own, and every state of theirs is
the index of some size of it. Which sizes count is what `IndexCommitted` entries say. Nothing is built upon what is
stored before it is known to be the index of the log (`ledger.completeness.trust`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from ledger.completeness.changes import index_key, read_changes
from ledger.completeness.commitment import INDEX_KIND, index_claim, read_index
from ledger.completeness.pages import prove_key, update_pages
from ledger.completeness.smt import MapProof
from ledger.completeness.trust import NOTHING_INDEXED, REMEDY, CommittedTree, IndexState, require_state
from ledger.errors import LedgerDamaged, LedgerUnavailable
from ledger.log import schema
from ledger.log.databases import Database, upsert_clause
from ledger.log.store import Store, cause_of, read_head
from ledger.records.codec import Entry
from ledger.records.commitments import PUBLIC_GROUP, VaultGroup

CHUNK = 16_384
"""Entries a transaction: it bounds memory."""
_CHUNK_SQLITE = 8192
"""There it also bounds how long appends wait for the file."""
_PAUSE_SQLITE = 0.12
"""Seconds between transactions: who waits for an SQLite file looks at least ten times a second whether it is free."""
_PAGES = upsert_clause(schema.index_page)
_ROWS = "ON CONFLICT DO NOTHING"
Begin = Callable[[], AbstractContextManager[Connection]]
"""Begins a writing transaction."""


class CommittedRoot(NamedTuple):
    """An index that an entry commits to, and the record of that entry."""

    state: IndexState
    record: bytes


class CommittedRoots:
    """Collects what entries commit to, from entries and their documents."""

    def __init__(self) -> None:
        self.found: list[CommittedRoot] = []

    def notice(self, entry: Entry, groups: Mapping[str, VaultGroup]) -> None:
        """Take an entry with its document; others than those that commit to an index are passed over."""
        if entry.kind == INDEX_KIND and PUBLIC_GROUP in groups:
            index = read_index(entry, groups[PUBLIC_GROUP].value)
            if index is not None:
                self.found.append(CommittedRoot(IndexState(size=index[0], root=index[1]), entry.record))


class StoredPages:
    """The pages in the table `index_page`, through one transaction."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._database = database
        self._connection = connection

    def load(self, paths: Sequence[bytes]) -> dict[bytes, bytes]:
        """Read pages."""
        if not paths:
            return {}
        found = self._database.select_many(self._connection, schema.index_page, "path", paths)
        return {bytes(path): bytes(data) for path, data in found}

    def save(self, pages: Mapping[bytes, bytes]) -> None:
        """Write pages."""
        with self._database.writing(self._connection) as writes:
            writes.insert(schema.index_page, list(pages.items()), _PAGES)


class RecordIndex:
    """The index of one store. A process may keep it that does not append, as one that shares an SQLite ledger."""

    def __init__(self, store: Store, chunk: int | None = None, pause: float | None = None) -> None:
        one_writer = store.database.name == "sqlite"
        self._store = store
        self._chunk = chunk or (_CHUNK_SQLITE if one_writer else CHUNK)
        self._pause = (_PAUSE_SQLITE if one_writer else 0.0) if pause is None else pause

    def advance(self, progress: Callable[[int, int], None] | None = None) -> IndexState:
        """Bring the index up to the log as it is now, or further if another process already has.

        Any number of processes may do so at once: they take turns at the state row, and each state is computed from
        committed entries, which never change. Memory is bounded by the chunk.

        Raises:
            LedgerDamaged: entries, tiles or pages contradict each other or what was committed to; nothing is written.
            LedgerUnavailable: the database refused.
        """
        with self._store.reading() as connection:
            target = read_head(connection).size
        with self._transactions() as begin:
            state = self._advance(begin, target, progress)
            with begin() as connection:
                self._keep_root(connection, state)
        return state

    def rebuild(
        self, committed: Sequence[CommittedRoot] = (), progress: Callable[[int, int], None] | None = None
    ) -> IndexState:
        """Compute every page again from the log, up to the newest index that entries commit to; raises as `advance`.

        `committed` is all that entries commit to. Roots and claims of theirs that are lost are kept again; what is
        kept otherwise than they say is left for a check to name.
        """
        table = schema.index_root
        with self._transactions() as begin:
            with begin() as connection:
                connection.execute(schema.index_page.delete())
                connection.execute(schema.index_state.delete())
                with self._store.database.writing(connection) as writes:
                    writes.insert(table, [(one.state.size, one.state.root) for one in committed], _ROWS)
                    claims = [(index_claim(one.state.size), one.record) for one in committed]
                    writes.insert(schema.uniqueness, claims, _ROWS)
            target = max((one.state.size for one in committed), default=0)
            return self._advance(begin, target, progress) if committed else NOTHING_INDEXED

    def _advance(self, begin: Begin, target: int, progress: Callable[[int, int], None] | None) -> IndexState:
        trusted = NOTHING_INDEXED
        while True:
            trusted = self._examine(trusted)
            with begin() as connection:
                state = self._step(connection, target, trusted)
            if state is None:
                continue
            trusted = state
            if progress is not None:
                progress(state.size, max(target, state.size))
            if state.size >= target:
                return state
            time.sleep(self._pause)

    def _examine(self, known: IndexState) -> IndexState:
        """Return the stored state, which must be the index of the log; an own transaction, for it can take long."""
        with self._store.reading() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            state = read_state(connection) or NOTHING_INDEXED
            pages = StoredPages(self._store.database, connection)
            require_state(connection, pages, state, known=known, chunk=self._chunk)
        return state

    @contextmanager
    def _transactions(self) -> Iterator[Begin]:
        """Lend what begins transactions, on a connection beside the one that appends."""
        database = self._store.database
        engine = database.writer()
        try:
            yield engine.begin
        except (DBAPIError, database.errors) as failure:
            raise LedgerUnavailable(f"the index could not be written ({cause_of(failure)})") from failure
        finally:
            engine.dispose()

    def _step(self, connection: Connection, target: int, trusted: IndexState) -> IndexState | None:
        """Go on by a chunk from the state that is known to be right; None if it is not the stored one any more."""
        database, table = self._store.database, schema.index_state
        with database.writing(connection) as writes:
            writes.insert(table, [(1, NOTHING_INDEXED.size, NOTHING_INDEXED.root)], _ROWS)
        state = read_state(connection, lock=True)
        if state != trusted:
            return None
        if state.size < target:
            end = min(target, state.size + self._chunk)
            CommittedTree(connection).require_entries(state.size, end)
            changes = read_changes(connection, state.size, end)
            try:
                root = update_pages(StoredPages(database, connection), changes, state.root)
            except LedgerDamaged as damage:
                raise LedgerDamaged(f"{damage}: {REMEDY}") from damage
            state = IndexState(size=end, root=root)
            connection.execute(table.update().where(table.c.id == 1).values(size=state.size, root=state.root))
        return state

    def _keep_root(self, connection: Connection, state: IndexState) -> None:
        table = schema.index_root
        with self._store.database.writing(connection) as writes:
            writes.insert(table, [(state.size, state.root)], _ROWS)
        kept = connection.execute(select(table.c.root).where(table.c.size == state.size)).scalar_one()
        if bytes(kept) != state.root:
            raise LedgerDamaged(f"the index of size {state.size} had another root before")


def read_state(connection: Connection, *, lock: bool = False) -> IndexState | None:
    """Read how far the index has come; None if it was never made."""
    question = select(schema.index_state.c.size, schema.index_state.c.root).where(schema.index_state.c.id == 1)
    row = connection.execute(question.with_for_update() if lock else question).one_or_none()
    return None if row is None else IndexState(size=row.size, root=bytes(row.root))


def prove_record(database: Database, connection: Connection, record: bytes) -> MapProof:
    """Prove what the stored index holds of a record, or that it holds nothing; raises `LedgerDamaged`."""
    return prove_key(StoredPages(database, connection), index_key(record))
