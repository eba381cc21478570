"""Roots of trees and of parts of them, from the hashes of complete subtrees."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

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


def complete_root(hashes: bytes) -> bytes:
    """Compute the hash of a complete subtree from the hashes of its leaves, joined; their number is a power of two."""
    hashed = sha256
    while len(hashes) > 32:
        hashes = b"".join([hashed(b"\x01" + hashes[at : at + 64]).digest() for at in range(0, len(hashes), 64)])
    return hashes


def root_around(hashes: bytes, first: int, size: int, node: NodeReader) -> bytes:
    """Compute the root of the tree of `size` leaves of which the hashes from leaf `first` on are given, joined.

    Everything beside them is read through `node`: if the root is the tree's, so are the hashes.
    """
    end = first + len(hashes) // 32

    def between(start: int, stop: int) -> bytes:
        if stop <= first or end <= start:
            return subtree_root(start, stop, node)
        width = stop - start
        if first <= start and stop <= end and width & (width - 1) == 0:
            return complete_root(hashes[32 * (start - first) : 32 * (stop - first)])
        middle = start + (1 << ((width - 1).bit_length() - 1))
        return hash_children(between(start, middle), between(middle, stop))

    return between(0, size) if size else EMPTY_ROOT
