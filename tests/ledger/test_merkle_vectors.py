"""RFC 6962 trees and proofs: known roots, a slow reference, and verifiers that survive anything."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import ProofError
from ledger.merkle import (
    complete_root,
    hash_children,
    hash_leaf,
    root_around,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOT_OF_EIGHT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
"""The eight leaves and their root are those of the Certificate Transparency reference tests."""


def reference_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hash_leaf(leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hash_children(reference_root(leaves[:split]), reference_root(leaves[split:]))


def reference_path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) <= 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*reference_path(index, leaves[:split]), reference_root(leaves[split:])]
    return [*reference_path(index - split, leaves[split:]), reference_root(leaves[:split])]


def reference_consistency(old: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [reference_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*reference_consistency(old, leaves[:split], whole), reference_root(leaves[split:])]
    return [*reference_consistency(old - split, leaves[split:], False), reference_root(leaves[:split])]


def test_the_root_of_the_reference_leaves_is_the_published_one() -> None:
    assert reference_root(LEAVES).hex() == ROOT_OF_EIGHT


def test_every_inclusion_proof_of_small_trees_verifies_and_none_for_another_index() -> None:
    for size in range(1, 20):
        leaves = [bytes([n]) for n in range(size)]
        root = reference_root(leaves)
        for index in range(size):
            proof = reference_path(index, leaves)
            verify_inclusion(hash_leaf(leaves[index]), index, size, proof, root)
            with pytest.raises(ProofError):
                verify_inclusion(hash_leaf(leaves[index]), (index + 1) % (size + 1), size, proof, root)


def test_every_consistency_proof_of_small_trees_verifies() -> None:
    for size in range(1, 20):
        leaves = [bytes([n]) for n in range(size)]
        for old in range(1, size + 1):
            proof = reference_consistency(old, leaves)
            verify_consistency(old, size, proof, reference_root(leaves[:old]), reference_root(leaves))


def test_a_shrunken_log_and_two_roots_of_one_size_are_refused() -> None:
    root, other = reference_root(LEAVES), reference_root(LEAVES[:7])
    for old, new, proof, before, after in (
        (8, 7, [], root, other),
        (8, 8, [], root, other),
        (0, 8, [], root, root),
        (7, 8, [], other, root),
    ):
        with pytest.raises(ProofError):
            verify_consistency(old, new, proof, before, after)


@given(st.integers(1, 40), st.data())
def test_no_flipped_bit_passes(size: int, data: st.DataObject) -> None:
    leaves = [bytes([n]) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    proof, root = reference_path(index, leaves), reference_root(leaves)
    parts = [hash_leaf(leaves[index]), root, *proof]
    which = data.draw(st.integers(0, len(parts) - 1))
    flipped = bytearray(parts[which])
    flipped[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
    parts[which] = bytes(flipped)

    with pytest.raises(ProofError):
        verify_inclusion(parts[0], index, size, parts[2:], parts[1])


numbers = st.integers(-(2**70), 2**70)
hashes = st.binary(max_size=40)


@given(hashes, numbers, numbers, st.lists(hashes, max_size=70), hashes)
def test_inclusion_verification_is_total(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> None:
    with pytest.raises(ProofError):
        verify_inclusion(leaf, index, size, proof, root)


@given(numbers, numbers, st.lists(hashes, max_size=70), hashes, hashes)
def test_consistency_verification_never_raises_anything_else(
    old: int, new: int, proof: list[bytes], before: bytes, after: bytes
) -> None:
    try:
        verify_consistency(old, new, proof, before, after)
    except ProofError:
        return
    assert (old, proof) == (0, []) or (old == new and before == after and not proof)


@given(st.integers(1, 70), st.data())
def test_the_root_around_some_leaves_is_the_root_of_the_tree_for_no_other_leaves(
    size: int, data: st.DataObject
) -> None:
    hashes = [hash_leaf(bytes([n])) for n in range(size)]
    root = reference_root([bytes([n]) for n in range(size)])

    def node(level: int, index: int) -> bytes:
        return complete_root(b"".join(hashes[index << level : (index + 1) << level]))

    first = data.draw(st.integers(0, size - 1))
    given_ = b"".join(hashes[first : data.draw(st.integers(first, size))])
    assert root_around(given_, first, size, node) == root
    if given_:
        at = data.draw(st.integers(0, len(given_) - 1))
        altered = given_[:at] + bytes([given_[at] ^ 1]) + given_[at + 1 :]
        assert root_around(altered, first, size, node) != root


def test_the_root_around_no_leaves_of_no_tree_is_the_empty_one() -> None:
    assert root_around(b"", 0, 0, lambda level, index: b"") == hashlib.sha256(b"").digest()
