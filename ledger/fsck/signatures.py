"""What was signed: checkpoints, the head's note, and the lines of witnesses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple, Protocol

from ledger.errors import NoteError, WrongKey
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier, open_note, parse_line, split_note


class KeysOverTime(Protocol):
    """A history of the log's keys."""

    @property
    def verifiers(self) -> Sequence[Verifier]:
        """Every key there ever was."""
        ...

    def open(self, note: bytes) -> Checkpoint:
        """Verify a checkpoint with the keys that were in force at its size; raises `NoteError`."""
        ...


class StoredCheckpoint(NamedTuple):
    """A row of the table `checkpoint`."""

    size: int
    root: bytes
    note: bytes


class Signatures:
    """Verifies notes, several at once: the signature itself is computed outside the interpreter's lock.

    `witnesses` are all keys beside the log's own by which lines are verified, further keys of the log included; lines
    of other keys are counted in `unverified`.
    """

    def __init__(
        self, verifiers: Sequence[Verifier] | KeysOverTime, origin: str, witnesses: Sequence[Verifier], threads: int
    ) -> None:
        self._keys = verifiers
        self._origin = origin
        self._witnesses = tuple(witnesses)
        own = verifiers if isinstance(verifiers, Sequence) else verifiers.verifiers
        self._known = {(key.name, key.key_id) for key in (*own, *self._witnesses)}
        self.unverified = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fsck-verify")

    def mistakes(self, rows: Iterable[StoredCheckpoint]) -> Iterator[tuple[StoredCheckpoint, str | None]]:
        """Verify checkpoints; yields each with what is wrong with it, or None."""
        chosen = list(rows)
        for row, mistake in zip(chosen, self._pool.map(self.wrong, chosen), strict=True):
            if mistake is None:
                lines = map(parse_line, split_note(row.note)[1])
                self.unverified += sum((line.name, line.key_id) not in self._known for line in lines)
            yield row, mistake

    def wrong(self, row: StoredCheckpoint) -> str | None:
        """Tell what is wrong with one checkpoint: its signatures, or that its note says something else than its row."""
        try:
            checkpoint = self._open(row.note)
            with suppress(WrongKey):  # it is from before the further keys
                open_note(row.note, self._witnesses)
        except NoteError as failure:
            return str(failure)
        return None if (checkpoint.size, checkpoint.root) == (row.size, row.root) else "it says another size or root"

    def wrong_line(self, note: bytes, line: str) -> str | None:
        """Tell what is wrong with a witness's line under a checkpoint; of unknown witnesses only the form is known."""
        if "\n" in line:
            return "it is more than one line"
        try:
            text, _ = split_note(note)
            signed = f"{text}\n{line}\n".encode()
            open_note(signed, self._witnesses)
        except WrongKey:
            self.unverified += 1
            return None
        except (NoteError, UnicodeError) as failure:
            return str(failure)
        return None

    def _open(self, note: bytes) -> Checkpoint:
        keys = self._keys
        return open_checkpoint(note, keys, self._origin) if isinstance(keys, Sequence) else keys.open(note)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
