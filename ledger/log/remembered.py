"""What is known of the log outside its database: the newest checkpoint that left, so that a database which was
restored from an old backup, or lost commits, is noticed instead of served.

A log that forgot entries and goes on signs a second history for sizes it signed before: every receipt given out in
between turns false, and any witness or auditor can prove the log dishonest. That cannot be repaired afterwards.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ledger.durable_file import replace_file
from ledger.errors import LedgerDamaged, LogShrunk, NoteError, ProofError, RememberedUnusable
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier
from ledger.log.reader import LogReader
from ledger.log.store import Store, read_head
from ledger.log.tiles import TileCache
from ledger.merkle import NodeReader, prove_consistency, verify_consistency

_LONGEST = 1 << 20


def require_prefix(seen: Checkpoint, where: str, size: int, root: bytes, node: NodeReader) -> None:
    """Require that the log of `size` entries and `root` begins with the log of a remembered checkpoint.

    `node` reads the stored tiles; `where` says who remembers.

    Raises:
        LogShrunk: the log has fewer entries than the checkpoint.
        LedgerDamaged: it begins differently, or the tiles do not prove how it begins.
    """
    if size < seen.size:
        raise LogShrunk(
            f"the database holds {size} entries, but it signed the checkpoint of {seen.size} that {where} has"
        )
    try:
        proof = prove_consistency(seen.size, size, node)
        verify_consistency(seen.size, size, proof, seen.root, root)
    except ProofError as failure:
        raise LedgerDamaged(
            f"the first {seen.size} entries in the database are not those of the checkpoint that {where} has"
        ) from failure


class Remembered:
    """A checkpoint kept in a file apart from the database, and any checkpoints that others were asked for.

    The file belongs beside the signing key, on storage that is not restored together with the database. `others`
    are notes by who gave them, such as the published checkpoint by its address; they are compared, never kept.

    What this process let leave itself (`left`) is compared as well: the file is behind that by as long as it is
    written seldom. Once the log was found not to continue what is remembered, the file is not advanced any more.
    """

    def __init__(self, path: Path, others: Mapping[str, bytes] | None = None) -> None:
        self.path = path
        self._others = dict(others or {})
        self._left: bytes | None = None
        self._left_size = -1
        self._guard = threading.Lock()
        self._damage: LedgerDamaged | None = None

    def left(self, note: bytes) -> None:
        """Take a checkpoint that this process signed, was told, or gave out; from any thread, and at once.

        The largest is kept.
        """
        size = _size_of(note)
        with self._guard:
            if size > self._left_size:
                self._left, self._left_size = note, size

    def recall(self) -> bytes | None:
        """Return the note in the file, None if there is no file yet.

        Raises:
            RememberedUnusable: it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                return file.read(_LONGEST)
        except FileNotFoundError:
            return None
        except OSError as failure:
            raise RememberedUnusable(f"{self.path} cannot be read ({failure.strerror})") from failure

    def require(self, store: Store, verifiers: Sequence[Verifier], origin: str) -> bytes:
        """Require that the log in the store continues everything that is remembered; returns its newest note.

        Raises:
            LogShrunk, LedgerDamaged: it does not.
            RememberedUnusable: what is remembered is not a checkpoint of this log.
            LedgerUnavailable: the store cannot be read.
        """
        notes = dict(self._others)
        kept = self.recall()
        if kept is not None:
            notes[str(self.path)] = kept
        if self._left is not None:
            notes["this process"] = self._left
        seen = {where: _opened(where, note, verifiers, origin) for where, note in notes.items()}
        reader = LogReader(store, TileCache())
        with store.reading() as connection:
            head = read_head(connection)
        for where, checkpoint in seen.items():
            require_prefix(checkpoint, where, head.size, head.root, reader.node)
        return head.note

    def advance(
        self,
        store: Store,
        verifiers: Sequence[Verifier],
        origin: str,
        *,
        settled: Callable[[int], None] = lambda _size: None,
    ) -> None:
        """Require as `require` does, and keep the log's newest checkpoint, once `settled` has let its size pass: what a
        fail-over may lose has not left, and must not keep anybody from starting after it.

        Raises:
            LogShrunk, LedgerDamaged: it does not continue what is remembered, or was found before not to; the newest
                of what this process let leave is kept, see `hold`.
            RememberedUnusable, LedgerUnavailable: as of `require`; nothing is kept.
            OSError: the file could not be written; it is as it was.
            Whatever `settled` raises; nothing is kept.
        """
        if self._damage is not None:
            raise self._damage
        with _alone(self.path.parent):  # parts of one gateway keep one file
            try:
                note = self.require(store, verifiers, origin)
            except LedgerDamaged as damage:
                self._hold(damage, verifiers, origin)
                raise
            if note != self.recall():
                settled(_size_of(note))
                replace_file(self.path, note)

    def hold(self, damage: LedgerDamaged, verifiers: Sequence[Verifier], origin: str) -> None:
        """Advance the file no more, but to the newest checkpoint that this process let leave, if that is further.

        A log that lost what it had signed is then refused by whoever opens it next.

        Raises:
            OSError: the file could not be written; it is as it was.
        """
        with _alone(self.path.parent):
            self._hold(damage, verifiers, origin)

    def _hold(self, damage: LedgerDamaged, verifiers: Sequence[Verifier], origin: str) -> None:
        self._damage = self._damage or damage
        if self._left is None:
            return
        try:
            kept = self.recall()
            before = -1 if kept is None else _opened(str(self.path), kept, verifiers, origin).size
            further = _opened("this process", self._left, verifiers, origin).size > before
        except RememberedUnusable:  # refused as well by whoever opens the log next
            return
        if further:
            replace_file(self.path, self._left)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others from changing what is remembered in a folder, between reading and writing it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _size_of(note: bytes) -> int:
    """Read the size of a checkpoint of ours, which is known to be one."""
    return int(note.split(b"\n", 2)[1])


def _opened(where: str, note: bytes, verifiers: Sequence[Verifier], origin: str) -> Checkpoint:
    try:
        return open_checkpoint(note, verifiers, origin)
    except NoteError as failure:
        raise RememberedUnusable(f"what {where} has is not a checkpoint of this log ({failure})") from failure
