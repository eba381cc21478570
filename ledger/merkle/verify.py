"""Verification of Merkle proofs (RFC 9162, 2.1.3.2 and 2.1.4.2).

Both functions are total: whatever they are given, they return None or raise `ProofError`. The size must come from a
signed checkpoint, never from the proof: many inclusion proofs also verify in a tree of another size.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import ProofError
from ledger.merkle.hasher import EMPTY_ROOT, hash_children

_LONGEST = 64
_LARGEST = (1 << 63) - 1


def _require_sizes(*sizes: int) -> None:
    for size in sizes:
        if type(size) is not int or not 0 <= size <= _LARGEST:
            raise ProofError("a size or index is not a number from 0 to 2^63-1")


def _require_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if type(value) is not bytes or len(value) != 32:
            raise ProofError("a hash is not 32 bytes long")


def _require_proof(proof: Sequence[bytes], at_most: int) -> None:
    if not isinstance(proof, list | tuple):
        raise ProofError("the proof is not a list of hashes")
    if len(proof) > at_most:
        raise ProofError("the proof is too long")
    _require_hashes(*proof)


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Verify that the leaf with `leaf_hash` is at `index` in the tree of `size` leaves with `root`.

    Raises:
        ProofError: it is not, or an argument is not what it should be.
    """
    _require_sizes(index, size)
    _require_hashes(leaf_hash, root)
    _require_proof(proof, _LONGEST)
    if index >= size:
        raise ProofError(f"no leaf {index} in a tree of {size}")
    here, last, computed = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is too long for this tree")
        if here & 1 or here == last:
            computed = hash_children(sibling, computed)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            computed = hash_children(computed, sibling)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ProofError("the proof is too short for this tree")
    if computed != root:
        raise ProofError("the proof leads to another root")


def verify_consistency(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Verify that the tree with `new_root` begins with the tree with `old_root`.

    Raises:
        ProofError: it does not, or an argument is not what it should be.
    """
    _require_sizes(old_size, new_size)
    _require_hashes(old_root, new_root)
    _require_proof(proof, _LONGEST)
    if old_size > new_size:
        raise ProofError(f"a tree of {new_size} cannot extend a tree of {old_size}")
    if (old_size == 0 and old_root != EMPTY_ROOT) or (new_size == 0 and new_root != EMPTY_ROOT):
        raise ProofError("an empty tree has another root")
    if old_size == new_size and old_root != new_root:
        raise ProofError("two roots for one size")
    if old_size in (0, new_size):
        if proof:
            raise ProofError("the proof should be empty")
        return
    _verify_growth(old_size, new_size, list(proof), old_root, new_root)


def _verify_growth(old_size: int, new_size: int, path: list[bytes], old_root: bytes, new_root: bytes) -> None:
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofError("the proof is too short for these trees")
    here, last = old_size - 1, new_size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old_computed = new_computed = path[0]
    for node in path[1:]:
        if last == 0:
            raise ProofError("the proof is too long for these trees")
        if here & 1 or here == last:
            old_computed = hash_children(node, old_computed)
            new_computed = hash_children(node, new_computed)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            new_computed = hash_children(new_computed, node)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ProofError("the proof is too short for these trees")
    if old_computed != old_root or new_computed != new_root:
        raise ProofError("the proof leads to another root")
