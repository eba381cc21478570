"""Valid inputs, the same each time: a small log of fixed keys, and proofs about it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ledger.completeness.changes import index_key
from ledger.completeness.commitment import INDEX_KIND, index_commit
from ledger.completeness.proof import CompletenessProof, format_completeness
from ledger.completeness.smt import map_root, prove_within
from ledger.merkle import hash_leaf, prove_consistency
from ledger.records.codec import Entry, decode_entry, encode_entry
from ledger.records.commitments import PUBLIC_GROUP
from tests.vectors.keys import LOG, ORIGIN, at, fixed
from tests.vectors.receipts import Tree, grown

__all__ = ["KEYS", "ORIGIN", "PROOFS", "RECORDS", "TREE"]

KEYS = [LOG.verifier]
TREE = grown()
RECORDS = frozenset(decode_entry(leaf).record for leaf in TREE.leaves)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What the verifiers accept."""

    consistency: bytes
    map_root: bytes
    map_key: bytes
    map_value: bytes
    map_member: bytes
    completeness: tuple[bytes, ...]
    """Of a record of several entries, and of two that do not exist."""
    state: bytes


def _completeness(record: bytes, leaves: list[bytes], pairs: dict[bytes, bytes], log: Tree) -> bytes:
    return format_completeness(
        CompletenessProof(
            record=record,
            entries=tuple(leaf for leaf in leaves if decode_entry(leaf).record == record),
            size=len(leaves),
            root=map_root(pairs),
            proof=prove_within(sorted(pairs.items()), index_key(record), 0),
            receipt=log.receipt(len(leaves), len(leaves) + 1),
        )
    )


def _made() -> Proofs:
    leaves = TREE.leaves
    pairs = {index_key(decode_entry(leaf).record): hash_leaf(leaf) for leaf in leaves}
    committed = Entry(
        kind=INDEX_KIND,
        record=fixed("record of an index", 16),
        seq=0,
        prev=None,
        at=at(1000),
        policy="",
        commits={PUBLIC_GROUP: index_commit(len(leaves), map_root(pairs))},
    )
    log = Tree([*leaves, encode_entry(committed)])
    records = [decode_entry(leaf).record for leaf in leaves]
    longest = max(records, key=records.count)
    key, value = sorted(pairs.items())[7]
    member = prove_within(sorted(pairs.items()), key, 0)
    strangers = [fixed(f"stranger {number}", 16) for number in range(2)]
    state = {
        "format": "chengxin/fsck@v1", "origin": ORIGIN, "hashed": True, "opened": False, "size": 65536,
        "root": "00" * 32, "checkpoint": "AAAA", "checkpoints": 3,
        "records": {"size": 9, "parts": 1, "of": 2, "entries": 3, "records": 3, "indexes": [[4, {"public": "00"}]]},
    }  # fmt: skip
    return Proofs(
        consistency=b"\x00\x0b\x00\x00" + b"".join(prove_consistency(11, 23, TREE.node)),
        map_root=map_root(pairs),
        map_key=key,
        map_value=value,
        map_member=key + value + b"".join(member.path),
        completeness=tuple(_completeness(record, leaves, pairs, log) for record in (longest, *strangers)),
        state=json.dumps(state).encode(),
    )


PROOFS = _made()
