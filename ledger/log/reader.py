"""Reading the log: entries, checkpoints and proofs at any signed size, from committed tiles."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select

from ledger.errors import EntryMissing, LedgerDamaged
from ledger.log import schema
from ledger.log.databases import run_prepared
from ledger.log.store import Store, read_head, read_node_tile, read_published_note
from ledger.log.tiles import EdgeRoots, ExpandedTile, PackedTile, TileCache, prove_in_tiles
from ledger.merkle import prove_consistency


class LogReader:
    """Reads committed data only; safe for several threads."""

    def __init__(self, store: Store, cache: TileCache) -> None:
        self._store = store
        self._cache = cache
        self._committed = 0
        self._edges = EdgeRoots()

    def size(self) -> int:
        """Return how many entries the log has."""
        with self._store.reading() as connection:
            return read_head(connection).size

    def checkpoint(self, size: int | None = None) -> bytes:
        """Return the newest published checkpoint, or that of a size, cosignatures included; raises `EntryMissing`."""
        with self._store.reading() as connection:
            return read_published_note(connection, size)

    def entry(self, index: int) -> bytes:
        """Return the bytes of one entry; raises `EntryMissing`."""
        with self._store.reading() as connection:
            return read_entry(connection, index)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Prove that an entry is in the tree of `size`, which may not exceed what is committed."""
        self._require_committed(size)
        return self.prove(index, size)

    def prove(self, index: int, size: int) -> list[bytes]:
        """Prove that an entry is in the tree of `size`, which the caller knows to be committed."""
        return prove_in_tiles(index, size, self._full, self.node, self._edges)

    def _full(self, level: int, n: int) -> ExpandedTile | PackedTile:
        return self._cache.full(level, n, self._load)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Prove that the tree of size `new` begins with the tree of size `old`."""
        self._require_committed(new)
        return prove_consistency(old, new, self.node)

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree that is committed: from the cache, or from its tile."""
        return self._cache.node(level, index, self._load)

    def _load(self, level: int, n: int) -> ExpandedTile | PackedTile:
        return read_node_tile(self._store, level, n)

    def _require_committed(self, size: int) -> None:
        if size <= self._committed:  # a log only grows
            return
        self._committed = self.size()
        if size > self._committed:
            raise EntryMissing(f"the log has {self._committed} entries, not {size}")


_ENTRY = select(schema.entry.c.leaf).where(schema.entry.c.idx == bindparam("idx"))


def read_entry(connection: Connection, index: int) -> bytes:
    """Read the bytes of one entry; raises `EntryMissing`."""
    row = run_prepared(connection, _ENTRY, {"idx": index}).fetchone()
    if row is None:
        raise EntryMissing(f"no entry {index}")
    return bytes(row[0])


def read_entries(connection: Connection, first: int, count: int) -> list[bytes]:
    """Read the bytes of exactly `count` entries from index `first`; raises `LedgerDamaged` if one is missing."""
    column = schema.entry.c
    question = select(column.leaf).where(column.idx >= first, column.idx < first + count).order_by(column.idx)
    leaves = [bytes(leaf) for leaf in connection.execute(question).scalars()]
    if len(leaves) != count:
        raise LedgerDamaged(f"an entry from {first} to {first + count - 1} is missing")
    return leaves


def measure_entries(connection: Connection, first: int, count: int) -> Sequence[tuple[int, int]]:
    """Count entries and their bytes, a pair for each 256 from `first` (a multiple of 256), without reading them."""
    column = schema.entry.c
    block = column.idx.op("/")(256)
    question = (
        select(func.count(), func.sum(func.length(column.leaf)))
        .where(column.idx >= first, column.idx < first + count)
        .group_by(block)
        .order_by(block)
    )
    return [(int(number), int(total)) for number, total in connection.execute(question)]


def read_leaf_hashes(connection: Connection, first: int, end: int) -> bytes:
    """Read the leaf hashes of the entries `[first, end)` from the tiles; raises `LedgerDamaged` if one is missing."""
    tile, start, stop = schema.tile, first // 256, (end + 255) // 256
    question = select(tile.c.n, tile.c.data).where(tile.c.level == 0, tile.c.n >= start, tile.c.n < stop)
    tiles = {n: bytes(data) for n, data in connection.execute(question)}
    if any(len(tiles.get(n, b"")) < 32 * min(256, end - 256 * n) for n in range(start, stop)):
        raise LedgerDamaged(f"a tile of leaves between entries {first} and {end} is missing or too short")
    data = b"".join([tiles[n] for n in range(start, stop)])
    return data[32 * (first - 256 * start) : 32 * (end - 256 * start)]
