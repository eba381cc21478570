"""Tiles (https://c2sp.org/tlog-tiles): the tree in pieces of 256 hashes, as stored and as served.

Tile `n` of level `k` holds the hashes of the complete subtrees of height `8k` with the indices `[256n, 256n + 256)`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256 as _sha256

from ledger.errors import LedgerDamaged
from ledger.merkle import EMPTY_ROOT, NodeReader, RangeReader, hash_children, prove_inclusion, subtree_root, tree_root

WIDTH = 256
HEIGHT = 8
INNER = 32 * (WIDTH - 2)
"""Bytes of the rows of a full tile between its bottom row and its root."""
TileLoader = Callable[[int, int], bytes]
"""`(level, n)` to the tile's hashes as stored, up to now."""
NodeTileLoader = Callable[[int, int], "ExpandedTile | PackedTile"]
"""`(level, n)` to the tile with its inner nodes."""


class ExpandedTile:
    """The hashes of one tile and all complete subtrees inside it, row by row; grows to the right at one hash a leaf."""

    __slots__ = ("rows",)

    def __init__(self, data: bytes = b"") -> None:
        self.rows: list[list[bytes]] = [[] for _ in range(HEIGHT + 1)]
        if data:
            self.extend([data[at : at + 32] for at in range(0, len(data), 32)])

    @property
    def width(self) -> int:
        """How many hashes the bottom row has."""
        return len(self.rows[0])

    def extend(self, values: Sequence[bytes]) -> None:
        """Add hashes to the bottom row, at most up to a width of 256."""
        rows = self.rows
        rows[0].extend(values)
        for height in range(HEIGHT):
            row, above = rows[height], rows[height + 1]
            have, complete = len(above), len(row) >> 1
            if have == complete:
                return
            above.extend([_sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(2 * have, 2 * complete, 2)])

    def data(self) -> bytes:
        """Return the bottom row as stored."""
        return b"".join(self.rows[0])

    def inner(self) -> bytes:
        """Return the rows between bottom and root of a full tile as stored."""
        return b"".join([value for row in self.rows[1:HEIGHT] for value in row])

    @property
    def is_full(self) -> bool:
        """Whether it will never grow again."""
        return len(self.rows[0]) == WIDTH

    def siblings(self, position: int) -> list[bytes]:
        """Return the siblings on the way from a hash of the bottom row to the root of a full tile, lowest first."""
        return [self.rows[row][(position >> row) ^ 1] for row in range(HEIGHT)]

    def node(self, row: int, position: int) -> bytes | None:
        """Return a hash, or None if the tile has not grown to it yet."""
        values = self.rows[row]
        return values[position] if position < len(values) else None


_ROW_STARTS = (0, *(32 * sum(WIDTH >> row for row in range(1, height)) for height in range(1, HEIGHT)))


class PackedTile:
    """A full tile as it is stored: its bottom row and the rows above it."""

    __slots__ = ("_data", "_inner")

    def __init__(self, data: bytes, inner: bytes) -> None:
        if len(data) != 32 * WIDTH or len(inner) != INNER:
            raise LedgerDamaged("a full tile does not have its length")
        self._data = data
        self._inner = inner

    is_full = True

    def siblings(self, position: int) -> list[bytes]:
        """Return the siblings on the way from a hash of the bottom row to the root, lowest first."""
        inner, at = self._inner, 32 * (position ^ 1)
        found = [self._data[at : at + 32]]
        for start in _ROW_STARTS[1:]:
            position >>= 1
            at = start + 32 * (position ^ 1)
            found.append(inner[at : at + 32])
        return found

    def node(self, row: int, position: int) -> bytes:
        """Return a hash."""
        source = self._inner if row else self._data
        at = _ROW_STARTS[row] + 32 * position
        return source[at : at + 32]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTile:
    """A tile to be written."""

    level: int
    n: int
    width: int
    data: bytes
    inner: bytes = b""
    """The rows above the bottom row, if the tile is full."""


