"""One aligned range of the log, checked by one worker: entries against tiles, tiles against the tiles above them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from ledger.fsck.findings import Damage
from ledger.fsck.snapshot import Snapshot, snapshot_at
from ledger.log.tiles import WIDTH, ExpandedTile

SPAN = WIDTH * WIDTH
"""Leaves of a range: what lies below one full tile of level 1."""
_GROUP = 16
"""Tiles whose entries are read at a time."""


class RangeTask(NamedTuple):
    """The entries `[start, end)`, `start` a multiple of `SPAN` and at most so many."""

    url: str
    start: int
    end: int
    hash_leaves: bool
    """False: the hashes are taken from the tiles of level 0, and entries are read only where a tile fails."""


class RangeResult(NamedTuple):
    """What a range adds to the tree."""

    start: int
    end: int
    node: bytes | None
    """The hash of the whole range, if it is complete."""
    folds: list[tuple[int, bytes]]
    """For each size in the range that was signed, and for its end: the hash of the range's part of that tree."""
    damages: list[Damage]


class _Tile(NamedTuple):
    n: int
    width: int
    stored: bytes | None
    """Hashes as stored, cut to `width`; None if there are not so many."""


def check_range(task: RangeTask) -> RangeResult:
    """Check one range; raises as `snapshot_at`."""
    with snapshot_at(task.url) as view:
        return _Range(view, task).check()


