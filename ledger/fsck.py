"""Checking a whole ledger: everything that can be recomputed is, and the first bad entry is named.

Works on any copy with only the public key; with master keys, documents are checked against their commitments and the
projection's facts against the documents. Memory is bounded by a page, the longest record and the list of damages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from ledger.canonical import microseconds
from ledger.errors import EntryError, LedgerDamaged, NoteError, TransitionRefused, VaultError
from ledger.log import schema
from ledger.log.checkpoint import open_checkpoint
from ledger.log.note import Verifier
from ledger.log.store import Store, read_head
from ledger.log.tiles import WIDTH, TileTree
from ledger.merkle import hash_leaf
from ledger.records.chains import facts_of, read_chain
from ledger.records.codec import Entry, decode_entry
from ledger.records.commitments import commit_group
from ledger.records.projections import StoredRow, fold, forget, open_row
from ledger.records.rows import stored_row
from ledger.vault import SealedDocument, Vault, VaultGroup

_PAGE = 1000
_MOST_DAMAGES = 1000
Progress = Callable[[int, int], None]
"""`(done, total)`: called now and then; both passes together count each entry twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing that is wrong; `index` is the entry concerned, None if it is none in particular."""

    index: int | None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What was checked and what is wrong, the lowest entry first."""

    size: int
    checkpoints: int
    records: int
    damages: tuple[Damage, ...]

    @property
    def sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.damages


@dataclass(slots=True, kw_only=True)
class _Findings:
    damages: list[Damage] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)
    checkpoints: int = 0
    records: int = 0

    def add(self, index: int | None, what: str) -> None:
        if index is not None:
            self.bad.add(index)
        if len(self.damages) < _MOST_DAMAGES:
            self.damages.append(Damage(index=index, what=what))

    def report(self, size: int) -> FsckReport:
        ordered = sorted(self.damages, key=lambda d: size if d.index is None else d.index)
        return FsckReport(size=size, checkpoints=self.checkpoints, records=self.records, damages=tuple(ordered))


def fsck(
    store: Store,
    *,
    verifiers: Sequence[Verifier],
    origin: str,
    vault: Vault | None = None,
    progress: Progress | None = None,
) -> FsckReport:
    """Check everything below the head, in one consistent view of the database.

    Raises:
        LedgerUnavailable: the database cannot be read.
    """
    findings = _Findings()
    tell = progress or (lambda done, total: None)
    with store.reading() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        try:
            size = read_head(connection).size
        except LedgerDamaged as damage:
            findings.add(None, str(damage))
            return findings.report(0)
        _check_log(connection, size, _Signatures(verifiers, origin), findings, tell)
        _check_records(connection, size, vault, findings, tell)
        tell(2 * size, 2 * size)
    return findings.report(size)


# --- the log: leaves, tiles, roots, checkpoints ----------------------------------------------------------------------


class _Signatures:
    def __init__(self, verifiers: Sequence[Verifier], origin: str) -> None:
        self._verifiers = verifiers
        self._origin = origin

    def wrong(self, note: bytes, size: int, root: bytes) -> str | None:
        try:
            checkpoint = open_checkpoint(note, self._verifiers, self._origin)
        except NoteError as failure:
            return str(failure)
        return None if (checkpoint.size, checkpoint.root) == (size, root) else "it says another size or root"


