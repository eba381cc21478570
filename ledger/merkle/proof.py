"""Merkle proofs (RFC 9162, 2.1.3.1 and 2.1.4.1; the same as RFC 6962)."""

from __future__ import annotations

from ledger.errors import ProofError
from ledger.merkle.tree import NodeReader, RangeReader, subtree_root


def _split(count: int) -> int:
    """Return the largest power of two smaller than `count` (at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def prove_inclusion(
    index: int, size: int, node: NodeReader, *, above: int = 0, part: RangeReader = subtree_root
) -> list[bytes]:
    """Make the inclusion proof of leaf `index` in the tree of `size` leaves, from the leaf's sibling upwards.

    With `above`, only what proves the complete subtree of that height which holds the leaf. `part` computes the hash
    over some leaves, as `subtree_root` does.

    Raises:
        ProofError: there is no such leaf in a tree of that size.
    """
    if not 0 <= index < size:
        raise ProofError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1 << above:
        middle = start + _split(end - start)
        if index < middle:
            path.append(part(middle, end, node))
            end = middle
        else:
            path.append(part(start, middle, node))
            start = middle
    path.reverse()
    return path


def prove_consistency(old_size: int, new_size: int, node: NodeReader) -> list[bytes]:
    """Make the proof that the tree of `new_size` leaves begins with the tree of `old_size` leaves.

    The proof is empty when the old tree is empty or the sizes are equal.

    Raises:
        ProofError: the old tree is larger than the new one, or a size is negative.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a tree of {new_size} cannot extend a tree of {old_size}")
    if old_size in (0, new_size):
        return []
    path: list[bytes] = []
    start, end, whole = 0, new_size, True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(subtree_root(middle, end, node))
            end = middle
        else:
            path.append(subtree_root(start, middle, node))
            start, whole = middle, False
    if not whole:
        path.append(subtree_root(start, end, node))
    path.reverse()
    return path
