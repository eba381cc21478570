"""Verify what the gateway says it recorded, offline, with the log's public keys alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ledger.canonical import Json, parse_canonical
from ledger.errors import KeyHistoryError, LedgerError
from ledger.keyring.history import KeyHistory, require_ranges
from ledger.keyring.published import verify_key_history
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier
from ledger.log.vkey import parse_vkeys
from ledger.merkle import hash_leaf, verify_inclusion
from ledger.receipt import parse_receipt
from ledger.records.codec import Entry, decode_entry
from ledger.records.commitments import commit_value, is_group
from ledger.v1 import ledger_pb2

_REMEMBERED = 256
_SALT_BYTES = 32


class ReceiptRefused(Exception):
    """A receipt does not prove what came with it; what came with it must not be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedGroup:
    """A part of what was recorded, proven: its value, and the salt and bytes (`canonical`) that prove it again."""

    value: Mapping[str, Json] = field(repr=False)
    salt: bytes = field(repr=False)
    canonical: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEntry:
    """What a receipt proves: the entry is in the log, at this index, under the checkpoint of this size.

    `proof` is the receipt itself (C2SP tlog-proof): keep it; it proves the same to anybody, without us. `opened` are
    the parts of what was recorded that came with it, by group: keep them too, for the entry shows nothing of them.
    """

    kind: str
    record: str
    at: datetime
    policy: str
    index: int
    size: int
    proof: bytes
    opened: Mapping[str, OpenedGroup] = field(default_factory=dict)


class LogKeys:
    """The public keys of the gateway's log; `origin` is the log's name.

    With a `history`, each key counts for the sizes of the log for which it was in force, and no longer; without, a log
    can have one key only, beside those of further lines.

    Raises:
        ReceiptRefused: there is no key, the keys are of several logs and no origin is given, or one log has several
            and no history is given.
    """

    def __init__(self, verifiers: Sequence[Verifier], origin: str = "", *, history: KeyHistory | None = None) -> None:
        names = {verifier.name for verifier in verifiers}
        if not origin and len(names) != 1:
            raise ReceiptRefused("name the log's origin: the keys given are of none or of several logs")
        if history is None:
            try:
                require_ranges(verifiers)
            except KeyHistoryError as failure:
                raise ReceiptRefused(str(failure)) from failure
        self.origin = origin or names.pop()
        self._verifiers = tuple(verifiers)
        self._history = history
        # Answers of one batch share their checkpoint: its signature is verified once.
        self._opened: OrderedDict[bytes, Checkpoint] = OrderedDict()

    @classmethod
    def read(cls, path: Path, origin: str = "", *, history: Path | None = None) -> LogKeys:
        """Read verifier keys, one a line (C2SP signed-note), such as the file `log.pub`.

        With the published key `history` of a log whose key has changed, the file holds the log's first key; the history
        proves the others.

        Raises:
            OSError: a file cannot be read.
            ledger.NoteError: names every line that is wrong.
            ledger.KeyHistoryError: the history does not follow from the first key.
        """
        given = parse_vkeys(path.read_text("utf-8"))
        if history is None:
            return cls(given, origin)
        if len(given) != 1:
            raise ReceiptRefused("a key history goes with the first key of the log, and no other")
        proven = verify_key_history(history.read_bytes().decode("utf-8"), given[0].vkey, origin or given[0].name)
        return cls(proven.verifiers, proven.origin, history=proven)

    def verify(self, receipt: ledger_pb2.Receipt, *, kinds: Sequence[str], record: str = "") -> ProvenEntry:
        """Verify a receipt, what it opens, and that it is of an entry of one of the kinds (and of the record, where one
        is given).

        Raises:
            ReceiptRefused: says what does not hold.
        """
        try:
            entry, index, size = self._proven(receipt.proof)
            opened = {one.group: _opened(one, entry) for one in receipt.openings}
        except LedgerError as failure:
            raise ReceiptRefused(f"the receipt does not verify: {failure}") from failure
        found = entry.record.hex()
        told = (receipt.index, receipt.size, receipt.record)
        if (index, size, found) != told or record not in ("", found) or entry.kind not in kinds:
            raise ReceiptRefused(f"the receipt proves entry {index} ({entry.kind}), not what it came with")
        return ProvenEntry(
            kind=entry.kind,
            record=found,
            at=entry.at,
            policy=entry.policy,
            index=index,
            size=size,
            proof=receipt.proof,
            opened=opened,
        )

    def _proven(self, proof: bytes) -> tuple[Entry, int, int]:
        parsed = parse_receipt(proof)
        checkpoint = self._checkpoint(parsed.note)
        verify_inclusion(hash_leaf(parsed.leaf), parsed.index, checkpoint.size, parsed.proof, checkpoint.root)
        return decode_entry(parsed.leaf), parsed.index, checkpoint.size

    def _checkpoint(self, note: bytes) -> Checkpoint:
        known = self._opened.get(note)
        if known is None:
            known = self._opened[note] = self._open(note)
            if len(self._opened) > _REMEMBERED:
                self._opened.popitem(last=False)
        return known

    def _open(self, note: bytes) -> Checkpoint:
        if self._history is not None:
            return self._history.open(note)
        return open_checkpoint(note, self._verifiers, self.origin)


def _opened(opening: ledger_pb2.Opening, entry: Entry) -> OpenedGroup:
    group, salt, canonical = opening.group, opening.salt, opening.canonical
    if (
        not is_group(group)
        or len(salt) != _SALT_BYTES
        or commit_value(group, salt, canonical) != entry.commits.get(group)
    ):
        raise ReceiptRefused("the receipt's entry does not commit to what came with it")
    value = parse_canonical(canonical)
    if not isinstance(value, dict):
        raise ReceiptRefused("what came with the receipt is not of a form that this version knows")
    return OpenedGroup(value=value, salt=salt, canonical=canonical)
