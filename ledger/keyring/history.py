"""The history of a log's keys: which key may sign checkpoints of which sizes, proved from the first key onwards.

A key is announced by an entry `LogKeyAdded` in the log of size `n + 1` and may sign from that size on; until an entry
`LogKeyRetired` of index `m` it may sign up to size `m`. Between the two, every checkpoint carries both signatures. Each
entry is proved by a receipt signed by a key that was in force without it, so whoever trusts the first key can follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from ledger.canonical import canonical
from ledger.errors import (
    EntryError,
    KeyHistoryError,
    KeyNotInForce,
    NoteError,
    ProofError,
    ReceiptError,
)
from ledger.log.algorithms.ed25519 import Ed25519Verifier
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier
from ledger.log.vkey import parse_vkey
from ledger.receipt import VerifiedReceipt, parse_receipt, verify_receipt
from ledger.records.commitments import PUBLIC_GROUP, PUBLIC_SALT, commit_value

Act = Literal["added", "retired"]
KINDS: dict[Act, str] = {"added": "LogKeyAdded", "retired": "LogKeyRetired"}
"""The kind of entry that tells each act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """One key and the sizes of checkpoints it may sign; `last` is None while it is in force."""

    vkey: str
    verifier: Verifier = field(compare=False)
    first: int
    last: int | None = None

    def covers(self, size: int) -> bool:
        """Tell whether the key may sign a checkpoint of this size."""
        return self.first <= size and (self.last is None or size <= self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    """A key was added or retired; `number` is its place among the keys, `receipt` proves the entry that says so."""

    act: Act
    number: int
    index: int
    """Index of the entry."""
    size: int
    """Size of the checkpoint in the receipt."""
    record: bytes
    receipt: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHistory:
    """The keys of one log, in the order in which they came, and the events that prove their ranges."""

    origin: str
    keys: tuple[KeyRange, ...]
    events: tuple[KeyEvent, ...] = ()

    @classmethod
    def beginning(cls, first_vkey: str, origin: str) -> Self:
        """Return the history of a log that has only had the key it was opened with.

        Raises:
            KeyHistoryError: the key is not one of this log.
        """
        return cls(origin=origin, keys=(_key(first_vkey, origin, first=0),))

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """Every key there ever was; use `verifiers_at` or `open` wherever a size is known."""
        return tuple(key.verifier for key in self.keys)

    @property
    def in_force(self) -> tuple[KeyRange, ...]:
        """The keys that sign new checkpoints."""
        return tuple(key for key in self.keys if key.last is None)

    def verifiers_at(self, size: int) -> tuple[Verifier, ...]:
        """Return the keys that may sign a checkpoint of this size."""
        return tuple(key.verifier for key in self.keys if key.covers(size))

    def open(self, note: bytes) -> Checkpoint:
        """Verify a checkpoint with the keys that were in force at its size.

        Raises:
            KeyNotInForce: only keys of this log signed it that were not in force at its size.
            WrongKey, WrongOrigin, NoteError: as of `open_checkpoint`.
        """
        # All keys first: a bad signature by a key that is known spoils a note, whether the key is in force or not.
        checkpoint = open_checkpoint(note, self.verifiers, self.origin)
        return self._open_at(note, checkpoint.size)

    def _open_at(self, note: bytes, size: int) -> Checkpoint:
        try:
            return open_checkpoint(note, self.verifiers_at(size), self.origin)
        except NoteError:
            raise KeyNotInForce(f"no key that was in force at size {size} signed the checkpoint of this size") from None

    def verify_receipt(self, receipt: bytes) -> VerifiedReceipt:
        """Verify a receipt offline with the keys that were in force at the size of its checkpoint.

        Raises:
            KeyNotInForce, WrongKey, WrongOrigin, NoteError, ReceiptError, ProofError, EntryError: it does not hold.
        """
        checkpoint = self.open(parse_receipt(receipt).note)
        return verify_receipt(receipt, self.verifiers_at(checkpoint.size), self.origin)

    def number_of(self, vkey: str) -> int | None:
        """Return the place of a key among the keys, or None if it is none of them."""
        return next((number for number, key in enumerate(self.keys) if key.vkey == vkey), None)

    def continues(self, older: KeyHistory) -> bool:
        """Tell whether this is the history `older` of the same log, or what came of it."""
        steps = [(event.act, event.number, event.index) for event in self.events[: len(older.events)]]
        vkeys = [key.vkey for key in self.keys[: len(older.keys)]]
        return (
            self.origin == older.origin
            and steps == [(event.act, event.number, event.index) for event in older.events]
            and vkeys == [key.vkey for key in older.keys]
        )

    def require_addable(self, vkey: str) -> None:
        """Refuse a key that cannot be added; raises `KeyHistoryError`."""
        key = _key(vkey, self.origin, first=0)
        if any(key.verifier.key_id == known.verifier.key_id for known in self.keys):
            raise KeyHistoryError("the log has, or had, this key already")

    def require_retirable(self, number: int) -> None:
        """Refuse to retire a key that is not in force, or the only one; raises `KeyHistoryError`."""
        if not 0 <= number < len(self.keys) or self.keys[number].last is not None:
            raise KeyHistoryError("the key to retire is not in force")
        if len(self.in_force) == 1:
            raise KeyHistoryError("the only key in force cannot be retired: add another first")

    def adding(self, vkey: str, receipt: bytes) -> KeyHistory:
        """Return this history with one more key, proved by the receipt of its `LogKeyAdded`.

        Raises:
            KeyHistoryError: the key cannot be added, or the receipt does not prove it.
        """
        self.require_addable(vkey)
        signed_by = tuple(key.verifier for key in self.in_force)
        event = self._prove("added", len(self.keys), vkey, receipt, signed_by)
        added = _key(vkey, self.origin, first=event.index + 1)
        return replace(self, keys=(*self.keys, added), events=(*self.events, event))

    def retiring(self, number: int, receipt: bytes) -> KeyHistory:
        """Return this history with one key retired, proved by the receipt of its `LogKeyRetired`.

        The receipt must be signed by a key that stays: a retirement proves that its successor is in use.

        Raises:
            KeyHistoryError: the key cannot be retired, or the receipt does not prove it.
        """
        self.require_retirable(number)
        key = self.keys[number]
        signed_by = tuple(stays.verifier for stays in self.in_force if stays is not key)
        event = self._prove("retired", number, key.vkey, receipt, signed_by)
        keys = list(self.keys)
        keys[number] = replace(key, last=event.index)
        return replace(self, keys=tuple(keys), events=(*self.events, event))

    def _prove(self, act: Act, number: int, vkey: str, receipt: bytes, signed_by: tuple[Verifier, ...]) -> KeyEvent:
        where = f"key event {len(self.events)}"
        try:
            self.open(parse_receipt(receipt).note)
            proved = verify_receipt(receipt, signed_by, self.origin)
        except (ReceiptError, NoteError, ProofError, EntryError) as failure:
            raise KeyHistoryError(f"{where}: the receipt does not hold ({failure})") from failure
        if proved.entry.kind != KINDS[act]:
            raise KeyHistoryError(f"{where}: the entry is {proved.entry.kind}, not {KINDS[act]}")
        if proved.entry.commits.get(PUBLIC_GROUP) != commit_key(vkey):
            raise KeyHistoryError(f"{where}: the entry is about another key")
        if self.events and proved.index < self.events[-1].size:
            raise KeyHistoryError(f"{where}: it was not recorded after the proof of the event before it")
        return KeyEvent(
            act=act, number=number, index=proved.index, size=proved.size, record=proved.entry.record, receipt=receipt
        )


def require_ranges(verifiers: Sequence[Verifier]) -> None:
    """Refuse several keys of one log that come without the history that says of which sizes each may sign.

    A log has one Ed25519 key after another: without their ranges, one that was retired, and perhaps stolen since, would
    verify for ever. Lines of other algorithms stand beside that key, and are no matter here.

    Raises:
        KeyHistoryError: names the log.
    """
    own = {(one.name, one.key_id) for one in verifiers if isinstance(one, Ed25519Verifier)}
    names = sorted(name for name, _ in own)
    several = sorted({name for name in names if names.count(name) > 1})
    if several:
        raise KeyHistoryError(
            f"several keys of {', '.join(several)}: give the first one alone, with the published history of the keys"
        )


def commit_key(vkey: str) -> str:
    """Compute the commitment by which an entry names a key: of `{"vkey": …}`, under the public salt."""
    return commit_value(PUBLIC_GROUP, PUBLIC_SALT, canonical({"vkey": vkey}))


def _key(vkey: str, origin: str, *, first: int) -> KeyRange:
    try:
        verifier = parse_vkey(vkey)
    except NoteError as failure:
        raise KeyHistoryError(f"not a verifier key: {failure}") from None
    if verifier.name != origin:
        raise KeyHistoryError(f"the key is named {verifier.name!r}; a key of this log is named {origin!r}")
    return KeyRange(vkey=verifier.vkey, verifier=verifier, first=first)
