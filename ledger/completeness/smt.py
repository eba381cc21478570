"""A compact sparse Merkle tree: the root of a set of pairs, and proofs of what is in it and what is not.

Keys and values have 32 bytes; the bits of a key, the highest of the first byte first, are the way from the root (0 is
left). A subtree's hash is

    32 zero bytes                               if it holds no key
    SHA-256(0x00 || key || value)               if it holds one key, however high it stands
    SHA-256(0x01 || hash left || hash right)    otherwise

so that equal sets have equal roots, whatever their histories. It is the tree of Diem's "Jellyfish Merkle tree" (2021),
with its own prefixes. A root decides at most one answer for each key: a node has one preimage, and its first byte
tells a leaf from an inner node, so a proof of absence beside a proof of membership would be a collision of SHA-256.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ledger.errors import ProofError

EMPTY = bytes(32)
"""The hash of a subtree without keys."""
DEPTH = 256
Pair = tuple[bytes, bytes]
"""`(key, value)`, 32 bytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapProof:
    """A way down from the root: the hashes beside it, the highest first, and the one pair at its end.

    `end` is the pair of the key itself (it is a member), of another key (which stands alone where the key would have to
    be), or None (nothing is there).
    """

    path: tuple[bytes, ...]
    end: Pair | None


def hash_pair(key: bytes, value: bytes) -> bytes:
    """Hash one leaf of the map, 32 bytes."""
    return sha256(b"\x00" + key + value).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Hash one inner node, 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def bit_at(key: bytes, depth: int) -> int:
    """Return the bit of a key that chooses the way at a depth from 0 to 255."""
    return key[depth >> 3] >> (7 - (depth & 7)) & 1


def subtree_hash(pairs: Sequence[Pair], depth: int) -> bytes:
    """Compute the hash over pairs in the order of their keys, whose first `depth` bits are the same."""
    if not pairs:
        return EMPTY
    hashed = sha256
    keys = [int.from_bytes(key, "big") for key, _ in pairs]
    leaves = [hashed(b"\x00" + key + value).digest() for key, value in pairs]

    def between(start: int, end: int, top: int) -> bytes:
        if end - start == 1:
            return leaves[start]
        # The first and the last key part where all of them do first; above it the subtree has one side only.
        below = (keys[start] ^ keys[end - 1]).bit_length() - 1
        middle = bisect_left(keys, keys[end - 1] >> below << below, start, end)
        parting = DEPTH - 1 - below
        left, right = between(start, middle, parting + 1), between(middle, end, parting + 1)
        value = hashed(b"\x01" + left + right).digest()
        for bit in range(below + 1, DEPTH - top):
            sides = EMPTY + value if keys[start] >> bit & 1 else value + EMPTY
            value = hashed(b"\x01" + sides).digest()
        return value

    return between(0, len(pairs), depth)


def map_root(pairs: Mapping[bytes, bytes]) -> bytes:
    """Compute the root of a whole map in memory."""
    return subtree_hash(sorted(pairs.items()), 0)


def prove_within(pairs: Sequence[Pair], key: bytes, depth: int) -> MapProof:
    """Make the part of a proof that lies in the subtree of some pairs, given as for `subtree_hash`."""
    path: list[bytes] = []
    while len(pairs) > 1:
        middle = sum(1 for other, _ in pairs if not bit_at(other, depth))
        left, right = pairs[:middle], pairs[middle:]
        here, beside = (right, left) if bit_at(key, depth) else (left, right)
        depth += 1
        path.append(subtree_hash(beside, depth))
        pairs = here
    return MapProof(path=tuple(path), end=pairs[0] if pairs else None)


def verify_member(root: bytes, key: bytes, value: bytes, proof: MapProof) -> None:
    """Verify that the map with `root` holds `value` under `key`; total.

    Raises:
        ProofError: the proof does not show it, or an argument is not what it should be.
    """
    _require_hashes(root, key, value)
    _require_proof(proof)
    if proof.end != (key, value):
        raise ProofError("the proof does not end in this key and value")
    if _climb(key, hash_pair(key, value), proof.path) != root:
        raise ProofError("the proof leads to another root of the map")


def verify_absent(root: bytes, key: bytes, proof: MapProof) -> None:
    """Verify that the map with `root` holds nothing under `key`; total.

    Raises:
        ProofError: the proof does not show it, or an argument is not what it should be.
    """
    _require_hashes(root, key)
    _require_proof(proof)
    bottom = EMPTY
    if proof.end is not None:
        other, value = proof.end
        if other == key:
            raise ProofError("the proof shows the key in the map")
        if _common_bits(other, key) < len(proof.path):
            raise ProofError("the proof ends in a key that stands elsewhere")
        bottom = hash_pair(other, value)
    if _climb(key, bottom, proof.path) != root:
        raise ProofError("the proof leads to another root of the map")


def _climb(key: bytes, bottom: bytes, path: Sequence[bytes]) -> bytes:
    here = bottom
    for depth in range(len(path) - 1, -1, -1):
        here = hash_node(path[depth], here) if bit_at(key, depth) else hash_node(here, path[depth])
    return here


def _common_bits(one: bytes, other: bytes) -> int:
    return DEPTH - (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_length()


def _require_hashes(*hashes: object) -> None:
    for value in hashes:
        if type(value) is not bytes or len(value) != 32:
            raise ProofError("a hash, key or value is not 32 bytes long")


def _require_proof(proof: object) -> None:
    if not isinstance(proof, MapProof):
        raise ProofError("not a proof of a map")
    path: object = proof.path
    end: object = proof.end
    if not isinstance(path, tuple) or len(path) > DEPTH:
        raise ProofError("the path of the proof is not a tuple of at most 256 hashes")
    _require_hashes(*path)
    if end is not None:
        if not isinstance(end, tuple) or len(end) != 2:
            raise ProofError("the end of the proof is not a pair")
        _require_hashes(*end)
    # The tree has no such nodes: one key alone would stand at the parent, and nothing at all would be nothing there.
    if path and path[-1] == EMPTY:
        raise ProofError("the proof goes deeper than the tree")
