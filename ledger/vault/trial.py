"""Trying the master keys: a file with other keys under the same versions must be noticed before anything is sealed.

The newest and the oldest data keys are tried, by their place: so a start costs the same however large the log is, and
both the key in use and the first one are looked at.
"""

from __future__ import annotations

from sqlalchemy import select

from ledger.errors import EntryError, MasterKeysWrong
from ledger.log import schema
from ledger.log.store import Store
from ledger.records.codec import decode_entry
from ledger.vault.sealing import Vault

_AT_EACH_END = 64


def wrong_versions(store: Store, vault: Vault) -> list[int]:
    """List the versions whose master key opens none of the data keys that were tried; unknown versions are not tried.

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
    for version, wrapped, leaf in [*newest, *oldest]:
        if wrapped is None or opened.get(version) or not vault.knows(version):
            continue
        try:
            opened[version] = vault.unwraps(decode_entry(bytes(leaf)).record, version, bytes(wrapped))
        except EntryError:
            continue
    return sorted(version for version, fine in opened.items() if not fine)


def require_master_keys(store: Store, vault: Vault) -> None:
    """Refuse master keys that are not those of this ledger's documents.

    Raises:
        MasterKeysWrong: names the versions.
    """
    wrong = wrong_versions(store, vault)
    if wrong:
        named = ", ".join(map(str, wrong))
        raise MasterKeysWrong(f"the master keys of version {named} open none of the newest and oldest documents")
