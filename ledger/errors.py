"""How the ledger fails. Messages name conditions, indices and record ids; never personal data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


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


class ExtraMissing(LedgerError):
    """Something needs a library that is not installed; the message names the extra to install."""


class AlgorithmUnavailable(ExtraMissing):
    """An algorithm needs a library, or a release of one, that is not installed; the message says which."""


class KeyNotInForce(WrongKey):
    """Only keys that were not in force at the checkpoint's size signed it: retired, or not announced yet."""


class KeyHistoryError(LedgerError):
    """A history of the log's keys is malformed, does not prove what it says, or does not allow this step."""


class ReceiptError(LedgerError):
    """A receipt is not in the `tlog-proof` format, or does not carry the entry it proves."""


class CompletenessError(LedgerError):
    """A completeness proof is malformed, or does not prove that its entries are all entries of the record."""


class IndexMissing(LedgerError):
    """No committed index can be proved from now: none was made yet, or the next one is just being made."""


class ResumeRefused(LedgerError):
    """The state of an earlier check is not of this log, or of another kind of check: nothing may be skipped by it."""


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


class EntryUnpublished(EntryMissing):
    """No published checkpoint covers the first `size` entries yet, nor a witnessed one where there must be one:
    `Ledger.published` waits for one that does.
    """

    def __init__(self, size: int, published: int) -> None:
        super().__init__(f"entry {size - 1} came after the published checkpoint of size {published}")
        self.size = size


class StoreError(LedgerError):
    """The store cannot be opened as it is."""


class StoreMissing(StoreError):
    """There is no ledger at this address; opening never creates one."""


class StoreExists(StoreError):
    """There already is a ledger at this address."""


class StoreUnfit(StoreError):
    """No ledger can be kept in this database, or by this role, as they are; the message says what to change."""


class SchemaNewer(StoreError):
    """The store was written by a newer version of this program."""


class SchemaOlder(StoreError):
    """The store has to be upgraded before it can be opened."""


class LedgerLocked(StoreError):
    """Another process is the writer of this SQLite file; there can be only one."""


class LedgerDamaged(LedgerError):
    """Stored data contradict each other (DATA_LOSS): nothing more is appended until somebody has looked."""


class LogShrunk(LedgerDamaged):
    """The database holds fewer entries than a signed checkpoint that left: it was restored, or lost commits."""


class KeysRetired(LedgerDamaged):
    """Every key with which this process signs was retired while it ran: it appends and signs nothing more."""


class RememberedUnusable(LedgerError):
    """A checkpoint remembered outside the database cannot be read, so that nothing can be told by it."""


class LedgerUnavailable(LedgerError):
    """The entry could not be made durable now; asking again with the same idempotency key tells whether it was."""


class LedgerClosed(LedgerUnavailable):
    """The ledger was closed by its owner."""


class ReceiptLate(LedgerError):
    """An entry is recorded and stands, but no published checkpoint covered it within the time that was given."""

    def __init__(self, index: int, record: bytes, seconds: float) -> None:
        super().__init__(
            f"recorded as entry {index} (record {record.hex()}), but not published within {seconds:g} seconds"
        )
        self.index = index
        self.record = record


class LedgerOverloaded(LedgerUnavailable):
    """Too many callers wait already; nothing was written."""


class AppendRefused(LedgerError):
    """A rule of the ledger refuses this submission; nothing of it was written."""


class SubmissionError(AppendRefused):
    """The submission is malformed; `mistakes` lists every reason."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("malformed submission: " + "; ".join(mistakes))
        self.mistakes = mistakes


class BatchSpoilt(LedgerError):
    """The database refused a value of some submission of a batch; nothing of the batch was written."""


class IdempotencyConflict(AppendRefused):
    """The idempotency key was used for another body, whose first entry is `first_idx`, or for one that is erased."""

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


class RecordErased(AppendRefused):
    """The record's documents are erased: nothing follows any more but what only ends it, and nothing hangs on it."""

    def __init__(self, record: bytes) -> None:
        super().__init__(f"record {record.hex()} is erased")
        self.record = record


class RecordChanged(AppendRefused):
    """The record went on: its newest entry is another than the one that an act upon it was judged on."""

    def __init__(self, record: bytes) -> None:
        super().__init__(f"record {record.hex()} went on meanwhile")
        self.record = record


class AlreadyClaimed(AppendRefused):
    """Something that may exist once only exists already: `record` holds the claim."""

    def __init__(self, record: bytes) -> None:
        super().__init__(f"already claimed by record {record.hex()}")
        self.record = record


class VaultError(LedgerError):
    """A document cannot be read: wrong master key or damaged ciphertext."""


class MasterKeysWrong(VaultError):
    """The master keys are not those that wrapped this ledger's data keys: nothing may be sealed under them."""


class PolicyError(LedgerError):
    """A witness policy is wrong; `mistakes` lists every reason with its line."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("witness policy: " + "; ".join(mistakes))
        self.mistakes = mistakes


class QuorumMissing(LedgerError):
    """A checkpoint does not carry the cosignatures that the policy asks for."""


class SplitView(LedgerError):
    """Witnesses say that there is a history of this log that ours does not extend: it forked, or was rolled back.

    `witnesses` names them as the policy does, with what each says; `proofs` are the checkpoints, signed by the log, by
    which some of them prove it; `lines` are the cosignatures that other witnesses gave all the same.
    """

    def __init__(
        self, witnesses: Mapping[str, str], lines: Sequence[str], proofs: Mapping[str, bytes] | None = None
    ) -> None:
        told = "; ".join(f"{name}: {reason}" for name, reason in witnesses.items())
        super().__init__(f"SPLIT VIEW: witnesses hold another history of this log ({told})")
        self.witnesses = witnesses
        self.proofs = dict(proofs or {})
        self.lines = tuple(lines)


class WitnessError(LedgerError):
    """A message of the witness protocol is malformed."""


class WitnessStateError(LedgerError):
    """The state of a witness cannot be used as it is; without it the witness must not sign."""


class HsmUnavailable(LedgerError):
    """The PKCS#11 token, or the key on it, cannot be used; the message says what was missing."""


class DisclosureError(LedgerError):
    """A disclosure is malformed or does not prove what it shows, or what was asked cannot be disclosed."""


class ErasureRefused(AppendRefused):
    """An order to erase is incomplete or asks what cannot be done; `mistakes` lists every reason."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("erasure refused: " + "; ".join(mistakes))
        self.mistakes = mistakes


class RemnantsLeft(LedgerError):
    """The erasure is done and recorded, but the database could not be cleaned of what was deleted: clean it again."""


class PublicationError(LedgerError):
    """A published log, or its publication, is not as it must be."""


class PathMalformed(PublicationError):
    """A path is not one that tlog-tiles defines, or not in its one spelling."""


class ResourceMissing(PublicationError):
    """There is no such resource: the published checkpoint does not imply it, or the publisher does not have it."""


class PublicationUnavailable(PublicationError):
    """The published log cannot be read now; asking again later may help."""


class PublicationDamaged(PublicationError):
    """What is published contradicts its signed checkpoint."""


class ExportRefused(PublicationError):
    """The directory is not one that this log may be exported to; nothing in it was replaced."""


class AnchorError(LedgerError):
    """A time stamp does not prove what it should: other bytes, another question, or nobody we trust."""


class AnchorUnavailable(LedgerError):
    """The time-stamping authority gave no time stamp now; asking again may help."""
