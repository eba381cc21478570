"""Roots of trees and of parts of them, from the hashes of complete subtrees."""

from __future__ import annotations

from collections.abc import Callable

from ledger.merkle.hasher import EMPTY_ROOT, hash_children

NodeReader = Callable[[int, int], bytes]
"""`(level, index)` to the hash of the complete subtree over the leaves `[index << level, (index + 1) << level)`."""


RangeReader = Callable[[int, int, NodeReader], bytes]
"""`(start, end, node)` to the hash over the leaves `[start, end)`, as `subtree_root` computes it."""


def subtree_root(start: int, end: int, node: NodeReader) -> bytes:
    """Compute the hash over the leaves `[start, end)`, `start < end`, where `start` is aligned as RFC 6962 splits it.

    Complete subtrees are read through `node`; the ragged right edge is hashed together here, at most 64 hashes.
    """
    parts: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        parts.append(node(level, start >> level))
        start += 1 << level
    root = parts.pop()
    while parts:
        root = hash_children(parts.pop(), root)
    return root


def tree_root(size: int, node: NodeReader) -> bytes:
    """Compute the root of the tree of the first `size` leaves."""
    return subtree_root(0, size, node) if size else EMPTY_ROOT
