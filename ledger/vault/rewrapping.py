"""Wrapping every data key again by the current master key, so that an old master key can be retired.

Page by page, each in a transaction of its own: it can be interrupted at any moment and simply started again, because
what is done no longer has an old version. Running writers wait for its locks for one page at most, and it waits for
none of theirs. Documents are not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select
from sqlalchemy.exc import DBAPIError

from ledger.errors import EntryError, LedgerUnavailable, VaultError
from ledger.log import schema
from ledger.log.store import Store, cause_of
from ledger.records.codec import decode_entry
from ledger.vault.sealing import Vault

_PAGE = 1000
_MOST_FAILURES = 1000
_TRIES = 4
Progress = Callable[[int, int], None]
"""`(done, total)`, in data keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapped:
    """What a run did: keys wrapped again, keys still of an old version, and the entries whose keys do not open."""

    done: int
    left: int
    failed: tuple[int, ...]


def rewrap_keys(store: Store, vault: Vault, *, progress: Progress | None = None, page: int = _PAGE) -> Rewrapped:
    """Wrap every data key of an older master key version by the current one. `store` must have started writing.

    A key that does not open is left as it is, and its entry is told at the end (the first 1000).

    Raises:
        LedgerUnavailable: the database refused; what was done before is kept.
    """
    tell = progress or (lambda done, total: None)
    done, seen, after = 0, 0, -1
    failed: list[int] = []
    total = count_outdated(store, vault.current)
    while True:
        changed, wrong, last = _rewrap_page(store, vault, after, page)
        done, seen = done + changed, seen + changed + len(wrong)
        failed += wrong[: _MOST_FAILURES - len(failed)]
        if last is None:
            return Rewrapped(done=done, left=count_outdated(store, vault.current), failed=tuple(failed))
        after = last
        tell(seen, max(total, seen))


def count_outdated(store: Store, current: int) -> int:
    """Count the data keys that are wrapped by a master key older than `current`."""
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).where(_outdated(current))).scalar_one())


def count_wrapped(store: Store) -> dict[int, int]:
    """Count the data keys that each master key version wraps."""
    key = schema.vault_key
    question = (
        select(key.c.master_version, func.count()).where(key.c.wrapped.is_not(None)).group_by(key.c.master_version)
    )
    with store.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(question)}


def _outdated(current: int) -> ColumnElement[bool]:
    return (schema.vault_key.c.master_version < current) & schema.vault_key.c.wrapped.is_not(None)


def _rewrap_page(store: Store, vault: Vault, after: int, page: int) -> tuple[int, list[int], int | None]:
    for attempt in range(_TRIES):
        try:
            with store.writing() as connection:
                return _rewrap_once(connection, vault, after, page)
        except (DBAPIError, store.database.errors) as failure:
            if attempt == _TRIES - 1 or not store.database.is_transient(failure):
                raise LedgerUnavailable(f"keys could not be wrapped ({cause_of(failure)})") from failure
    raise LedgerUnavailable("keys could not be wrapped")


def _rewrap_once(connection: Connection, vault: Vault, after: int, page: int) -> tuple[int, list[int], int | None]:
    key, entry = schema.vault_key, schema.entry
    # Rows that an erasure holds are passed over: waiting for it while it waits for ours would be a deadlock.
    question = (
        select(key.c.idx, key.c.master_version, key.c.wrapped, entry.c.leaf)
        .select_from(key.join(entry, entry.c.idx == key.c.idx))
        .where(_outdated(vault.current), key.c.idx > after)
        .order_by(key.c.idx)
        .limit(page)
        .with_for_update(of=key, skip_locked=True)
    )
    rows = connection.execute(question).all()
    made, wrong = _wrap_rows(rows, vault)
    if made:
        change = key.update().where(key.c.idx == bindparam("at"))
        connection.execute(change.values(master_version=bindparam("version"), wrapped=bindparam("key")), made)
    return len(made), wrong, rows[-1].idx if rows else None


def _wrap_rows(rows: Any, vault: Vault) -> tuple[list[dict[str, object]], list[int]]:
    made: list[dict[str, object]] = []
    wrong: list[int] = []
    for row in rows:
        try:
            record = decode_entry(bytes(row.leaf)).record
            version, wrapped = vault.rewrap(record, row.master_version, bytes(row.wrapped))
        except (EntryError, VaultError):
            wrong.append(row.idx)
        else:
            made.append({"at": row.idx, "version": version, "key": wrapped})
    return made, wrong
