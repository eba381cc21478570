"""Tiles proved against a signed root before a single hash of them is used, as golang.org/x/mod/sumdb/tlog does.

The partial tiles of the right edge are proved together: the root is computed from them. A full tile is proved by its
parent, which holds the root of its hashes; a bundle by its tile, which holds the hash of each entry.
"""

from __future__ import annotations

from collections import OrderedDict

from ledger.errors import PublicationDamaged, ResourceMissing
from ledger.log.tiles import HEIGHT, WIDTH, ExpandedTile, locate
from ledger.merkle import EMPTY_ROOT, hash_leaf, tree_root
from ledger.publication.bundle import LONGEST_BUNDLE, parse_bundle
from ledger.publication.paths import TilePath, available, right_edge
from ledger.publication.sources import Source

_KEPT = 64


class ProvedTiles:
    """The tiles and entries of the log of `size` entries whose root is `root`, read from a source that may lie.

    Memory is bounded: the right edge and the 64 most recently used full tiles are kept. Belongs to one thread.

    Raises:
        PublicationDamaged: the right edge does not lead to the root.
        ResourceMissing, PublicationUnavailable: it cannot be read.
    """

    def __init__(self, source: Source, size: int, root: bytes) -> None:
        self.size = size
        self.root = root
        self._source = source
        self._full: OrderedDict[tuple[int, int], ExpandedTile] = OrderedDict()
        self._edge = {(one.level or 0, one.n): ExpandedTile(self._fetch_tile(one)) for one in right_edge(size)}
        computed = tree_root(size, self._edge_node) if size else EMPTY_ROOT
        if computed != root:
            raise PublicationDamaged(f"the right-edge tiles lead to another root than the checkpoint of size {size}")

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree (a `NodeReader`); raises as `tile` does."""
        tile_level, n, row, position = locate(level, index)
        return self._expanded(tile_level, n).rows[row][position]

    def tile(self, level: int, n: int) -> bytes:
        """Return the proved hashes of a tile, as many as the log of this size has.

        Raises:
            ResourceMissing: the log of this size has no such tile, or the source does not have it.
            PublicationUnavailable: it cannot be read now.
            PublicationDamaged: it is not what the checkpoint commits to.
        """
        return self._expanded(level, n).data()

    def entries(self, n: int) -> list[bytes]:
        """Return the proved entries of bundle `n`; raises as `tile` does."""
        hashes = self._expanded(0, n).rows[0]
        path = TilePath(level=None, n=n, width=len(hashes))
        entries = self._fetch_bundle(path)
        for position, (entry, expected) in enumerate(zip(entries, hashes, strict=True)):
            if hash_leaf(entry) != expected:
                raise PublicationDamaged(f"entry {n * WIDTH + position} is not the one in the tree")
        return entries

    def _edge_node(self, level: int, index: int) -> bytes:
        tile_level, n, row, position = locate(level, index)
        return self._edge[tile_level, n].rows[row][position]

    def _expanded(self, level: int, n: int) -> ExpandedTile:
        width = available(level, n, self.size)
        if width == 0:
            raise ResourceMissing(f"the log of size {self.size} has no tile {n} of level {level}")
        if width < WIDTH:
            return self._edge[level, n]
        found = self._full.get((level, n))
        if found is None:
            found = self._prove(level, n)
        self._full[level, n] = found
        self._full.move_to_end((level, n))
        if len(self._full) > _KEPT:
            self._full.popitem(last=False)
        return found

    def _prove(self, level: int, n: int) -> ExpandedTile:
        parent, position = divmod(n, WIDTH)
        expected = self._expanded(level + 1, parent).rows[0][position]
        path = TilePath(level=level, n=n)
        tile = ExpandedTile(self._fetch_tile(path))
        if tile.rows[HEIGHT][0] != expected:
            raise PublicationDamaged(f"{path} is not the tile that the tile above it commits to")
        return tile

    def _fetch_tile(self, path: TilePath) -> bytes:
        data, fetched = self._fetch(path, 32 * WIDTH)
        if len(data) != 32 * fetched.width:
            raise PublicationDamaged(f"{fetched} has {len(data)} bytes, not {32 * fetched.width}")
        return data[: 32 * path.width]

    def _fetch_bundle(self, path: TilePath) -> list[bytes]:
        data, fetched = self._fetch(path, LONGEST_BUNDLE)
        try:
            return parse_bundle(data, fetched.width)[: path.width]
        except PublicationDamaged as damage:
            raise PublicationDamaged(f"{fetched}: {damage}") from None

    def _fetch(self, path: TilePath, longest: int) -> tuple[bytes, TilePath]:
        """Fetch a resource, or the full one where a partial one was removed because the log grew (as it may be)."""
        try:
            return self._source.fetch(str(path), longest), path
        except ResourceMissing:
            if path.width == WIDTH:
                raise
        try:
            return self._source.fetch(str(path.full), longest), path.full
        except ResourceMissing:
            raise ResourceMissing(f"{path} is missing, and so is {path.full}") from None
