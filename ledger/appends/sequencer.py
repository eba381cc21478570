"""The sequencer: one batch of submissions in one transaction, from the head row's lock to the new head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from ledger.appends.admission import Admitted
from ledger.appends.planning import Known, Plan, Planned
from ledger.appends.values import Appended, Replay, Sequenced
from ledger.canonical import format_time
from ledger.errors import AppendRefused, LedgerDamaged, LedgerUnavailable
from ledger.log import schema
from ledger.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.log.databases import upsert_clause
from ledger.log.note import Signer, Verifier
from ledger.log.store import Head, Store, read_head, read_tile
from ledger.log.tiles import ExpandedTile, TileTree
from ledger.merkle import prove_inclusion, verify_inclusion
from ledger.receipt import format_receipt
from ledger.records.rows import read_rows, write_row
from ledger.vault import Vault, WrappedKey, erase_documents, read_keys

_TRIES = 4

Outcome = Appended | Replay | AppendRefused
"""What became of one submission of a batch; a replay's answer is made afterwards, from what is committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose log this is: its origin, the keys that sign its checkpoints, and those that verify them."""

    origin: str
    signers: tuple[Signer, ...]
    verifiers: tuple[Verifier, ...]


class Sequencer:
    """Commits batches. Belongs to one thread; memory is trusted only as far as the head row agrees with it."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        identity: Identity,
        now: Callable[[], datetime],
        keep_tiles: Callable[[dict[tuple[int, int], ExpandedTile]], None],
    ) -> None:
        self._store = store
        self._vault = vault
        self._identity = identity
        self._now = now
        self._keep_tiles = keep_tiles
        self._tree: TileTree | None = None
        self._root = b""

    def check_head(self) -> None:
        """Check on start that head, right-edge tiles and signed checkpoint agree.

        Raises:
            WrongKey: the head was signed by a key that is not known here.
            WrongOrigin: it is the head of another log.
            LedgerDamaged: they contradict each other.
        """
        with self._store.reading() as connection:
            load_tree(connection, read_head(connection), self._identity)

    def commit(self, batch: Sequence[Admitted]) -> list[Outcome]:
        """Append what the rules accept of a batch; one outcome for each submission, in order.

        Raises:
            LedgerUnavailable: nothing is known to be durable; memory is read again before the next batch.
            LedgerDamaged: stored data contradict each other.
        """
        for attempt in range(_TRIES):
            try:
                return self._commit_once(batch)
            except DBAPIError as failure:
                self._tree = None
                if attempt == _TRIES - 1 or not self._store.database.is_transient(failure):
                    name = type(failure.orig).__name__
                    raise LedgerUnavailable(f"the batch could not be committed ({name})") from failure
            except BaseException:
                self._tree = None
                raise
        raise LedgerUnavailable("the batch could not be committed")

    def _commit_once(self, batch: Sequence[Admitted]) -> list[Outcome]:
        with self._store.writing() as connection:
            head = read_head(connection, lock=True)
            tree = self._tree_at(connection, head)
            plan = Plan(_known(connection, head.size, batch))
            decided = [_decide(plan, admitted) for admitted in batch]
            if plan.accepted:
                note = self._extend(connection, tree, head, plan)
                receipts = _receipts(tree, self._root, plan.accepted, note)
            else:
                receipts = {}
        self._keep_tiles(tree.settle())
        replays = plan.complete()
        return [_conclude(made, receipts, plan.size, replays) for made in decided]

    def _tree_at(self, connection: Connection, head: Head) -> TileTree:
        tree = self._tree
        if tree is None or tree.size != head.size:
            tree = load_tree(connection, head, self._identity)
        elif self._root != head.root:
            raise LedgerDamaged(f"the head of size {head.size} has another root than this process signed")
        # Tiles of old leaves are hardly ever asked for here, and only within this transaction.
        tree.load_with(lambda level, n: read_tile(connection, level, n))
        self._tree, self._root = tree, head.root
        return tree

    def _extend(self, connection: Connection, tree: TileTree, head: Head, plan: Plan) -> bytes:
        for planned in plan.accepted:
            for placed in planned.entries:
                tree.append(placed.sequenced.leaf_hash)
        self._root = tree.root()
        checkpoint = Checkpoint(origin=self._identity.origin, size=tree.size, root=self._root)
        note = sign_checkpoint(checkpoint, self._identity.signers)
        self._write(connection, tree, plan)
        self._advance(connection, head, checkpoint, note)
        return note

    def _write(self, connection: Connection, tree: TileTree, plan: Plan) -> None:
        insert = self._store.database.insert_many
        placed = [p for planned in plan.accepted for p in planned.entries]
        insert(
            connection,
            schema.entry,
            [
                (p.sequenced.index, p.entry.record, p.entry.kind, p.sequenced.leaf_hash, p.sequenced.entry)
                for p in placed
            ],
        )
        tiles = [(t.level, t.n, t.width, t.data) for t in tree.pending()]
        insert(connection, schema.tile, tiles, upsert_clause(schema.tile))
        rows = [write_row(row) for row in plan.rows.values()]
        insert(connection, schema.record, rows, upsert_clause(schema.record))
        self._write_documents(connection, plan)
        _write_keys(connection, plan)
        insert(connection, schema.idempotency, _idempotency_rows(plan))

    def _write_documents(self, connection: Connection, plan: Plan) -> None:
        sealing = [p for planned in plan.accepted for p in planned.entries if p.document is not None]
        insert, records = self._store.database.insert_many, {p.entry.record for p in sealing}
        stored = read_keys(connection, records) if records else {}
        keys: dict[bytes, bytes] = {}
        made: list[tuple[object, ...]] = []
        for record in records:
            keys[record], new = self._data_key(record, stored.get(record))
            if new is not None:
                made.append((record, new.master_version, new.wrapped, new.destroyed_at))
        insert(connection, schema.vault_key, made, upsert_clause(schema.vault_key))
        documents: list[tuple[object, ...]] = []
        for p in sealing:
            record, document = p.entry.record, p.document or b""
            sealed = self._vault.seal(keys[record], record, p.entry.seq, document)
            documents.append((p.sequenced.index, record, sealed.nonce, sealed.ciphertext))
        insert(connection, schema.vault_document, documents)
        for planned in plan.accepted:
            if planned.submission.erase:
                erase_documents(connection, planned.submission.erase, format_time(planned.submission.at))

    def _data_key(self, record: bytes, stored: WrappedKey | None) -> tuple[bytes, WrappedKey | None]:
        if stored is not None and stored.wrapped is not None:
            return self._vault.unwrap(stored), None
        key, new = self._vault.new_key(record)
        if stored is None:
            return key, new
        # The record was erased before: what follows gets a new key, and that it was erased stays known.
        return key, WrappedKey(
            record=record, master_version=new.master_version, wrapped=new.wrapped, destroyed_at=stored.destroyed_at
        )

    def _advance(self, connection: Connection, head: Head, checkpoint: Checkpoint, note: bytes) -> None:
        connection.execute(
            schema.checkpoint.insert().values(
                size=checkpoint.size, root=checkpoint.root, note=note, signed_at=format_time(self._now())
            )
        )
        table = schema.head
        moved = connection.execute(
            table.update()
            .where(table.c.id == 1, table.c.size == head.size)
            .values(size=checkpoint.size, root=checkpoint.root, note=note)
        )
        if moved.rowcount != 1:
            raise LedgerDamaged("the head moved while it was locked")


def load_tree(connection: Connection, head: Head, identity: Identity) -> TileTree:
    """Read the right edge of the tree and require that it, the head row and its signed checkpoint agree.

    Raises:
        WrongKey, WrongOrigin: the checkpoint is not one of this log.
        LedgerDamaged: they contradict each other.
    """
    checkpoint = open_checkpoint(head.note, identity.verifiers, identity.origin)
    if (checkpoint.size, checkpoint.root) != (head.size, head.root):
        raise LedgerDamaged("the head row is not what its checkpoint says")
    tree = TileTree(head.size, lambda level, n: read_tile(connection, level, n))
    if tree.root() != head.root:
        raise LedgerDamaged(f"the stored tiles lead to another root than the checkpoint of size {head.size}")
    return tree


def _known(connection: Connection, size: int, batch: Sequence[Admitted]) -> Known:
    submissions = [admitted.submission for admitted in batch]
    once = {s.idempotency.key for s in submissions if s.idempotency is not None}
    records = {draft.record for s in submissions for draft in s.drafts} | {r for s in submissions for r in s.erase}
    keys = {key for s in submissions for key, _ in s.claim_keys}
    known = Known(size=size, rows=read_rows(connection, records))
    if once:
        known.replays = read_replays(connection, once)
    if keys:
        table = schema.uniqueness
        found = connection.execute(select(table).where(table.c.key.in_(list(keys))))
        known.claims = {bytes(row.key): bytes(row.record) for row in found}
    return known


def read_replays(connection: Connection, keys: set[bytes]) -> dict[bytes, Replay]:
    """Read what some idempotency keys were used for, in one question."""
    table = schema.idempotency
    return {
        bytes(row.key): Replay(
            body_digest=bytes(row.body_digest), first_idx=row.first_idx, count=row.count_, size=row.size
        )
        for row in connection.execute(
            select(
                table.c.key, table.c.body_digest, table.c.first_idx, table.c["count"].label("count_"), table.c.size
            ).where(table.c.key.in_(list(keys)))
        )
    }


def _decide(plan: Plan, admitted: Admitted) -> Planned | Replay | AppendRefused:
    try:
        return plan.add(admitted)
    except AppendRefused as refusal:
        return refusal


def _conclude(
    made: Planned | Replay | AppendRefused, receipts: dict[int, bytes], size: int, replays: dict[bytes, Replay]
) -> Outcome:
    if isinstance(made, AppendRefused):
        return made
    if isinstance(made, Replay):
        # A key first used in this very batch did not know its checkpoint's size while the batch was planned.
        complete = (r for r in replays.values() if r.first_idx == made.first_idx)
        return made if made.size else next(complete)
    entries: tuple[Sequenced, ...] = tuple(placed.sequenced for placed in made.entries)
    return Appended(entries=entries, size=size, receipts=tuple(receipts[e.index] for e in entries), replayed=False)


def _receipts(tree: TileTree, root: bytes, accepted: Sequence[Planned], note: bytes) -> dict[int, bytes]:
    """Make every receipt of a batch and verify each before it can leave, so that a fault here stops the commit."""
    receipts: dict[int, bytes] = {}
    for planned in accepted:
        for placed in planned.entries:
            entry = placed.sequenced
            proof = prove_inclusion(entry.index, tree.size, tree.node)
            verify_inclusion(entry.leaf_hash, entry.index, tree.size, proof, root)
            receipts[entry.index] = format_receipt(entry.entry, entry.index, proof, note)
    return receipts


def _write_keys(connection: Connection, plan: Plan) -> None:
    """Write claims; a claim that was released and made again in one batch is one change."""
    if not plan.claims:
        return
    table = schema.uniqueness
    connection.execute(table.delete().where(table.c.key.in_(list(plan.claims))))
    made = [{"key": key, "record": record} for key, record in plan.claims.items() if record is not None]
    if made:
        connection.execute(table.insert(), made)


def _idempotency_rows(plan: Plan) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for planned in plan.accepted:
        once = planned.submission.idempotency
        if once is not None:
            first, count = planned.entries[0].sequenced.index, len(planned.entries)
            at = format_time(planned.submission.at)
            rows.append((once.key, once.body_digest, first, count, plan.size, at))
    return rows