def _check_log(connection: Connection, size: int, signatures: _Signatures, findings: _Findings, tell: Progress) -> None:
    tree = TileTree(0, _no_tile)
    checkpoints = _Checkpoints(connection, signatures, findings)
    checkpoints.reach(tree)
    for n in range((size + WIDTH - 1) // WIDTH):
        count = min(WIDTH, size - n * WIDTH)
        for leaf_hash in _check_tile_of_leaves(connection, n, count, findings):
            tree.append(leaf_hash)
            checkpoints.reach(tree)
        _check_tiles(connection, tree, findings, final=tree.size == size)
        tree.settle()
        tell(tree.size, 2 * size)
    if size == 0:
        _check_tiles(connection, tree, findings, final=True)
    checkpoints.finish(tree)
    extra = connection.execute(select(func.min(schema.entry.c.idx)).where(schema.entry.c.idx >= size)).scalar()
    if extra is not None:
        findings.add(extra, "an entry beyond the head")


def _no_tile(level: int, n: int) -> bytes:
    raise LedgerDamaged(f"tile {n} of level {level} was asked for")


def _check_tile_of_leaves(connection: Connection, n: int, count: int, findings: _Findings) -> Iterator[bytes]:
    """Yield the leaf hashes of one tile, each the one that most of leaf, column and tile agree upon."""
    first = n * WIDTH
    table = schema.entry
    rows = {
        row.idx: row
        for row in connection.execute(select(table).where(table.c.idx >= first, table.c.idx < first + count))
    }
    stored = connection.execute(
        select(schema.tile.c.data).where(schema.tile.c.level == 0, schema.tile.c.n == n)
    ).scalar()
    data = b"" if stored is None else bytes(stored)
    for position in range(count):
        tiled = data[32 * position : 32 * position + 32]
        yield _agree(first + position, rows.get(first + position), tiled, findings)


def _agree(index: int, row: Any, tiled: bytes, findings: _Findings) -> bytes:
    if row is None:
        findings.add(index, "the entry is missing")
        return tiled if len(tiled) == 32 else bytes(32)
    computed = hash_leaf(bytes(row.leaf))
    if computed != tiled:
        findings.add(index, "the entry's bytes are not those that the tile has the hash of")
    return tiled if len(tiled) == 32 else computed


def _check_tiles(connection: Connection, tree: TileTree, findings: _Findings, *, final: bool) -> None:
    for expected in tree.pending():
        if expected.width < WIDTH and not final:
            continue
        table = schema.tile
        row = connection.execute(
            select(table).where(table.c.level == expected.level, table.c.n == expected.n)
        ).one_or_none()
        # The hashes in tiles of level 0 were compared with their entries one by one: here only their number.
        same = row is not None and (expected.level == 0 or bytes(row.data) == expected.data)
        if row is None or not same or row.width != expected.width or len(row.data) != 32 * row.width:
            first = expected.n << (8 * (expected.level + 1))
            findings.add(None, f"tile {expected.n} of level {expected.level} (from entry {first}) is wrong or missing")


class _Checkpoints:
    """Walks the signed checkpoints beside the growing tree."""

    def __init__(self, connection: Connection, signatures: _Signatures, findings: _Findings) -> None:
        self._signatures = signatures
        self._findings = findings
        self._rows = _read_checkpoints(connection)
        self._next = next(self._rows, None)
        self._head = read_head(connection)
        self._forked = False
        self._last_good = 0

    def reach(self, tree: TileTree) -> None:
        """Check the checkpoint of the tree's size, if one was signed."""
        row = self._next
        if row is None or row.size != tree.size:
            return
        self._next = next(self._rows, None)
        self._findings.checkpoints += 1
        wrong = self._signatures.wrong(bytes(row.note), row.size, bytes(row.root))
        if wrong is not None:
            self._findings.add(None, f"the checkpoint of size {row.size}: {wrong}")
        if self._forked:
            return
        if tree.root() == bytes(row.root):
            self._last_good = row.size
            return
        # Every later root is wrong as well: one report, naming the first entry that can be at fault.
        self._forked = True
        what = f"the entries up to {row.size} lead to another root than was signed"
        self._findings.add(self._last_good, what)

    def finish(self, tree: TileTree) -> None:
        """Check that the head is the last checkpoint, and that none is left over."""
        if self._next is not None:
            self._findings.add(None, f"a checkpoint of size {self._next.size} is beyond the head")
        head = self._head
        wrong = self._signatures.wrong(head.note, head.size, head.root)
        if wrong is not None:
            self._findings.add(None, f"the head: {wrong}")
        if not self._forked and tree.size == head.size and tree.root() != head.root:
            self._findings.add(self._last_good, "the entries lead to another root than the head says")


def _read_checkpoints(connection: Connection) -> Iterator[Any]:
    table, after = schema.checkpoint, -1
    while True:
        page = connection.execute(select(table).where(table.c.size > after).order_by(table.c.size).limit(_PAGE)).all()
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].size


# --- the records: chains, lifecycles, documents, projection ---------------------------------------------------------


def _check_records(connection: Connection, size: int, vault: Vault | None, findings: _Findings, tell: Progress) -> None:
    done = 0
    for row in _read_projection(connection):
        chain = read_chain(connection, row.record)
        folded = _check_chain(connection, chain, vault, findings)
        if folded is not None and not _same(folded, row, vault):
            findings.add(None, f"the projection of record {row.record.hex()} is not what its entries say")
        findings.records += 1
        done += len(chain)
        if findings.records % _PAGE == 0:
            tell(size + done, 2 * size)
    if done != size:
        findings.add(None, f"{size} entries, but the records hold {done}")


def _same(folded: StoredRow, projected: StoredRow, vault: Vault | None) -> bool:
    return folded == projected if vault is not None else forget(folded) == forget(projected)


def _read_projection(connection: Connection) -> Iterator[StoredRow]:
    table, after = schema.record, b""
    while True:
        page = connection.execute(
            select(table).where(table.c.record > after).order_by(table.c.record).limit(_PAGE)
        ).all()
        yield from map(stored_row, page)
        if len(page) < _PAGE:
            return
        after = bytes(page[-1].record)


def _check_chain(
    connection: Connection, chain: list[tuple[int, bytes]], vault: Vault | None, findings: _Findings
) -> StoredRow | None:
    """Follow one record; None if it cannot be folded, which has then been reported."""
    row: StoredRow | None = None
    before = b""
    for idx, leaf in chain:
        try:
            entry = decode_entry(leaf)
            groups, erased = _check_document(connection, idx, entry, vault)
            if (entry.seq, entry.prev) != ((0, None) if row is None else (row.seq + 1, before)):
                raise LedgerDamaged(f"entry {idx} does not continue the chain of its record")
            at, facts = microseconds(entry.at), facts_of(groups)
            row = (
                open_row(entry.record, entry.kind, idx, at, facts)
                if row is None
                else fold(row, entry.kind, idx, at, facts)
            )
            row = forget(row) if erased else row
        except (EntryError, LedgerDamaged, VaultError, TransitionRefused) as failure:
            if idx not in findings.bad:
                findings.add(idx, str(failure))
            return None
        before = hash_leaf(leaf)
    return row


def _check_document(
    connection: Connection, idx: int, entry: Entry, vault: Vault | None
) -> tuple[dict[str, VaultGroup] | None, bool]:
    if not entry.commits:
        return None, False
    key, document = schema.vault_key, schema.vault_document
    row = connection.execute(
        select(key, document.c.sealed)
        .select_from(key.outerjoin(document, document.c.idx == key.c.idx))
        .where(key.c.idx == idx)
    ).one_or_none()
    if row is not None and row.destroyed_at is not None:
        return None, True
    if row is None or row.wrapped is None or row.sealed is None:
        raise LedgerDamaged("the entry's document is missing, and was never erased")
    if vault is None:
        return None, False
    groups = vault.open(entry.record, SealedDocument(row.master_version, bytes(row.wrapped), bytes(row.sealed)))
    if {name: commit_group(name, group) for name, group in groups.items()} != dict(entry.commits):
        raise LedgerDamaged("the document is not what the entry commits to")
    return groups, False