class EdgeRoots:
    """Hashes over the ragged right edges of trees, each of which every proof against one tree needs; they never change.

    Safe for several threads; keeps the last `capacity` at least, of 32 bytes each.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._roots: dict[tuple[int, int], bytes] = {}

    def __call__(self, start: int, end: int, node: NodeReader) -> bytes:
        """Return the hash over the leaves `[start, end)`, as `merkle.subtree_root` does."""
        width = end - start
        if width & (width - 1) == 0:
            level = width.bit_length() - 1
            return node(level, start >> level)
        root = self._roots.get((start, end))
        if root is None:
            root = subtree_root(start, end, node)
            if len(self._roots) >= 2 * self._capacity:
                self._roots = {}
            self._roots[start, end] = root
        return root


def locate(level: int, index: int) -> tuple[int, int, int, int]:
    """Find the node `index` of tree level `level`: tile level, tile number, row and position inside the tile."""
    tile_level, row = divmod(level, HEIGHT)
    n, position = divmod(index, WIDTH >> row)
    return tile_level, n, row, position


class TileTree:
    """The growing right edge of the tree. Belongs to one thread; what it holds is not yet committed."""

    def __init__(self, size: int, load: TileLoader) -> None:
        self.size = size
        self._load = load
        self._edge: list[ExpandedTile] = []
        self._filled: dict[tuple[int, int], ExpandedTile] = {}
        self._touched: set[int] = set()
        level = 0
        while size >> (HEIGHT * level):
            count = size >> (HEIGHT * level)
            self._edge.append(self._load_edge(level, count))
            level += 1

    def _load_edge(self, level: int, count: int) -> ExpandedTile:
        n, width = divmod(count, WIDTH)
        if width == 0:
            return ExpandedTile()
        data = self._load(level, n)[: 32 * width]
        if len(data) != 32 * width:
            raise LedgerDamaged(f"tile {n} of level {level} is too short")
        return ExpandedTile(data)

    def load_with(self, load: TileLoader) -> None:
        """Read stored tiles through `load` from now on (a transaction's connection does not outlive it)."""
        self._load = load

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf."""
        self.extend([leaf_hash])

    def extend(self, leaf_hashes: Sequence[bytes]) -> None:
        """Add leaves."""
        level, values = 0, leaf_hashes
        while values:
            values = self._extend_level(level, values)
            level += 1
        self.size += len(leaf_hashes)

    def _extend_level(self, level: int, values: Sequence[bytes]) -> list[bytes]:
        """Add hashes to the tiles of one level; returns the roots of those that were filled."""
        if level == len(self._edge):
            self._edge.append(ExpandedTile())
        self._touched.add(level)
        tile, n, taken = self._edge[level], self.size >> (HEIGHT * (level + 1)), 0
        roots: list[bytes] = []
        while taken < len(values):
            space = WIDTH - tile.width
            tile.extend(values[taken : taken + space])
            taken += space
            if tile.width == WIDTH:
                self._filled[level, n] = tile
                roots.append(tile.rows[HEIGHT][0])
                tile, n = ExpandedTile(), n + 1
        self._edge[level] = tile
        return roots

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree: from the edge, from what was just filled, or from storage."""
        tile_level, n, row, position = locate(level, index)
        filled = self._filled.get((tile_level, n))
        if filled is None and n == self.size >> (HEIGHT * (tile_level + 1)):
            filled = self._edge[tile_level]
        if filled is None:
            filled = ExpandedTile(self._load(tile_level, n))
        return filled.rows[row][position]

    def root(self) -> bytes:
        """Return the root of the tree as it is now.

        A row of odd length ends in a complete subtree that is not part of a greater one yet; these, from the right to
        the left, are all of the tree.
        """
        root = None
        for tile in self._edge:
            for row in tile.rows[:HEIGHT]:
                if len(row) & 1:
                    root = row[-1] if root is None else hash_children(row[-1], root)
        return EMPTY_ROOT if root is None else root

    def root_at(self, size: int) -> bytes:
        """Return the root of the tree when it had `size` leaves."""
        return tree_root(size, self.node)

    def pending(self) -> list[StoredTile]:
        """Return every tile that differs from what is stored: those filled, and the touched right edge."""
        tiles = [
            StoredTile(level=level, n=n, width=WIDTH, data=tile.data(), inner=tile.inner())
            for (level, n), tile in self._filled.items()
        ]
        for level in sorted(self._touched):
            edge = self._edge[level]
            if edge.width:
                n = self.size >> (HEIGHT * (level + 1))
                tiles.append(StoredTile(level=level, n=n, width=edge.width, data=edge.data()))
        return tiles

    def settle(self) -> dict[tuple[int, int], ExpandedTile]:
        """Note that everything pending is committed; returns the tiles that were filled, for a cache."""
        filled, self._filled = self._filled, {}
        self._touched.clear()
        return filled


class TileCache:
    """Tiles for proofs, the most recently used kept; safe for several threads.

    A tile that is not full yet may be kept too: what it holds never changes, and when a node is missing in it the
    tile is loaded again. `capacity` is in tiles of 16 KiB.
    """

    def __init__(self, capacity: int = 2048) -> None:
        self._capacity = capacity
        self._tiles: OrderedDict[tuple[int, int], ExpandedTile | PackedTile] = OrderedDict()
        self._guard = threading.Lock()

    def put(self, key: tuple[int, int], tile: ExpandedTile | PackedTile) -> None:
        """Keep a tile."""
        with self._guard:
            self._tiles[key] = tile
            self._tiles.move_to_end(key)
            while len(self._tiles) > self._capacity:
                self._tiles.popitem(last=False)

    def put_all(self, tiles: Mapping[tuple[int, int], ExpandedTile]) -> None:
        """Keep tiles that were filled."""
        for key, tile in tiles.items():
            self.put(key, PackedTile(tile.data(), tile.inner()))

    def full(self, level: int, n: int, load: NodeTileLoader) -> ExpandedTile | PackedTile:
        """Return a tile that is full, loading it if need be.

        Raises:
            LedgerDamaged: the stored tile is not full.
        """
        tile = self._tiles.get((level, n))
        if tile is None or not tile.is_full:
            tile = load(level, n)
            self.put((level, n), tile)
        if not tile.is_full:
            raise LedgerDamaged(f"tile {n} of level {level} is too short")
        return tile

    def node(self, level: int, index: int, load: NodeTileLoader) -> bytes:
        """Return the hash of a complete subtree, loading its tile if need be.

        Raises:
            LedgerDamaged: the stored tile is too short to hold it.
        """
        tile_level, n, row, position = locate(level, index)
        key = (tile_level, n)
        tile = self._tiles.get(key)  # one look-up, which needs no lock; what was evicted meanwhile is still true
        found = None if tile is None else tile.node(row, position)
        if found is None:
            tile = load(tile_level, n)
            self.put(key, tile)
            found = tile.node(row, position)
        if found is None:
            raise LedgerDamaged(f"tile {n} of level {tile_level} is too short")
        return found


def prove_in_tiles(
    index: int, size: int, full: NodeTileLoader, node: NodeReader, part: RangeReader = subtree_root
) -> list[bytes]:
    """Make the proof that `merkle.prove_inclusion` makes, what lies inside full tiles a tile at a time.

    Raises:
        ProofError: there is no such leaf in a tree of that size.
    """
    path: list[bytes] = []
    level, position = 0, index if 0 <= index < size else size
    while (position | (WIDTH - 1)) + 1 << (HEIGHT * level) <= size:
        path += full(level, position >> HEIGHT).siblings(position % WIDTH)
        level, position = level + 1, position >> HEIGHT
    return path + prove_inclusion(index, size, node, above=HEIGHT * level, part=part)
