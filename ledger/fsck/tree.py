"""The first pass: the tree over all entries, put together from ranges, beside everything that was signed of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ledger.errors import LedgerDamaged
from ledger.fsck.findings import Findings, Progress
from ledger.fsck.ranges import SPAN, RangeResult, RangeTask, check_range, fold
from ledger.fsck.signatures import Signatures, StoredCheckpoint
from ledger.fsck.snapshot import Snapshot, snapshot
from ledger.fsck.workers import Workers
from ledger.log.store import Head, Store
from ledger.log.tiles import WIDTH, StoredTile, TileTree
from ledger.merkle import EMPTY_ROOT

_BELOW = 2
"""Levels of tiles inside a range: its own tree begins above them."""


class Position(NamedTuple):
    """How far the log is verified: its first `size` entries have this root, and `note` was signed of them or more."""

    size: int
    root: bytes
    note: bytes
    checkpoints: int
    """How many checkpoints were verified up to there."""


class LogPass:
    """Checks ranges in order and grows the tree above them."""

    def __init__(
        self, store: Store, head: Head, signatures: Signatures, findings: Findings, *, start: Position | None = None
    ) -> None:
        self._store = store
        self._head = head
        self._signatures = signatures
        self._findings = findings
        self._tree = TileTree(0 if start is None else start.size // SPAN, self._load)
        self._last_good = 0 if start is None else start.size
        self._forked = False
        self.position = start
        """The newest position from which another run could go on; it stays where the first damage is."""
        self.root = EMPTY_ROOT if start is None else start.root

    def run(
        self, url: str, workers: Workers, *, hash_leaves: bool, progress: Progress, total: int
    ) -> Iterator[Position | None]:
        """Check everything from the start position on; yields the position after each range."""
        size = self._head.size
        first = self._tree.size * SPAN
        if first == 0:
            self._check_checkpoints(RangeResult(-1, 0, None, [(0, EMPTY_ROOT)], []))
        tasks = (RangeTask(url, start, min(size, start + SPAN), hash_leaves) for start in range(first, size, SPAN))
        for result in workers.run(check_range, tasks):
            self._findings.add_all(result.damages)
            self._check_checkpoints(result)
            self._grow(result)
            yield self.position
            progress(result.end, total)
            if self._findings.full:  # nothing more could be told, and a head can claim any size
                return
        self._check_tiles(self._edge())
        self._check_head()

    def grown_root(self) -> bytes:
        """Return the root of the complete ranges so far."""
        return self._tree.root()

    # --- the tree ---

    def _grow(self, result: RangeResult) -> None:
        if result.node is not None:
            self._tree.append(result.node)
            self._check_tiles([tile for tile in self._tree.pending() if tile.width == WIDTH])
            self._tree.settle()

    def _edge(self) -> Iterator[StoredTile]:
        """Yield the tiles at the right edge that are not full."""
        level, count = 0, self._tree.size
        while count:
            n, width = divmod(count, WIDTH)
            if width:
                hashes = [self._tree.node(8 * level, WIDTH * n + at) for at in range(width)]
                yield StoredTile(level=level, n=n, width=width, data=b"".join(hashes))
            level, count = level + 1, count // WIDTH

    def _root(self, part: bytes) -> bytes:
        """Return the root where `part` follows the complete ranges so far."""
        parts, at, count = [], 0, self._tree.size
        for level in range(count.bit_length() - 1, -1, -1):
            if count >> level & 1:
                parts.append(self._tree.node(level, at >> level))
                at += 1 << level
        return fold([*parts, part])

    def _check_tiles(self, tiles: Iterable[StoredTile]) -> None:
        with snapshot(self._store) as view:
            for tile in tiles:
                self._check_tile(view, tile)

    def _check_tile(self, view: Snapshot, expected: StoredTile) -> None:
        level = expected.level + _BELOW
        found = view.attempt("SELECT width, data FROM tile WHERE level = ? AND n = ?", level, expected.n)
        width, data = found[0] if found else (0, b"")
        if width * 32 != len(data) or data[: len(expected.data)] != expected.data:
            first = expected.n * WIDTH * SPAN << (8 * expected.level)
            self._findings.add(None, f"tile {expected.n} of level {level} is wrong, or missing, from entry {first}")
        if expected.width == WIDTH:
            inner = view.attempt("SELECT data FROM tile_inner WHERE level = ? AND n = ?", level, expected.n)
            if [data for (data,) in inner or []] != [expected.inner]:
                self._findings.add(None, f"the inner nodes of tile {expected.n} of level {level} are wrong or missing")

    def _load(self, level: int, n: int) -> bytes:
        with snapshot(self._store) as view:
            found = view.all("SELECT data FROM tile WHERE level = ? AND n = ?", level + _BELOW, n)
        if not found:
            raise LedgerDamaged(f"tile {n} of level {level + _BELOW} is missing")
        return bytes(found[0][0])

    # --- what was signed ---

    def _check_checkpoints(self, result: RangeResult) -> None:
        folds = dict(result.folds)
        with snapshot(self._store) as view:
            kept = view.attempt(_CHECKPOINTS, result.start, result.end)
            if kept is None:
                self._findings.add(None, f"the checkpoints of sizes up to {result.end} cannot be read")
            found = [StoredCheckpoint(*row) for row in kept or []]
            # What was signed since the range was read is for the next run.
            rows = [row for row in found if row.size in folds]
            self._check_cosignatures(view, rows, result)
        before, counted = self.root, self._findings.checkpoints
        for row, mistake in self._signatures.mistakes(rows):
            self._findings.checkpoints += 1
            if mistake is not None:
                self._findings.add(None, f"the checkpoint of size {row.size}: {mistake}")
            if self._agrees(row, folds[row.size]) and result.start >= 0 and not self._findings.damages:
                self.position = Position(result.start, before, row.note, counted)
        if result.end and not self._forked:
            self.root = self._root(folds[result.end])

    def _agrees(self, row: StoredCheckpoint, part: bytes) -> bool:
        if self._forked:
            return False
        if self._root(part) == row.root:
            self._last_good = row.size
            return True
        # Every later root is wrong as well: one report, naming the first entry that can be at fault.
        self._forked = True
        self._contradict(row.size, f"the entries up to {row.size} lead to another root than was signed")
        return False

    def _contradict(self, size: int, what: str) -> None:
        """Name the first entry that can be at fault, unless one that surely is has been named already."""
        possible = range(self._last_good, size)
        named = not possible or any(index in possible for index in self._findings.bad)
        self._findings.add(None if named else self._last_good, what)

    def _check_cosignatures(self, view: Snapshot, rows: list[StoredCheckpoint], result: RangeResult) -> None:
        notes = {row.size: row.note for row in rows}
        lines = view.attempt(_LINES, result.start, result.end)
        if lines is None:
            self._findings.add(None, f"the cosignatures of sizes up to {result.end} cannot be read")
        for size, line in lines or []:
            note = notes.get(size)  # None: signed since the range was read, or never, which is looked for at the end
            mistake = None if note is None else self._signatures.wrong_line(note, line)
            if mistake is not None:
                self._findings.add(None, f"a cosignature of the checkpoint of size {size}: {mistake}")

    def _check_head(self) -> None:
        head = self._head
        if not self._forked and self.root != head.root:
            self._contradict(head.size, "the entries lead to another root than the head says")
        with snapshot(self._store) as view:
            found = view.attempt("SELECT size, root, note FROM checkpoint WHERE size = ?", head.published)
            published = StoredCheckpoint(*found[0]) if found else None
            if published is None:
                what = "is not kept" if found is not None else "cannot be read"
                self._findings.add(None, f"the published checkpoint of size {head.published} {what}")
            wrong = self._signatures.wrong(
                StoredCheckpoint(head.published, published.root if published else b"", head.note)
            )
            if wrong is not None:
                self._findings.add(None, f"the head's checkpoint: {wrong}")
            if head.published > head.size:
                self._findings.add(None, "a checkpoint beyond the head is published")
            with view.despite_damage(lambda: self._findings.add(None, "what is beyond the head cannot be read")):
                _check_beyond(view, self._findings)


_UNSIGNED = (
    "SELECT DISTINCT s.size FROM cosignature s LEFT JOIN checkpoint c ON c.size = s.size "
    "WHERE c.size IS NULL ORDER BY s.size LIMIT 100"
)
_LINES = "SELECT size, line FROM cosignature WHERE size > ? AND size <= ? ORDER BY size"
_CHECKPOINTS = "SELECT size, root, note FROM checkpoint WHERE size > ? AND size <= ? ORDER BY size"


def _check_beyond(view: Snapshot, findings: Findings) -> None:
    """Check, in one view, that nothing reaches beyond the head: no entry, no checkpoint, no hash."""
    size = view.all("SELECT size FROM head WHERE id = 1")[0][0]
    for table, column, most in (("entry", "idx", size - 1), ("checkpoint", "size", size)):
        lowest = f"SELECT min({column}) FROM {table}"  # noqa: S608  only names written here
        ((first,),) = view.all(f"{lowest} WHERE {column} > ?", most)
        ((least,),) = view.all(lowest)
        for at in (first, least):
            if at is not None and not 0 <= at <= most:
                findings.add(at if table == "entry" else None, f"{table} {at} is beyond the head")
    for (at,) in view.all(_UNSIGNED):
        findings.add(None, f"a cosignature of the checkpoint of size {at}: there is no such checkpoint")
    _check_tiles_beyond(view, size, findings)


def _check_tiles_beyond(view: Snapshot, size: int, findings: Findings) -> None:
    for table in ("tile", "tile_inner"):
        nowhere = f"SELECT level, n FROM {table} WHERE level < 0 OR n < 0 ORDER BY level, n LIMIT 100"  # noqa: S608
        for level, n in view.all(nowhere):
            findings.add(None, f"{table} {n} of level {level} is of no tree")
    for level, n in view.all("SELECT level, max(n) FROM tile WHERE level >= 0 GROUP BY level ORDER BY level"):
        at, rest = divmod(size >> (8 * level), WIDTH)
        ((width,),) = view.all("SELECT width FROM tile WHERE level = ? AND n = ?", level, n)
        if n > at or (n == at and width > rest):
            findings.add(None, f"tile {n} of level {level} is beyond the head")
    for level, n in view.all("SELECT level, max(n) FROM tile_inner WHERE level >= 0 GROUP BY level ORDER BY level"):
        if n >= size >> (8 * (level + 1)):
            findings.add(None, f"the inner nodes of tile {n} of level {level} are beyond the head")
