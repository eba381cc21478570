"""What was signed: checkpoints, the head's note, and the lines of witnesses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from ledger.errors import NoteError, WrongKey
from ledger.log.checkpoint import open_checkpoint
from ledger.log.note import Verifier, open_note, split_note


class KeysOverTime(Protocol):
    """A history of the log's keys."""

    def verifiers_at(self, size: int) -> Sequence[Verifier]:
        """Return the keys that may sign a checkpoint of a size."""
        ...


class StoredCheckpoint(NamedTuple):
    """A row of the table `checkpoint`."""

    size: int
    root: bytes
    note: bytes


class Signatures:
    """Verifies notes, several at once: the signature itself is computed outside the interpreter's lock."""

    def __init__(
        self, verifiers: Sequence[Verifier] | KeysOverTime, origin: str, witnesses: Sequence[Verifier], threads: int
    ) -> None:
        self._keys = verifiers
        self._origin = origin
        self._witnesses = tuple(witnesses)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fsck-verify")

    def mistakes(self, rows: Iterable[StoredCheckpoint]) -> Iterator[tuple[StoredCheckpoint, str | None]]:
        """Verify checkpoints; yields each with what is wrong with it, or None."""
        chosen = list(rows)
        yield from zip(chosen, self._pool.map(self.wrong, chosen), strict=True)

    def wrong(self, row: StoredCheckpoint) -> str | None:
        """Tell what is wrong with one checkpoint: its signatures, or that its note says something else than its row."""
        try:
            checkpoint = open_checkpoint(row.note, self._verifiers(row.size), self._origin)
        except NoteError as failure:
            return str(failure)
        return None if (checkpoint.size, checkpoint.root) == (row.size, row.root) else "it says another size or root"

    def wrong_line(self, note: bytes, line: str) -> str | None:
        """Tell what is wrong with a witness's line under a checkpoint; of unknown witnesses only the form is known."""
        try:
            text, _ = split_note(note)
            signed = f"{text}\n{line}\n".encode()
            open_note(signed, self._witnesses)
        except WrongKey:
            return None
        except (NoteError, UnicodeError) as failure:
            return str(failure)
        return None

    def _verifiers(self, size: int) -> Sequence[Verifier]:
        return self._keys if isinstance(self._keys, Sequence) else self._keys.verifiers_at(size)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
