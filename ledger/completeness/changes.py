"""What some entries change in the index: the newest leaf hash of each record they concern, and the one before them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

from sqlalchemy import Connection, select

from ledger.errors import LedgerDamaged
from ledger.log import schema
from ledger.log.reader import read_leaf_hashes

_END = rb'"record":"([0-9a-f]{32})","seq":(?:0|[1-9][0-9]{0,18}),"v":1\}\Z'
_TAIL = re.compile(_END)
_LONGEST_TAIL = 80
_BEFORE = re.compile(rb'"prev":(?:null|"([0-9a-f]{64})"),' + _END)
_LONGEST_BEFORE = _LONGEST_TAIL + 80


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
    return {index_key(record_of(leaf)): leaf_hash for leaf, leaf_hash in _read_leaves(connection, first, end)}


def read_former(connection: Connection, first: int, end: int) -> dict[bytes, bytes | None]:
    """Return, by index key, what the index of `first` entries held of each record that `[first, end)` concern.

    It stands in the log itself: a record's first entry among these names the hash of the one before, or None.
    Raises as `read_changes`.
    """
    former: dict[bytes, bytes | None] = {}
    for leaf, _ in _read_leaves(connection, first, end):
        found = _BEFORE.search(leaf, max(0, len(leaf) - _LONGEST_BEFORE))
        if found is None:
            raise LedgerDamaged("bytes in the log are not an entry")
        before = None if found[1] is None else bytes.fromhex(found[1].decode())
        former.setdefault(index_key(bytes.fromhex(found[2].decode())), before)
    return former


def _read_leaves(connection: Connection, first: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries `[first, end)` and their leaf hashes, compared with those in the tiles."""
    entry = schema.entry
    question = select(entry.c.idx, entry.c.leaf).where(entry.c.idx >= first, entry.c.idx < end).order_by(entry.c.idx)
    hashes = read_leaf_hashes(connection, first, end)
    expected = first
    for idx, stored in connection.execute(question):
        leaf = bytes(stored)
        leaf_hash = sha256(b"\x00" + leaf).digest()
        at = 32 * (idx - first)
        if idx != expected or hashes[at : at + 32] != leaf_hash:
            raise LedgerDamaged(f"entry {expected} is not what the tree was built from")
        yield leaf, leaf_hash
        expected += 1
    if expected != end:
        raise LedgerDamaged(f"entry {expected} is missing")
