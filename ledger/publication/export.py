"""Writing a log as a directory that any web server can publish (https://c2sp.org/tlog-tiles).

Each file is written beside its place, made durable and renamed; the checkpoint comes last. Whoever reads, and whenever
the export is interrupted, there is a checkpoint whose tiles are complete. Everything written is proved first: entries
by their tile, tiles by the one above, the right edge by the signed root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import (
    ExportRefused,
    LedgerDamaged,
    NoteError,
    ProofError,
    PublicationDamaged,
    PublicationUnavailable,
    ResourceMissing,
)
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier
from ledger.log.reader import measure_entries
from ledger.log.store import Store, read_published_note
from ledger.log.tiles import WIDTH
from ledger.merkle import prove_consistency, verify_consistency
from ledger.publication.bundle import format_bundle
from ledger.publication.files import Directory
from ledger.publication.paths import CHECKPOINT, KEY_HISTORY, TilePath, available, implied, parse_path
from ledger.publication.resources import read_resource
from ledger.publication.sources import DirectorySource
from ledger.publication.tiles import ProvedTiles

Progress = Callable[[int, int], None]
"""`(done, total)`, in entries."""
_PAGE = 256
"""Bundles whose lengths are asked for at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export did: the size before (None: there was no checkpoint) and now, and how many files it touched."""

    old_size: int | None
    size: int
    written: int
    kept: int
    removed: int


def export_log(
    store: Store,
    directory: Path,
    *,
    verifiers: Sequence[Verifier],
    origin: str,
    key_history: str | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write what the newest checkpoint implies and the directory does not have yet, then the checkpoint.

    Full tiles and bundles that an earlier checkpoint of the directory covers are not written again; their lengths are
    compared. Partial ones that a full one supersedes are removed at the end. `key_history` (`format_key_history`) comes
    before the checkpoint, which may be signed by a key that only the history tells of.

    Raises:
        ExportRefused: the directory is of another log, ahead of this one or of another history, holds other things,
            has a tile that is not ours, or is being written by another export. Its checkpoint stays as it was.
        LedgerDamaged: the store does not hold what its own checkpoint commits to.
        LedgerUnavailable: the store cannot be read.
        PublicationUnavailable: the directory cannot be read or written.
    """
    with store.reading() as connection:
        note = read_published_note(connection)
    checkpoint = open_checkpoint(note, verifiers, origin)
    with _sound():
        ours = ProvedTiles(_StoreSource(store), checkpoint.size, checkpoint.root)
    with _writable(), Directory.locked(directory) as target:
        old = _earlier(target, verifiers, origin)
        if old is not None:
            with _sound():
                _require_prefix(old, ours)
        run = _Run(store, target, ours, old.size if old else 0)
        run.write(progress or (lambda done, total: None))
        _require_complete(directory, old, ours)
        history = None if key_history is None else key_history.encode()
        if history is not None and history != target.read(KEY_HISTORY):
            target.write(KEY_HISTORY, history)
        target.make_durable()
        target.write(CHECKPOINT, note)
        target.make_durable()
        removed = target.remove_superseded(checkpoint.size)
    old_size = old.size if old else None
    return Exported(old_size=old_size, size=checkpoint.size, written=run.written, kept=run.kept, removed=removed)


class _StoreSource:
    """The store, read as an outsider reads a published log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fetch(self, path: str, longest: int) -> bytes:
        with self._store.reading() as connection:
            return read_resource(connection, parse_path(path))


class _Run:
    """One pass over everything that a checkpoint implies."""

    def __init__(self, store: Store, target: Directory, ours: ProvedTiles, covered: int) -> None:
        self.written = 0
        self.kept = 0
        self._store = store
        self._target = target
        self._ours = ours
        self._covered = covered
        self._page = -1
        self._lengths: list[int] = []

    def write(self, progress: Progress) -> None:
        size, done = self._ours.size, 0
        for path in implied(size):
            if self._is_there(path):
                self.kept += 1
            else:
                self._target.write(str(path), self._data(path))
                self.written += 1
            if path.level is None:
                done = min(size, (path.n + 1) * WIDTH)
                progress(done, size)

    def _is_there(self, path: TilePath) -> bool:
        length = self._target.length(str(path))
        if length is None:
            return False
        if available(path.level, path.n, self._covered) == WIDTH:
            same = length == self._length(path)
        else:
            # Left by an interrupted export: no checkpoint answers for it yet.
            same = self._target.read(str(path)) == self._data(path)
        if not same:
            raise ExportRefused(f"the directory holds another {path} than this log has")
        return True

    def _data(self, path: TilePath) -> bytes:
        with _sound():
            if path.level is None:
                return format_bundle(self._ours.entries(path.n))
            return self._ours.tile(path.level, path.n)

    def _length(self, path: TilePath) -> int:
        if path.level is not None:
            return 32 * path.width
        page, position = divmod(path.n, _PAGE)
        if page != self._page:
            with self._store.reading() as connection:
                measured = measure_entries(connection, page * _PAGE * WIDTH, _PAGE * WIDTH)
            self._page, self._lengths = page, [2 * count + total for count, total in measured]
        if position >= len(self._lengths):
            raise LedgerDamaged(f"the entries of bundle {path.n} are missing")
        return self._lengths[position]


def _earlier(target: Directory, verifiers: Sequence[Verifier], origin: str) -> Checkpoint | None:
    note = target.read(CHECKPOINT)
    if note is None:
        if target.names() - {"tile", KEY_HISTORY}:
            raise ExportRefused("the directory has no checkpoint and holds other things than tiles")
        return None
    try:
        return open_checkpoint(note, verifiers, origin)
    except NoteError as failure:
        raise ExportRefused(f"the directory's checkpoint is not one of this log: {failure}") from failure


def _require_prefix(old: Checkpoint, tiles: ProvedTiles) -> None:
    """Require that the log of the directory's checkpoint is the beginning of the log of these tiles."""
    try:
        proof = prove_consistency(old.size, tiles.size, tiles.node)
        verify_consistency(old.size, tiles.size, proof, old.root, tiles.root)
    except ProofError as failure:
        raise ExportRefused(
            f"the directory's checkpoint of size {old.size} is not a prefix of this log of size {tiles.size}: {failure}"
        ) from failure


def _require_complete(directory: Path, old: Checkpoint | None, ours: ProvedTiles) -> None:
    """Prove the new checkpoint from the files themselves, and that it extends the old one."""
    try:
        exported = ProvedTiles(DirectorySource(directory), ours.size, ours.root)
        if old is not None:
            _require_prefix(old, exported)
    except (PublicationDamaged, ResourceMissing) as failure:
        raise ExportRefused(f"the directory's files do not lead to the checkpoint: {failure}") from failure


@contextmanager
def _sound() -> Iterator[None]:
    """Tell damage of the store by its own name."""
    try:
        yield
    except (PublicationDamaged, ResourceMissing) as damage:
        raise LedgerDamaged(str(damage)) from damage


@contextmanager
def _writable() -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise PublicationUnavailable(f"the directory cannot be written ({failure.strerror})") from failure
