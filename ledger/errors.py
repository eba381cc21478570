"""How the ledger fails. Messages name conditions, indices and record ids; never personal data."""

from __future__ import annotations


class LedgerError(Exception):
    """Something about the ledger failed or was refused."""


class ProofError(LedgerError):
    """A Merkle proof does not prove what it is said to prove."""


class NoteError(LedgerError):
    """A signed note or checkpoint is malformed, or a signature in it is bad."""


class WrongKey(NoteError):
    """No signature of the note was made by a key that is known here."""


class WrongOrigin(NoteError):
    """The checkpoint is of another log."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"the checkpoint is of log {found!r}, not of {expected!r}")
        self.expected = expected
        self.found = found


class ReceiptError(LedgerError):
    """A receipt is not in the `tlog-proof` format, or does not carry the entry it proves."""


class KeyFileError(LedgerError):
    """A key file cannot be used; `mistakes` lists every reason."""

    def __init__(self, path: str, mistakes: list[str]) -> None:
        super().__init__(f"key file {path}: " + "; ".join(mistakes))
        self.mistakes = mistakes


class CanonicalError(LedgerError):
    """A value has no canonical form in the profile, or bytes are not in canonical form."""


class EntryError(LedgerError):
    """Bytes are not a ledger entry; `mistakes` lists every reason."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("not a ledger entry: " + "; ".join(mistakes))
        self.mistakes = mistakes


class EntryMissing(LedgerError):
    """The log has no entry of this index, or no checkpoint of this size."""


class StoreError(LedgerError):
    """The store cannot be opened as it is."""


class StoreMissing(StoreError):
    """There is no ledger at this address; opening never creates one."""


class StoreExists(StoreError):
    """There already is a ledger at this address."""


class SchemaNewer(StoreError):
    """The store was written by a newer version of this program."""


class SchemaOlder(StoreError):
    """The store has to be upgraded before it can be opened."""


class LedgerLocked(StoreError):
    """Another process is the writer of this SQLite file; there can be only one."""


class LedgerDamaged(LedgerError):
    """Stored data contradict each other (DATA_LOSS): nothing more is appended until somebody has looked."""


class LedgerUnavailable(LedgerError):
    """The entry could not be made durable now; asking again with the same idempotency key tells whether it was."""


class LedgerClosed(LedgerUnavailable):
    """The ledger was closed by its owner."""


class LedgerOverloaded(LedgerUnavailable):
    """Too many callers wait already; nothing was written."""


class AppendRefused(LedgerError):
    """A rule of the ledger refuses this submission; nothing of it was written."""


class SubmissionError(AppendRefused):
    """The submission is malformed; `mistakes` lists every reason."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("malformed submission: " + "; ".join(mistakes))
        self.mistakes = mistakes


class IdempotencyConflict(AppendRefused):
    """The idempotency key was used for another body, whose first entry is `first_idx`."""

    def __init__(self, first_idx: int) -> None:
        super().__init__(f"the idempotency key was used for another body (entry {first_idx})")
        self.first_idx = first_idx


class TransitionRefused(AppendRefused):
    """The record's state does not allow this kind of entry."""

    def __init__(self, record: bytes, state: str | None, kind: str) -> None:
        super().__init__(f"record {record.hex()} in state {state or 'absent'} does not take {kind}")
        self.record = record
        self.state = state
        self.kind = kind


class AlreadyClaimed(AppendRefused):
    """Something that may exist once only exists already: `record` holds the claim."""

    def __init__(self, record: bytes) -> None:
        super().__init__(f"already claimed by record {record.hex()}")
        self.record = record


class VaultError(LedgerError):
    """A document cannot be read: wrong master key or damaged ciphertext."""
