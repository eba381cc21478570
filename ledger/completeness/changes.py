"""What some entries change in the index: the newest leaf hash of each record they concern."""

from __future__ import annotations

import re
from hashlib import sha256

from sqlalchemy import Connection, select

from ledger.errors import LedgerDamaged
from ledger.log import schema
from ledger.log.reader import read_leaf_hashes

_TAIL = re.compile(rb'"record":"([0-9a-f]{32})","seq":(?:0|[1-9][0-9]{0,18}),"v":1\}\Z')
_LONGEST_TAIL = 80


def index_key(record: bytes) -> bytes:
    """Return the key of a record in the index: SHA-256 of its id, so that nobody chooses where records stand."""
    return sha256(record).digest()


def record_of(leaf: bytes) -> bytes:
    """Read the record id of an entry from its end, where canonical form puts it.

    Raises:
        LedgerDamaged: the bytes do not end as an entry does.
    """
    found = _TAIL.search(leaf, max(0, len(leaf) - _LONGEST_TAIL))
    if found is None:
        raise LedgerDamaged("bytes in the log are not an entry")
    return bytes.fromhex(found[1].decode())


def read_changes(connection: Connection, first: int, end: int) -> dict[bytes, bytes]:
    """Read the entries `[first, end)` and return, by index key, the leaf hash of each record's newest among them.

    Raises:
        LedgerDamaged: an entry is missing, is none, or is not what the tree was built from: no index is made of it.
    """
    entry = schema.entry
    question = select(entry.c.idx, entry.c.leaf).where(entry.c.idx >= first, entry.c.idx < end).order_by(entry.c.idx)
    hashes = read_leaf_hashes(connection, first, end)
    changes: dict[bytes, bytes] = {}
    expected = first
    for idx, stored in connection.execute(question):
        leaf = bytes(stored)
        leaf_hash = sha256(b"\x00" + leaf).digest()
        at = 32 * (idx - first)
        if idx != expected or hashes[at : at + 32] != leaf_hash:
            raise LedgerDamaged(f"entry {expected} is not what the tree was built from")
        changes[index_key(record_of(leaf))] = leaf_hash
        expected += 1
    if expected != end:
        raise LedgerDamaged(f"entry {expected} is missing")
    return changes
