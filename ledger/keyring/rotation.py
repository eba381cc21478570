"""Changing the log's key: the entries that announce it, and the history read back from the log itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from ledger.appends.values import Appended, Draft, Submission
from ledger.commands import prove, show
from ledger.errors import AlreadyClaimed, KeyHistoryError, LedgerDamaged
from ledger.keyring.history import KINDS, Act, KeyHistory
from ledger.log.checkpoint import read_checkpoint
from ledger.log.store import Store, open_store, read_covering_note
from ledger.records.commitments import PUBLIC_GROUP
from ledger.records.identity import new_record
from ledger.records.register import Register
from ledger.vault import MasterKeys

_FAMILY = "logkey"
_STATES = ("KEY_IN_FORCE", "KEY_RETIRED")
_ACTS: Mapping[str, Act] = {kind: act for act, kind in KINDS.items()}


class AppendingLedger(Protocol):
    """What a rotation needs of an open ledger."""

    def append_blocking(self, submission: Submission) -> Appended:
        """Append, and return when it is covered by a signed checkpoint."""
        ...


def announce_key(
    ledger: AppendingLedger, history: KeyHistory, vkey: str, *, now: datetime, entropy: Callable[[int], bytes]
) -> KeyHistory:
    """Append `LogKeyAdded` for a new key, signed by the keys in force, and return the history with it.

    Raises:
        KeyHistoryError: the key is known already or of another name, or the log has events this history lacks.
        LedgerError: the entry could not be appended.
    """
    history.require_addable(vkey)
    done = _append(ledger, history, "added", new_record(now, entropy), vkey, now=now)
    return history.adding(vkey, done.receipts[0])


def retire_key(
    ledger: AppendingLedger, history: KeyHistory, number: int, *, now: datetime, entropy: Callable[[int], bytes]
) -> KeyHistory:
    """Append `LogKeyRetired` for one of the keys in force, and return the history with it.

    The ledger must sign with the keys that stay: the receipt proves that they are in use.

    Raises:
        KeyHistoryError: the key is not in force, is the only one, or the log has events this history lacks.
        LedgerError: the entry could not be appended.
    """
    history.require_retirable(number)
    added = next((e.record for e in history.events if (e.act, e.number) == ("added", number)), None)
    record = new_record(now, entropy) if added is None else added
    done = _append(ledger, history, "retired", record, history.keys[number].vkey, now=now)
    return history.retiring(number, done.receipts[0])


def _append(
    ledger: AppendingLedger, history: KeyHistory, act: Act, record: bytes, vkey: str, *, now: datetime
) -> Appended:
    draft = Draft(kind=KINDS[act], record=record, groups={PUBLIC_GROUP: {"vkey": vkey}})
    # Each event claims its number, so that two rotations at once, or one that starts from an old history, cannot
    # both be recorded: together they might retire every key.
    turn = b"chengxin/logkey/event/%d" % len(history.events)
    try:
        return ledger.append_blocking(Submission(drafts=(draft,), at=now, claim_keys=((turn, record),)))
    except AlreadyClaimed:
        raise KeyHistoryError("the log holds a later change of keys than this history") from None


def read_key_history(url: str, first_vkey: str, *, origin: str, master_keys: MasterKeys) -> KeyHistory:
    """Read the whole history back from the log and its vault, and verify it from the first key onwards.

    Raises:
        KeyHistoryError: the entries do not make a history that begins with this key.
        LedgerError: the store cannot be opened or read.
    """
    history = KeyHistory.beginning(first_vkey, origin)
    store = open_store(url, readers=1)
    try:
        events = key_events(Register(store))
        sizes = [_first_size_after(store, index) for index, _ in events]
    finally:
        store.close()
    for (index, act), size in zip(events, sizes, strict=True):
        receipt = prove(url, index, size)
        vkey = _named_key(url, index, origin, master_keys)
        number = history.number_of(vkey)
        if act == "added":
            history = history.adding(vkey, receipt)
        elif number is None:
            raise KeyHistoryError(f"entry {index} retires a key that was never added")
        else:
            history = history.retiring(number, receipt)
    return history


def key_events(register: Register) -> list[tuple[int, Act]]:
    """List the entries about keys of the log: index and act, in the order of the log."""
    rows = register.in_state(_FAMILY, _STATES)
    return sorted((line.idx, _ACTS[line.kind]) for row in rows for line in register.history(row.record))


def _first_size_after(store: Store, index: int) -> int:
    with store.reading() as connection:
        return read_checkpoint(read_covering_note(connection, index + 1)).size


def _named_key(url: str, index: int, origin: str, master_keys: MasterKeys) -> str:
    document = show(url, index, origin=origin, master_keys=master_keys).document
    public = document.get(PUBLIC_GROUP) if isinstance(document, Mapping) else None
    vkey = public.get("vkey") if isinstance(public, Mapping) else None
    if not isinstance(vkey, str):
        raise LedgerDamaged(f"entry {index} does not tell which key it is about")
    return vkey
