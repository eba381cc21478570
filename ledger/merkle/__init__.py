"""The Merkle tree of RFC 6962 over SHA-256: pure functions over bytes, without I/O."""

from __future__ import annotations

from ledger.merkle.hasher import EMPTY_ROOT, hash_children, hash_leaf
from ledger.merkle.proof import prove_consistency, prove_inclusion
from ledger.merkle.tree import NodeReader, RangeReader, complete_root, root_around, subtree_root, tree_root
from ledger.merkle.verify import verify_consistency, verify_inclusion

__all__ = [
    "EMPTY_ROOT",
    "NodeReader",
    "RangeReader",
    "complete_root",
    "hash_children",
    "hash_leaf",
    "prove_consistency",
    "prove_inclusion",
    "root_around",
    "subtree_root",
    "tree_root",
    "verify_consistency",
    "verify_inclusion",
]
