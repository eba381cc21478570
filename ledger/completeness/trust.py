"""What the stored index may be built upon: a state that an entry of the log commits to, or that follows from one.

Pages, state, kept roots and claims are tables that anybody with the database can write; only the tree is signed. So a
state is believed if an entry in the tree commits to it. One that no entry commits to (a long way in steps was
interrupted, or the commitment was) is unwound in memory: entries name the leaf hash before them in their record, and
with it the tree of records is taken back to a size whose root is committed to. Without such a size it is taken back to
nothing, which costs as much as computing it again, and is as sure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, select

from ledger.completeness.changes import read_changes, read_former
from ledger.completeness.commitment import commits_to_index, index_claim
from ledger.completeness.pages import Pages, update_pages
from ledger.completeness.scratch import OverlaidPages, ScratchPages
from ledger.completeness.smt import EMPTY
from ledger.errors import EntryError, EntryMissing, LedgerDamaged
from ledger.log import schema
from ledger.log.reader import read_entry, read_leaf_hashes
from ledger.log.store import read_head, read_tile
from ledger.log.tiles import ExpandedTile, locate
from ledger.merkle import hash_leaf, root_around, tree_root
from ledger.records.codec import decode_entry

REMEDY = "compute the index again from the log (fsck --rebuild-projections)"
_CANDIDATES = 64
"""Kept roots that are tried before the index is unwound to nothing: nearly always the first is committed to."""
_TILES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """That `root` is the root of the index of the first `size` entries."""

    size: int
    root: bytes


NOTHING_INDEXED = IndexState(size=0, root=EMPTY)
"""The index of no entries, which is true of every log."""


class CommittedTree:
    """The tree of the head, read through one transaction.

    Raises:
        LedgerDamaged: the tiles lead to another root than the head says.
    """

    def __init__(self, connection: Connection) -> None:
        head = read_head(connection)
        self.size = head.size
        self._root = head.root
        self.connection = connection
        self._tile = lru_cache(_TILES)(lambda level, n: ExpandedTile(read_tile(connection, level, n)))
        if tree_root(self.size, self._node) != self._root:
            raise LedgerDamaged(f"the stored tiles lead to another root than the head of size {self.size}")

    def require_entries(self, first: int, end: int) -> None:
        """Require that the tiles have those hashes of the entries `[first, end)` that the head's root is over."""
        self._require(read_leaf_hashes(self.connection, first, end), first)

    def require_leaf(self, index: int, leaf: bytes) -> None:
        """Require that an entry is the one at its index."""
        self._require(hash_leaf(leaf), index)

    def _require(self, hashes: bytes, first: int) -> None:
        if root_around(hashes, first, self.size, self._node) != self._root:
            raise LedgerDamaged(f"the hashes from entry {first} on are not those of the head's tree")

    def _node(self, level: int, index: int) -> bytes:
        tile_level, n, row, position = locate(level, index)
        found = self._tile(tile_level, n).node(row, position)
        if found is None:
            raise LedgerDamaged(f"tile {n} of level {tile_level} is too short")
        return found


def read_committed(connection: Connection, size: int) -> int | None:
    """Return the index of the entry that the database says committed to the index of a size, or None."""
    record, claim = schema.record, schema.uniqueness
    question = select(record.c.first_idx).join(claim, claim.c.record == record.c.record)
    found: int | None = connection.execute(question.where(claim.c.key == index_claim(size))).scalar()
    return found


def find_commitment(tree: CommittedTree, state: IndexState) -> int | None:
    """Return the index of the entry in the tree that commits to a state, or None if there is none to be found."""
    if not 0 <= state.size <= tree.size:
        return None
    index = read_committed(tree.connection, state.size)
    if index is None or not state.size <= index < tree.size:
        return None
    try:
        leaf = read_entry(tree.connection, index)
        entry = decode_entry(leaf)
        tree.require_leaf(index, leaf)
    except (EntryMissing, EntryError, LedgerDamaged):
        return None
    return index if commits_to_index(entry, state.size, state.root) else None


def require_state(connection: Connection, pages: Pages, state: IndexState, *, known: IndexState, chunk: int) -> None:
    """Require that a stored state is the index of the log; `known` is one of which that is known already.

    Costs nothing for what an entry commits to; else as much as advancing from there, `chunk` entries at a time.

    Raises:
        LedgerDamaged: it is not, or the log contradicts itself.
    """
    if state in (known, NOTHING_INDEXED):
        return
    tree = CommittedTree(connection)
    if not 0 <= state.size <= tree.size:
        raise LedgerDamaged(f"the index is said to be of {state.size} entries, of {tree.size}: {REMEDY}")
    if find_commitment(tree, state) is not None:
        return
    base = max([known if known.size < state.size else NOTHING_INDEXED, _older(tree, state)], key=lambda s: s.size)
    try:
        root = _unwind(tree, pages, state, base.size, chunk)
    except LedgerDamaged as damage:
        raise LedgerDamaged(f"{damage}: {REMEDY}") from damage
    if root != base.root:
        raise LedgerDamaged(
            f"the stored index of {state.size} entries does not continue the one committed to of {base.size}: {REMEDY}"
        )


def _older(tree: CommittedTree, state: IndexState) -> IndexState:
    """Find the newest smaller index that an entry commits to."""
    kept = schema.index_root
    question = select(kept.c.size, kept.c.root).where(kept.c.size < state.size).order_by(kept.c.size.desc())
    for size, root in tree.connection.execute(question.limit(_CANDIDATES)).all():
        found = IndexState(size=size, root=bytes(root))
        if find_commitment(tree, found) is not None:
            return found
    return NOTHING_INDEXED


def _unwind(tree: CommittedTree, stored: Pages, state: IndexState, size: int, chunk: int) -> bytes:
    """Compute from the pages of a state the root that the index had at a smaller size; nothing is stored."""
    with ScratchPages() as scratch:
        pages, root = OverlaidPages(stored, scratch), state.root
        for end in range(state.size, size, -chunk):
            first = max(size, end - chunk)
            tree.require_entries(first, end)
            # To set what these entries set changes nothing if it is there; only then may it be taken back.
            if update_pages(pages, read_changes(tree.connection, first, end), root) != root:
                raise LedgerDamaged(f"the stored index of {state.size} entries lacks what entries from {first} on say")
            root = update_pages(pages, read_former(tree.connection, first, end), root)
    return root
