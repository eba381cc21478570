"""The sequencer: one batch of submissions in one transaction, from the head row's lock to the new head."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Column, Connection, bindparam, literal_column, select
from sqlalchemy.exc import DBAPIError

from ledger.appends.admission import Admitted
from ledger.appends.freshness import Fresh
from ledger.appends.identity import Identity
from ledger.appends.planning import HELD, Known, Plan, Planned
from ledger.appends.receipts import batch_paths
from ledger.appends.signing import SigningKeys
from ledger.appends.values import Accepted, Replay
from ledger.canonical import format_time
from ledger.errors import (
    AppendRefused,
    BatchSpoilt,
    LedgerDamaged,
    LedgerUnavailable,
    NoteError,
    SubmissionError,
    WrongKey,
    WrongOrigin,
)
from ledger.log import schema
from ledger.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.log.databases import Database, Done, Writes, upsert_clause
from ledger.log.remembered import require_prefix
from ledger.log.store import Head, Store, cause_of, lock_head, read_tile
from ledger.log.tiles import ExpandedTile, TileTree
from ledger.merkle import hash_leaf
from ledger.records.kin import read_kin
from ledger.records.projections import NO_FACTS, StoredRow
from ledger.records.rows import stored_row
from ledger.vault import erase_documents

_TRIES = 4
_TILES = upsert_clause(schema.tile)
_PLAIN = len(StoredRow._fields) - len(NO_FACTS)
_ADVANCE = (
    schema.head.update()
    .where(schema.head.c.id == literal_column("1"), schema.head.c.size == bindparam("old_size"))
    .values(size=bindparam("size"), root=bindparam("root"))
)
_ADVANCE_PUBLISHED = _ADVANCE.values(published=bindparam("published"), note=bindparam("note"))
_RECORDS = upsert_clause(schema.record)

_Decided = Planned | Replay | AppendRefused
Told = TypeVar("Told")
"""What is told of a submission that was accepted."""


class Committed(NamedTuple, Generic[Told]):
    """A batch that is durable: an outcome for each submission, and its checkpoint if it was signed with it.

    The answer to a replay is made afterwards, from what is committed.
    """

    outcomes: list[Told | Replay | AppendRefused]
    note: bytes


def _read_greatest(connection: Connection, column: Column[bytes]) -> bytes:
    return bytes(connection.execute(select(column).order_by(column.desc()).limit(1)).scalar() or b"")


class Sequencer(Generic[Told]):
    """Commits batches. Belongs to one thread; memory is trusted only as far as the head row agrees with it.

    With `inline`, the checkpoint of each batch is signed and published in the batch's own transaction, so that the
    first durable answer already carries its receipt; without, a publisher signs later. `tell` makes of a submission
    that was accepted, and that checkpoint, what its caller is told; nobody is told before the batch is durable, and
    `left` has the checkpoint before. `settled` is told as of which size each transaction was committed.
    """

    def __init__(
        self,
        store: Store,
        identity: Identity,
        now: Callable[[], datetime],
        keep_tiles: Callable[[dict[tuple[int, int], ExpandedTile]], None],
        tell: Callable[[Accepted, bytes], Told],
        *,
        inline: bool = True,
        left: Callable[[bytes], None] = lambda _note: None,
        settled: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self._store = store
        self._identity = identity
        self._signing = SigningKeys(identity)
        self._now = now
        self._keep_tiles = keep_tiles
        self._tell = tell
        self._inline = inline
        self._left = left
        self._settled = settled
        self._tree: TileTree | None = None
        self._root = b""
        self._records = self._keys = Fresh(b"")
        self._newest: Checkpoint | None = None

    def commit(self, batch: Sequence[Admitted]) -> Committed[Told]:
        """Append what the rules accept of a batch; one outcome for each submission, in order.

        Raises:
            SubmissionError: the database refuses a value of the one submission there is.
            BatchSpoilt: it refuses a value of one of several; to be committed one by one, so that only that one fails.
            LedgerUnavailable: nothing is known to be durable; memory is read again before the next batch.
            KeysRetired: others have retired every key that is here.
            LedgerDamaged: stored data contradict each other.
        """
        for attempt in range(_TRIES):
            try:
                return self._commit_once(batch)
            except (DBAPIError, self._store.database.errors) as failure:
                self._tree = None
                if self._store.database.blames_values(failure):
                    raise _refusal(failure, len(batch)) from None  # what the server says may show the value
                if self._store.database.is_damage(failure):
                    raise LedgerDamaged(f"what is stored is not a whole ledger ({cause_of(failure)})") from failure
                if attempt == _TRIES - 1 or not self._store.database.is_transient(failure):
                    raise LedgerUnavailable(f"the batch could not be committed ({cause_of(failure)})") from failure
            except BaseException:
                self._tree = None
                raise
        raise LedgerUnavailable("the batch could not be committed")

    def _commit_once(self, batch: Sequence[Admitted]) -> Committed[Told]:
        with self._store.writing() as connection:
            head = lock_head(self._store.database, connection)
            tree = self._tree_at(connection, head)
            plan = Plan(self._known(connection, head.size, batch))
            decided = [_decide(plan, admitted) for admitted in batch]
            if plan.entries:
                committed = self._write(connection, tree, head, plan, decided)
            else:
                committed = self._conclude(plan, decided, None, [])
        self._records.stored(plan.rows)
        self._keys.stored(plan.used)
        self._newest = Checkpoint(origin=self._identity.origin, size=tree.size, root=self._root)
        self._settled(tree.size)
        if committed.note:
            self._left(committed.note)
        self._keep_tiles(tree.settle())
        return committed

    def _tree_at(self, connection: Connection, head: Head) -> TileTree:
        tree = self._tree
        if tree is None or tree.size != head.size:
            self._signing.look(connection)  # the head is locked: nobody can retire a key before this batch is signed
            tree = load_tree(connection, head, self._identity)
            self._records = Fresh(_read_greatest(connection, schema.record.c.record))
            self._keys = Fresh(_read_greatest(connection, schema.idempotency.c.key))
            if self._newest is not None:  # a fail-over may have lost what this process has given receipts for
                require_prefix(self._newest, "this process", head.size, head.root, tree.node)
        elif self._root != head.root:
            raise LedgerDamaged(f"the head of size {head.size} has another root than this process wrote")
        # Tiles of old leaves are hardly ever asked for here, and only within this transaction.
        tree.load_with(lambda level, n: read_tile(connection, level, n))
        self._tree, self._root = tree, head.root
        return tree

    def _known(self, connection: Connection, size: int, batch: Sequence[Admitted]) -> Known:
        """Read what the rules need of what a batch is about."""
        database = self._store.database
        records = self._records.old({draft.record for one in batch for draft in one.drafts})
        once = self._keys.old({one.once[0] for one in batch if one.once is not None})
        keys: set[bytes] = set()
        doomed: set[bytes] = set()
        for admitted in batch:
            if admitted.erase or admitted.claim_keys:
                doomed.update([record for record, _ in admitted.erase])
                keys.update([key for key, _ in admitted.claim_keys])
        records |= doomed
        parents = {parent for one in batch for draft in one.drafts if (parent := draft.facts.get("parent"))}
        known = Known(size=size)
        found: list[StoredRow] = []
        if read := records | self._records.old(parents):
            found = _read_rows(database, connection, "record", list(read))
            known.rows = {row.record: row for row in found if row.record in records}
        if found:
            known.erased = _read_erased(database, connection, found)
        if known.rows:
            newest = {row.last_idx: row.record for row in known.rows.values()}
            entries = database.select_many(connection, schema.entry, "idx", list(newest))
            known.hashes = {newest[idx]: hash_leaf(bytes(leaf)) for idx, _, leaf in entries}
            if len(known.hashes) != len(known.rows):
                raise LedgerDamaged("the newest entry of a record is missing")
        if doomed:
            # What the batch begins may rest on a doomed record, and on another that is held.
            known.kin = read_kin(
                doomed | parents, lambda column, values: _read_rows(database, connection, column, values)
            )
            known.holds = _read_holds(database, connection, known.kin.values())
        if once:
            known.replays = read_replays(database.select_many(connection, schema.idempotency, "key", list(once)))
        if keys:
            claims = database.select_many(connection, schema.uniqueness, "key", list(keys))
            known.claims = {bytes(key): bytes(record) for key, record in claims}
        return known

    def _write(
        self, connection: Connection, tree: TileTree, head: Head, plan: Plan, decided: Sequence[_Decided]
    ) -> Committed[Told]:
        """Write a plan, and the tree as it becomes; returns what is told of it once it is committed.

        The database is at work while the next statement, and at last proofs and receipts, are made.
        """
        with self._store.database.writing(connection) as writes:
            _insert(writes, plan)
            hashes = [entry.leaf_hash for entry in plan.entries]
            tree.extend(hashes)
            self._root = tree.root()
            note, advanced = self._advance(writes, tree, head)
            paths = [] if note is None else batch_paths(tree, self._root, hashes)
            committed = self._conclude(plan, decided, note, paths)
        if advanced.rowcount != 1:
            raise LedgerDamaged("the head moved while it was locked")
        if plan.claims:
            _write_claims(connection, plan)
        if plan.erase:
            erase_documents(connection, plan.erase, format_time(self._now()))
        return committed

    def _conclude(
        self, plan: Plan, decided: Sequence[_Decided], note: bytes | None, paths: Sequence[bytes]
    ) -> Committed[Told]:
        entries, size, tell, note = plan.entries, plan.size if paths else 0, self._tell, note or b""
        outcomes: list[Told | Replay | AppendRefused] = []
        for made in decided:
            if isinstance(made, Planned):
                start = made.first - plan.first
                end = start + made.entries
                outcomes.append(tell(Accepted(tuple(entries[start:end]), size, tuple(paths[start:end])), note))
            else:
                outcomes.append(made)
        return Committed(outcomes, note)

    def _advance(self, writes: Writes, tree: TileTree, head: Head) -> tuple[bytes | None, Done]:
        size, tiles = tree.size, tree.pending()
        writes.insert(schema.tile, [(t.level, t.n, t.width, t.data) for t in tiles], _TILES)
        writes.insert(schema.tile_inner, [(t.level, t.n, t.inner) for t in tiles if t.inner])
        values: dict[str, object] = {"old_size": head.size, "size": size, "root": self._root}
        note = None
        if self._inline:
            checkpoint = Checkpoint(origin=self._identity.origin, size=size, root=self._root)
            note = sign_checkpoint(checkpoint, self._signing.signers)
            writes.insert(schema.checkpoint, [(size, self._root, note, format_time(self._now()))])
            values |= {"published": size, "note": note}
        return note, writes.run(_ADVANCE if note is None else _ADVANCE_PUBLISHED, values)


def _refusal(failure: Exception, submissions: int) -> SubmissionError | BatchSpoilt:
    if submissions == 1:
        return SubmissionError([f"the database refuses a value ({cause_of(failure)})"])
    return BatchSpoilt(f"the database refuses a value of one submission ({cause_of(failure)})")


def _insert(writes: Writes, plan: Plan) -> None:
    insert, rows = writes.insert, plan.rows.values()
    insert(schema.entry, plan.entry_rows)
    new = [row for row in rows if row.first_idx >= plan.first]
    plain = [row[:_PLAIN] for row in new if row[_PLAIN:] == NO_FACTS]
    insert(schema.record, plain)
    if len(plain) < len(rows):
        insert(schema.record, [row for row in new if row[_PLAIN:] != NO_FACTS])
        insert(schema.record, [row for row in rows if row.first_idx < plan.first], _RECORDS)
    insert(schema.vault_key, plan.key_rows)
    insert(schema.vault_document, plan.document_rows)
    insert(schema.idempotency, list(plan.used.values()))


def load_tree(connection: Connection, head: Head, identity: Identity) -> TileTree:
    """Read the right edge of the tree and require that it, the head row and its published checkpoint agree.

    Raises:
        WrongKey, WrongOrigin: the checkpoint is not one of this log.
        LedgerDamaged: they contradict each other, or the checkpoint is none.
    """
    try:
        checkpoint = open_checkpoint(head.note, identity.verifiers, identity.origin)
    except (WrongKey, WrongOrigin):
        raise
    except NoteError as failure:
        raise LedgerDamaged(f"the published checkpoint does not verify: {failure}") from failure
    tree = TileTree(head.size, lambda level, n: read_tile(connection, level, n))
    if tree.root() != head.root:
        raise LedgerDamaged(f"the stored tiles lead to another root than the head of size {head.size}")
    if checkpoint.size != head.published or head.published > head.size:
        raise LedgerDamaged("the head row is not what its checkpoint says")
    published = head.root if checkpoint.size == head.size else tree.root_at(checkpoint.size)
    if published != checkpoint.root:
        raise LedgerDamaged(f"the stored tiles lead to another root than the checkpoint of size {checkpoint.size}")
    return tree


def _read_rows(database: Database, connection: Connection, column: str, values: list[bytes]) -> list[StoredRow]:
    return [stored_row(columns) for columns in database.select_many(connection, schema.record, column, values)]


def _read_erased(database: Database, connection: Connection, rows: Collection[StoredRow]) -> set[bytes]:
    """Tell which records are erased: they lost their facts, and the document of their first entry."""
    bare = {row.first_idx: row.record for row in rows if row[_PLAIN:-1] == NO_FACTS[:-1]}
    if not bare:
        return set()
    keys = database.select_many(connection, schema.vault_key, "idx", list(bare))
    return {bare[idx] for idx, _, _, destroyed_at in keys if destroyed_at is not None}


def _read_holds(database: Database, connection: Connection, rows: Collection[StoredRow]) -> dict[bytes, StoredRow]:
    """Read the legal holds upon some records and upon the persons that they are about."""
    records, persons = [row.record for row in rows], {row.subject for row in rows if row.subject is not None}
    named = (("parent", records), ("subject", list(persons)))
    found = [row for column, values in named if values for row in _read_rows(database, connection, column, values)]
    return {row.record: row for row in found if row.state == HELD}


def read_replays(rows: Iterable[Sequence[Any]]) -> dict[bytes, Replay]:
    """Take rows of the table `idempotency` as what each key was used for."""
    return {bytes(key): Replay(bytes(digest), first, count) for key, digest, first, count in rows}


def _decide(plan: Plan, admitted: Admitted) -> _Decided:
    try:
        return plan.add(admitted)
    except AppendRefused as refusal:
        return refusal


def _write_claims(connection: Connection, plan: Plan) -> None:
    """Write claims; a claim that was released and made again in one batch is one change."""
    table = schema.uniqueness
    connection.execute(table.delete().where(table.c.key.in_(list(plan.claims))))
    made = [{"key": key, "record": record} for key, record in plan.claims.items() if record is not None]
    if made:
        connection.execute(table.insert(), made)
