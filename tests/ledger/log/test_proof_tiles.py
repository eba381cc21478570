"""What a proof is read from is known before it is made, so that it can be fetched at once."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ledger.log.tiles import locate, proof_tiles
from ledger.merkle import prove_inclusion

SIZES = st.integers(1, 1 << 40) | st.sampled_from([1, 255, 256, 257, 512, 65535, 65536, 65537, 1 << 24])


@given(SIZES, st.integers(0))
@example(256, 255)
@example(65536 + 256, 65536)
def test_a_proof_reads_no_tile_but_those_that_were_listed(size: int, pick: int) -> None:
    index, read = pick % size, set()

    def node(level: int, at: int) -> bytes:
        tile_level, n, _, _ = locate(level, at)
        read.add((tile_level, n))
        return bytes(32)

    prove_inclusion(index, size, node)
    listed = proof_tiles(index, size)
    assert read <= set(listed)
    assert len(set(listed)) == len(listed) <= 2 * 5
