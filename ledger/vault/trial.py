"""Trying the master keys: a file with other keys under the same versions must be noticed before anything is sealed.

The newest and the oldest data keys are tried, by their place: so a start costs the same however large the log is, and
both the key in use and the first one are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select

from ledger.errors import EntryError, MasterKeysWrong
from ledger.log import schema
from ledger.log.store import Store
from ledger.records.codec import decode_entry
from ledger.vault.sealing import Vault

_log = structlog.get_logger()
_AT_EACH_END = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The versions of the data keys that were tried, where something is amiss with their master keys."""

    wrong: tuple[int, ...]
    """The key opens none of the data keys that were tried."""
    missing: tuple[int, ...]
    """There is no such key."""


def try_master_keys(store: Store, vault: Vault) -> Trial:
    """Try the master keys on the newest and the oldest data keys.

    One data key that does not open is a damaged row, which is the affair of `fsck`.
    """
    key, entry = schema.vault_key, schema.entry
    rows = select(key.c.master_version, key.c.wrapped, entry.c.leaf).select_from(
        key.join(entry, entry.c.idx == key.c.idx)
    )
    with store.reading() as connection:
        newest = connection.execute(rows.order_by(key.c.idx.desc()).limit(_AT_EACH_END)).all()
        oldest = connection.execute(rows.order_by(key.c.idx).limit(_AT_EACH_END)).all()
    opened: dict[int, bool] = {}
    missing: set[int] = set()
    for version, wrapped, leaf in [*newest, *oldest]:
        if wrapped is None or opened.get(version):
            continue
        if not vault.knows(version):
            missing.add(version)
            continue
        try:
            opened[version] = vault.unwraps(decode_entry(bytes(leaf)).record, version, bytes(wrapped))
        except EntryError:
            continue
    wrong = sorted(version for version, fine in opened.items() if not fine)
    return Trial(wrong=tuple(wrong), missing=tuple(sorted(missing)))


def require_master_keys(store: Store, vault: Vault) -> None:
    """Refuse master keys that are not those of this ledger's documents.

    The newest key is never retired, so that a key file which ends before the documents' versions is an older one, or
    another. A version before its last may have been retired while a gateway that was not started anew sealed under it.

    Raises:
        MasterKeysWrong: names the versions.
    """
    tried = try_master_keys(store, vault)
    if tried.wrong:
        raise MasterKeysWrong(
            f"the master keys of version {_named(tried.wrong)} open none of the newest and oldest documents"
        )
    newer = [version for version in tried.missing if version > vault.current]
    if newer:
        raise MasterKeysWrong(
            f"documents are sealed under master keys of version {_named(newer)}, and the newest key is {vault.current}"
        )
    if tried.missing:
        _log.warning("documents cannot be opened: a master key is missing", versions=list(tried.missing))


def _named(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions))
