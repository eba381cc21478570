"""Why a gateway does not start with a ledger that is not what it must be, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from ledger.errors import (
    KeyHistoryError,
    KeyNotInForce,
    KeysRetired,
    LedgerDamaged,
    LedgerError,
    LogShrunk,
    MasterKeysWrong,
    RememberedUnusable,
    SchemaNewer,
    SchemaOlder,
    StoreMissing,
    StoreUnfit,
    WrongKey,
    WrongOrigin,
)

EXIT_STATUS = 3
"""The exit status of a refusal: starting again changes nothing, a person has to look."""

_ADVICE: tuple[tuple[type[LedgerError], str], ...] = (
    (WrongOrigin, "The database is another log than [ledger] origin says. Correct url or origin."),
    (
        KeyNotInForce,
        "The newest checkpoint is signed only by a key that was retired before: by a program that did not know it, or "
        "by whoever has that key. Do not put the retired key back. Find out who wrote to the database since, and run "
        "`chengxin ledger fsck`; if all of it is yours, `chengxin keys resume` goes on from there (ledger/README.md, "
        "`Keys over time`).",
    ),
    (WrongKey, "Correct [ledger] signing_key_file or url. A log whose keys are lost cannot go on: open a successor."),
    (
        KeysRetired,
        "Start this gateway again: it then signs with the key that stays. Where it has a keys folder of its own, bring "
        "the key files and the key history there first (ledger/README.md, `Keys over time`).",
    ),
    (
        LogShrunk,
        "Do not delete what remembers: entries that were acknowledged are missing. If a newer copy of the database or "
        "a replica exists, use it. If none does, keep this one for reading and open a successor log "
        '(ledger/README.md, "Refusals").',
    ),
    (RememberedUnusable, "Put the file back, or remove the address from [ledger] ask_published, once you know why."),
    (
        LedgerDamaged,
        "Run `chengxin ledger fsck`; it names what is wrong. Restore a copy that is sound and not older; of an SQLite "
        'file, move -wal and -shm away with the damaged one (ledger/README.md, "Backups").',
    ),
    (SchemaNewer, "Start the version of the program that wrote the database, or a later one."),
    (SchemaOlder, "Upgrade the database with the program it came with."),
    (
        KeyHistoryError,
        "Run `chengxin keys history --rebuild`, with --key and the first public key of the log if the history is lost; "
        "see `Keys over time` in ledger/README.md.",
    ),
    (StoreUnfit, "Change the database, its role or [ledger] url as the message says."),
    (
        MasterKeysWrong,
        "Put back the file of [ledger] master_keys_file that belongs to this ledger: `chengxin vault keys show` tries "
        "each key. What is sealed under other keys cannot be opened with the right ones.",
    ),
    (StoreMissing, "Correct [ledger] url, or put the database back: a start makes none. `chengxin init` founds a log."),
)


class StartRefused(click.ClickException):
    """The gateway does not start, or stops, because of what the ledger is."""

    exit_code = EXIT_STATUS

    def __init__(self, refusal: LedgerError, advice: str) -> None:
        super().__init__(f"the ledger is refused ({type(refusal).__name__}): {refusal}\n{advice}")


@contextmanager
def explained() -> Iterator[None]:
    """Give a refusal its advice and its exit status; other errors pass as they are."""
    try:
        yield
    except LedgerError as refusal:
        for kind, advice in _ADVICE:
            if isinstance(refusal, kind):
                raise StartRefused(refusal, advice) from refusal
        raise
