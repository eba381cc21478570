"""Whether the keys that stay are in use by whoever writes the log: what must be so before another key is retired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from ledger.canonical import format_time
from ledger.errors import KeyHistoryError, NoteError, WrongKey
from ledger.keyring.history import KeyHistory, KeyRange
from ledger.log import schema
from ledger.log.checkpoint import open_checkpoint
from ledger.log.note import parse_line, split_note
from ledger.log.store import open_store, read_head

LOOK_BACK = timedelta(hours=1)
"""How long every checkpoint must have carried a key before it may be the only one."""
_CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    size: int
    at: str
    key_ids: frozenset[bytes]


def require_in_use(url: str, history: KeyHistory, number: int, *, now: datetime, look_back: bool = True) -> None:
    """Require that the log is signed by a key that stays when key `number` is retired.

    The newest checkpoint must be, and with `look_back` also every other one of the last hour that is newer than the
    announcement: another lets know that somebody writes who has the old key alone.

    Raises:
        KeyHistoryError: the key cannot be retired, or a checkpoint is not signed so; it says which, and when.
        StoreError, LedgerUnavailable: the store cannot be opened or read.
    """
    history.require_retirable(number)
    stays = [key for key in history.in_force if key is not history.keys[number]]
    store = open_store(url, readers=1)
    try:
        with store.reading() as connection:
            _require_newest(read_head(connection).note, stays, history.origin)
            if look_back:
                since = format_time(now - LOOK_BACK)
                _require_all(stays, _newest_first(connection, _announced(history, stays), since))
    finally:
        store.close()


def _require_newest(note: bytes, stays: Sequence[KeyRange], origin: str) -> None:
    try:
        open_checkpoint(note, [key.verifier for key in stays], origin)
    except WrongKey:
        raise KeyHistoryError(
            "the newest checkpoint is not signed by the key that stays: start the gateway with it first"
        ) from None


def _require_all(stays: Sequence[KeyRange], signed: Iterator[_Signed]) -> None:
    wanted = {key.verifier.key_id for key in stays}
    newest: _Signed | None = None
    lacking = 0
    for one in signed:
        if not wanted & one.key_ids:
            newest = newest or one
            lacking += 1
    if newest is not None:
        raise KeyHistoryError(
            f"checkpoints of the last hour are not signed by the key that stays: {lacking}, the newest of size "
            f"{newest.size} at {newest.at}: a gateway that was not started anew since the key was added wrote it, and "
            "says so in its own log (`the log has a new key`). Start every gateway anew, and retire the key an hour "
            "after that time; or use --at-once, which stops with status 3 whoever has the old key alone"
        )


def _announced(history: KeyHistory, stays: Sequence[KeyRange]) -> int:
    """Return the size of the checkpoint up to which one of the keys that stay need not have signed."""
    sizes = {event.number: event.size for event in history.events if event.act == "added"}
    return min(sizes.get(history.keys.index(key), 0) for key in stays)


def _newest_first(connection: Connection, after: int, since: str) -> Iterator[_Signed]:
    """Read checkpoints larger than `after` back to a time, and who is said to have signed each; all are our own."""
    table = schema.checkpoint
    below: int | None = None
    while True:
        question = select(table.c.size, table.c.note, table.c.signed_at).where(table.c.size > after)
        if below is not None:
            question = question.where(table.c.size < below)
        rows = connection.execute(question.order_by(table.c.size.desc()).limit(_CHUNK)).all()
        for size, note, at in rows:
            if at < since:
                return
            yield _Signed(size=size, at=at, key_ids=_key_ids(bytes(note)))
        if len(rows) < _CHUNK:
            return
        below = rows[-1].size


def _key_ids(note: bytes) -> frozenset[bytes]:
    try:
        return frozenset(parse_line(line).key_id for line in split_note(note)[1])
    except NoteError:
        return frozenset()
