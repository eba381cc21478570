"""What is known of the log outside its database: the newest checkpoint that left, so that a database which was
restored from an old backup, or lost commits, is noticed instead of served.

A log that forgot entries and goes on signs a second history for sizes it signed before: every receipt given out in
between turns false, and any witness or auditor can prove the log dishonest. That cannot be repaired afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """

    def __init__(self, path: Path, others: Mapping[str, bytes] | None = None) -> None:
        self.path = path
        self._others = dict(others or {})
        self._kept: bytes | None = None

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
        seen = {where: _opened(where, note, verifiers, origin) for where, note in notes.items()}
        reader = LogReader(store, TileCache())
        with store.reading() as connection:
            head = read_head(connection)
        for where, checkpoint in seen.items():
            require_prefix(checkpoint, where, head.size, head.root, reader.node)
        return head.note

    def advance(self, store: Store, verifiers: Sequence[Verifier], origin: str) -> None:
        """Require as `require` does, and keep the log's newest checkpoint.

        Raises:
            LogShrunk, LedgerDamaged, RememberedUnusable, LedgerUnavailable: as of `require`; nothing is kept.
            OSError: the file could not be written; it is as it was.
        """
        note = self.require(store, verifiers, origin)
        if note != self._kept:
            replace_file(self.path, note)
            self._kept = note


def _opened(where: str, note: bytes, verifiers: Sequence[Verifier], origin: str) -> Checkpoint:
    try:
        return open_checkpoint(note, verifiers, origin)
    except NoteError as failure:
        raise RememberedUnusable(f"what {where} has is not a checkpoint of this log ({failure})") from failure
