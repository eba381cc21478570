"""The keys of a running log as files: the signing key, the next one during a rotation, and the history of both."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ledger.durable_file import replace_file
from ledger.errors import (
    KeyFileError,
    KeyHistoryError,
    KeyNotInForce,
    LedgerDamaged,
    LogShrunk,
    NoteError,
    WrongKey,
    WrongOrigin,
)
from ledger.keyring.history import KeyHistory
from ledger.keyring.published import first_key, format_key_history, verify_key_history
from ledger.keyring.rotation import key_events
from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.log.checkpoint import read_checkpoint
from ledger.log.key_file import load_signer
from ledger.log.store import Head, open_store, read_head, read_meta
from ledger.records.register import Register


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """Where the keys of one log lie."""

    origin: str
    signing: Path
    next: Path
    """The new key while a rotation is under way; no file otherwise."""
    history: Path
    """Written by the first rotation; no file before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The history of a log's keys, and those private keys of it that are here and in force."""

    history: KeyHistory
    signers: tuple[Ed25519Signer, ...]


def open_keyring(files: KeyFiles) -> Keyring:
    """Load the private keys and the history; the history decides which of the keys sign.

    Raises:
        KeyFileError: a file cannot be read or is not a key.
        KeyHistoryError: the history does not verify.
        WrongKey: no private key here is in force.
    """
    signing = load_signer(files.signing, files.origin)
    held = [signing, *([load_signer(files.next, files.origin)] if files.next.exists() else [])]
    history = load_key_history(files) or KeyHistory.beginning(signing.verifier.vkey, files.origin)
    in_force = {key.vkey for key in history.in_force}
    signers = tuple(signer for signer in held if signer.verifier.vkey in in_force)
    if not signers:
        raise WrongKey(f"the key in {files.signing} is not one that may sign this log now: {describe_keys(history)}")
    return Keyring(history=history, signers=signers)


def load_key_history(files: KeyFiles) -> KeyHistory | None:
    """Read and verify the history beside the private keys, or return None if no key was ever rotated.

    Its own first key is believed here, where the private keys lie; `require_same_log` compares it with the log.

    Raises:
        KeyFileError: it cannot be read.
        KeyHistoryError: it does not verify.
    """
    try:
        text = files.history.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as failure:
        raise KeyFileError(str(files.history), [f"cannot be read ({type(failure).__name__})"]) from failure
    return verify_key_history(text, first_key(text, files.origin), files.origin)


def store_key_history(files: KeyFiles, history: KeyHistory) -> None:
    """Write the history, durably and at once."""
    replace_file(files.history, format_key_history(history).encode())


def require_same_log(url: str, history: KeyHistory, *, accepted: int | None = None) -> None:
    """Require, before anything is served or signed, that this is the history of the log in the database.

    A newest checkpoint of `accepted` entries may be signed by any key that the log ever had: a person answers for it.

    Raises:
        WrongOrigin: it is another log.
        WrongKey: no key in force signed its newest checkpoint.
        LogShrunk: it lacks changes of keys that the history proves.
        LedgerDamaged: its newest checkpoint is none, or its signature is bad.
        KeyHistoryError: it was opened with another key than the history begins with, or published changes of keys that
            the history does not know.
        StoreError, LedgerUnavailable: the store cannot be opened or read.
    """
    store = open_store(url, readers=1)
    try:
        with store.reading() as connection:
            opened_with, head = read_meta(connection).get("log_key", ""), read_head(connection)
        _require_head(head, history, accepted)
        if opened_with != history.keys[0].verifier.key_id.hex():
            # A key of the history signed the newest checkpoint: it is a later key of this very log.
            raise KeyHistoryError(
                f"the log was opened with the key {opened_with}; known here: {describe_keys(history)}. The key history "
                "is lost; `chengxin keys history --rebuild --key FIRST_PUBLIC_KEY` reads it from the log"
            )
        known = [(event.index, event.act) for event in history.events]
        found = key_events(Register(store))
        # A change that no published checkpoint covers is proved to nobody yet, and the keys known here sign on until
        # it is: who began it finishes it then.
        if found[: len(known)] != known or any(index < head.published for index, _ in found[len(known) :]):
            raise KeyHistoryError(
                "the key history is not that of the log; `chengxin keys history --rebuild` reads it from the log"
            )
    finally:
        store.close()


def _require_head(head: Head, history: KeyHistory, accepted: int | None) -> None:
    try:
        origin = read_checkpoint(head.note).origin
    except NoteError as failure:
        raise LedgerDamaged(f"the newest checkpoint in the database is none: {failure}") from failure
    if origin != history.origin:
        raise WrongOrigin(history.origin, origin)
    proved = max((event.size for event in history.events), default=0)
    if head.size < proved:
        raise LogShrunk(f"the database holds {head.size} entries, but the key history proves that there were {proved}")
    try:
        history.open(head.note)
    except WrongKey as failure:
        if isinstance(failure, KeyNotInForce) and head.published == accepted:
            return
        raise type(failure)(f"{failure}; known here: {describe_keys(history)}") from failure
    except NoteError as failure:
        raise LedgerDamaged(f"the newest checkpoint in the database does not verify: {failure}") from failure


def put_away_retired(files: KeyFiles, history: KeyHistory) -> list[Path]:
    """Move the private keys of retired keys aside, and the next key into the place of the signing key.

    May be interrupted and done again: which key signs is decided by the history, not by the file names.
    """
    retired = {key.vkey for key in history.keys if key.last is not None}
    moved = []
    for path in (files.signing, files.next):
        if path.exists() and (signer := load_signer(path, files.origin)).verifier.vkey in retired:
            aside = path.with_name(f"{files.signing.name}.retired-{signer.key_id.hex()}")
            if not aside.exists():
                os.link(path, aside)
            moved.append(aside)
            if path == files.next:
                path.unlink()
            elif files.next.exists():
                files.next.replace(files.signing)
    return moved


def describe_keys(history: KeyHistory) -> str:
    """Name the keys of a history by id and range, for a message."""
    told = (f"{key.verifier.key_id.hex()} for sizes {key.first} to {_end(key.last)}" for key in history.keys)
    return ", ".join(told)


def _end(last: int | None) -> str:
    return "now" if last is None else str(last)