class _Range:
    def __init__(self, view: Snapshot, task: RangeTask) -> None:
        self._view = view
        self._task = task
        self._above = ExpandedTile()
        self._damages: list[Damage] = []
        self._folds: list[tuple[int, bytes]] = []
        asked = view.attempt(
            "SELECT size FROM checkpoint WHERE size > ? AND size <= ? ORDER BY size", task.start, task.end
        )  # fmt: skip
        self._sizes = sorted({*(size for (size,) in asked or []), task.end})
        self._upper = self._read_upper()

    def check(self) -> RangeResult:
        task = self._task
        first, last = task.start // WIDTH, (task.end + WIDTH - 1) // WIDTH
        sizes = iter(self._sizes)
        size = next(sizes)
        for start in range(first, last, _GROUP):
            stop = min(last, start + _GROUP)
            inner = self._read_inner(0, start, stop)
            for tile, hashes in self._hashes(self._read_tiles(start, stop)):
                rows = None
                end = tile.n * WIDTH + tile.width
                while size < end:
                    rows = rows or tile_rows(hashes)
                    self._folds.append((size, self._fold(rows, size)))
                    size = next(sizes)
                rows = rows or tile_rows(hashes)
                if tile.width == WIDTH:
                    self._above.extend([rows[8]])
                    self._compare_inner(0, tile.n, inner, b"".join(rows[1:8]))
                if size == end:
                    self._folds.append((size, self._fold(rows, size)))
                    size = next(sizes, task.end + 1)
        self._check_upper()
        node = self._above.rows[8][0] if task.end - task.start == SPAN else None
        return RangeResult(task.start, task.end, node, self._folds, self._damages)

    def _fold(self, rows: Sequence[bytes], size: int) -> bytes:
        tiles, rest = divmod(size - self._task.start, WIDTH)
        left = [self._above.rows[height][at] for height, at in _subtrees(tiles)]
        right = [rows[height][32 * at : 32 * at + 32] for height, at in _subtrees(rest)]
        return fold(left + right)

    # --- hashes of leaves ---

    def _read_tiles(self, start: int, stop: int) -> list[_Tile]:
        question = "SELECT n, width, data FROM tile WHERE level = 0 AND n >= ? AND n < ?"
        found = {n: (width, data) for n, width, data in self._read(question, start, stop)[0]}
        tiles = []
        for n in range(start, stop):
            count = min(WIDTH, self._task.end - n * WIDTH)
            width, data = found.get(n, (0, b""))
            if len(data) != 32 * width or width < count:
                self._wrong_tile(0, n, n * WIDTH)
            tiles.append(_Tile(n, count, data[: 32 * count] if len(data) >= 32 * count else None))
        return tiles

    def _hashes(self, tiles: Sequence[_Tile]) -> Iterator[tuple[_Tile, bytes]]:
        if not self._task.hash_leaves:
            for tile in tiles:
                yield tile, tile.stored if tile.stored is not None else self._compare(tile)
            return
        first, end = tiles[0].n * WIDTH, tiles[-1].n * WIDTH + tiles[-1].width
        rows = self._view.attempt("SELECT leaf FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx", first, end)
        if rows is None or len(rows) != end - first:  # then which are missing has to be looked for
            for tile in tiles:
                yield tile, self._compare(tile)
            return
        hashed = sha256
        for number, tile in enumerate(tiles):
            some = rows[number * WIDTH : number * WIDTH + tile.width]
            hashes = b"".join([hashed(b"\x00" + leaf).digest() for (leaf,) in some])
            yield tile, hashes if hashes == tile.stored else self._compare(tile)

    def _compare(self, tile: _Tile) -> bytes:
        """Name what differs in one tile of leaves, and return the hashes that the tree above it was built from."""
        first = tile.n * WIDTH
        question = "SELECT idx, leaf FROM entry WHERE idx >= ? AND idx < ?"
        found, unread = self._read(question, first, first + tile.width)
        computed = {idx: sha256(b"\x00" + leaf).digest() for idx, leaf in found}
        stored = tile.stored or b""
        believed = self._is_below(tile.n, stored)
        hashes = []
        for at in range(tile.width):
            tiled = stored[32 * at : 32 * at + 32]
            here = computed.get(first + at)
            if here is None:
                what = "the entry cannot be read" if first + at in unread else "the entry is missing"
                self._damages.append(Damage(index=first + at, what=what))
            elif tiled and here != tiled:
                self._damages.append(Damage(index=first + at, what=_DIFFERS[believed]))
            hashes.append(tiled if here is None or (believed and tiled) else here)
        return b"".join(value or bytes(32) for value in hashes)

    def _read(self, question: str, start: int, stop: int) -> tuple[list[tuple[Any, ...]], set[int]]:
        """Read rows from `start` up to `stop`, one by one where a page is damaged; tells which of them it holds."""
        rows = self._view.attempt(question, start, stop)
        if rows is not None:
            return rows, set()
        alone = {at: self._view.attempt(question, at, at + 1) for at in range(start, stop)}
        return [row for some in alone.values() for row in some or []], {
            at for at, some in alone.items() if some is None
        }

    def _is_below(self, n: int, hashes: bytes) -> bool:
        at = 32 * (n - self._task.start // WIDTH)
        return len(hashes) == 32 * WIDTH and tile_rows(hashes)[8] == self._upper[at : at + 32]

    # --- the tile above ---

    def _read_upper(self) -> bytes:
        number = self._task.start // SPAN
        count = (self._task.end - self._task.start) // WIDTH
        found = self._view.attempt("SELECT width, data FROM tile WHERE level = 1 AND n = ?", number)
        width, data = found[0] if found else (0, b"")
        if count and (len(data) != 32 * width or width < count):
            self._wrong_tile(1, number, self._task.start)
            self._upper_fits = False
            return bytes(data)
        self._upper_fits = True
        return bytes(data[: 32 * count])

    def _check_upper(self) -> None:
        expected = self._above.data()
        if self._upper_fits and self._upper != expected:
            differs = next(
                at for at in range(0, len(expected), 32) if self._upper[at : at + 32] != expected[at : at + 32]
            )
            self._wrong_tile(1, self._task.start // SPAN, self._task.start + differs // 32 * WIDTH)
        if self._above.width == WIDTH:
            n = self._task.start // SPAN
            self._compare_inner(1, n, self._read_inner(1, n, n + 1), self._above.inner())

    # --- the nodes inside full tiles ---

    def _read_inner(self, level: int, start: int, stop: int) -> dict[int, bytes]:
        question = f"SELECT n, data FROM tile_inner WHERE level = {level:d} AND n >= ? AND n < ?"  # noqa: S608  a number
        return dict(self._read(question, start, stop)[0])

    def _compare_inner(self, level: int, n: int, stored: dict[int, bytes], computed: bytes) -> None:
        if stored.get(n) != computed:
            what = f"the inner nodes of tile {n} of level {level} are wrong or missing"
            self._damages.append(Damage(index=None, what=what))

    def _wrong_tile(self, level: int, n: int, index: int) -> None:
        what = f"tile {n} of level {level} is wrong, or missing, from entry {index}"
        self._damages.append(Damage(index=None, what=what))


_DIFFERS = {
    True: "the entry's bytes are not those that were recorded",
    False: "the entry and its hash in the tile differ",
}


def tile_rows(hashes: bytes) -> list[bytes]:
    """Return the hashes of one tile and of all complete subtrees above them inside it, row by row, each row joined."""
    hashed = sha256
    rows = [hashes]
    for _ in range(8):
        row = rows[-1]
        whole = len(row) - len(row) % 64
        rows.append(b"".join([hashed(b"\x01" + row[at : at + 64]).digest() for at in range(0, whole, 64)]))
    return rows


def _subtrees(count: int) -> Iterator[tuple[int, int]]:
    """Yield `(row, position)` of the largest complete subtrees of the first `count` hashes of a tile, from the left."""
    at = 0
    for height in range(8, -1, -1):
        if count >> height & 1:
            yield height, at >> height
            at += 1 << height


def fold(parts: Sequence[bytes]) -> bytes:
    """Hash neighbouring complete subtrees, which get smaller to the right, into one."""
    value = parts[-1]
    for part in reversed(parts[:-1]):
        value = sha256(b"\x01" + part + value).digest()
    return value
