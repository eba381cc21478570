"""Proofs made a tile at a time are those made a node at a time."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import ProofError
from ledger.log.tiles import EdgeRoots, ExpandedTile, PackedTile, TileTree, locate, prove_in_tiles
from ledger.merkle import prove_inclusion, tree_root

LARGEST = 66_000
SIZES = st.integers(1, LARGEST) | st.sampled_from([1, 255, 256, 257, 512, 65535, 65536, 65537])


class Stored:
    """The tiles of a tree of `LARGEST` leaves, full ones packed."""

    def __init__(self) -> None:
        tree = TileTree(0, lambda level, n: b"")
        tree.extend([sha256(number.to_bytes(4, "big")).digest() for number in range(LARGEST)])
        self.tiles = {(t.level, t.n): t for t in tree.pending()}

    def load(self, level: int, n: int) -> ExpandedTile | PackedTile:
        tile = self.tiles[level, n]
        return PackedTile(tile.data, tile.inner) if tile.inner else ExpandedTile(tile.data)

    def node(self, level: int, index: int) -> bytes:
        tile_level, n, row, position = locate(level, index)
        found = self.load(tile_level, n).node(row, position)
        assert found is not None
        return found


STORED = Stored()
EDGES = EdgeRoots(capacity=8)


@settings(deadline=None, max_examples=150)
@given(SIZES, st.integers(0))
@example(256, 255)
@example(65536, 65535)
@example(65536 + 256, 65536)
def test_a_proof_from_tiles_is_the_proof_from_nodes(size: int, pick: int) -> None:
    index = pick % size
    proof = prove_inclusion(index, size, STORED.node)
    assert prove_in_tiles(index, size, STORED.load, STORED.node) == proof
    assert prove_in_tiles(index, size, STORED.load, STORED.node, EDGES) == proof
    assert prove_in_tiles(index, size, STORED.load, STORED.node, EDGES) == proof  # now with what was kept


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (256, 256), (65_000, 64_999), (-1, 5)])
def test_a_leaf_that_the_tree_does_not_have_is_not_proved(index: int, size: int) -> None:
    with pytest.raises(ProofError):
        prove_in_tiles(index, size, STORED.load, STORED.node)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 700), max_size=4))
@example([256])
@example([65536, 255])
def test_the_root_of_a_growing_tree_is_that_of_its_nodes(steps: list[int]) -> None:
    tree = TileTree(0, lambda level, n: b"")
    for step in steps:
        tree.extend([STORED.node(0, n) for n in range(tree.size, min(tree.size + step, LARGEST))])
        assert tree.root() == tree_root(tree.size, STORED.node)
