"""Proof verifiers are total: whatever they are given, they return or refuse with a typed error; no flipped bit passes.

Receipts, notes and checkpoints of bytes have their tests in `tests/vectors/test_chance.py`; here are the verifiers that
take values, and the completeness proof.
"""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.completeness.proof import CompleteHistory, parse_completeness, verify_completeness
from ledger.completeness.smt import MapProof, verify_absent, verify_member
from ledger.errors import LedgerError, ProofError, ResumeRefused
from ledger.fsck.state import read_state
from ledger.merkle import prove_consistency, verify_consistency, verify_inclusion
from ledger.records.codec import decode_entry
from tests.fuzz.fuzz_verifiers import is_truly_absent
from tests.fuzz.seeds import KEYS, ORIGIN, PROOFS, TREE

HASHES = st.binary(min_size=32, max_size=32) | st.sampled_from([bytes(32), TREE.root(23), TREE.node(0, 3)])
ANYTHING: Any = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.binary(max_size=70)
    | st.lists(st.binary(max_size=40), max_size=5) | st.just(bytearray(32)) | st.just(memoryview(bytes(32)))
)  # fmt: skip
SIZES: Any = st.integers(0, 30) | st.integers(-(1 << 70), 1 << 70) | ANYTHING
PROOF: Any = st.lists(HASHES, max_size=70) | st.lists(HASHES, max_size=70).map(tuple) | ANYTHING


@settings(max_examples=400)
@given(HASHES | ANYTHING, SIZES, SIZES, PROOF, HASHES | ANYTHING)
def test_inclusion_is_proved_or_refused(leaf: Any, index: Any, size: Any, proof: Any, root: Any) -> None:
    with suppress(ProofError):
        verify_inclusion(leaf, index, size, proof, root)


@settings(max_examples=400)
@given(SIZES, SIZES, PROOF, HASHES | ANYTHING, HASHES | ANYTHING)
def test_consistency_is_proved_or_refused(old: Any, new: Any, proof: Any, before: Any, after: Any) -> None:
    with suppress(ProofError):
        verify_consistency(old, new, proof, before, after)


@given(st.integers(0, 23), st.integers(0, 23), st.data())
def test_no_flipped_bit_of_a_consistency_proof_passes(old: int, new: int, data: st.DataObject) -> None:
    old, new = sorted((old, new))
    proof = prove_consistency(old, new, TREE.node)
    verify_consistency(old, new, proof, TREE.root(old), TREE.root(new))
    for _ in range(10):
        changed = [TREE.root(old), TREE.root(new), *proof]
        at, byte, bit = data.draw(st.tuples(st.integers(0, len(changed) - 1), st.integers(0, 31), st.integers(0, 7)))
        value = bytearray(changed[at])
        value[byte] ^= 1 << bit
        changed[at] = bytes(value)
        if old == 0 and at == 1 and new > 0:
            continue  # everything extends nothing
        with pytest.raises(ProofError):
            verify_consistency(old, new, changed[2:], changed[0], changed[1])


@settings(max_examples=400)
@given(
    HASHES | ANYTHING,
    HASHES | ANYTHING,
    HASHES | ANYTHING,
    st.builds(MapProof, path=PROOF | ANYTHING, end=st.tuples(HASHES, HASHES) | ANYTHING) | ANYTHING,
)
def test_a_map_proof_is_proved_or_refused(root: Any, key: Any, value: Any, proof: Any) -> None:
    with suppress(ProofError):
        verify_member(root, key, value, proof)
    with suppress(ProofError):
        verify_absent(root, key, proof)


NEAR = st.integers(0, 2).flatmap(
    lambda number: st.tuples(
        st.just(PROOFS.completeness[number]),
        st.lists(st.tuples(st.integers(0, len(PROOFS.completeness[number])), st.binary(max_size=4)), max_size=3),
    )
)


@settings(max_examples=300)
@given(NEAR | st.binary(max_size=400))
def test_a_completeness_proof_is_proved_or_refused(given_: bytes | tuple[bytes, list[tuple[int, bytes]]]) -> None:
    data = given_ if isinstance(given_, bytes) else given_[0]
    if not isinstance(given_, bytes):
        for at, piece in given_[1]:
            data = data[:at] + piece + data[at + len(piece) :]
    for verify in (parse_completeness, lambda data: verify_completeness(data, KEYS, ORIGIN)):
        try:
            proved = verify(data)
        except LedgerError:
            continue
        assert verify is parse_completeness or data in PROOFS.completeness or is_truly_absent(proved)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_flipped_bit_of_a_completeness_proof_proves_nothing_that_is_not_so(number: int) -> None:
    proof = PROOFS.completeness[number]
    verify_completeness(proof, KEYS, ORIGIN)
    source = random.Random(number)
    for at in range(len(proof)):
        changed = proof[:at] + bytes([proof[at] ^ 1 << source.randrange(8)]) + proof[at + 1 :]
        assert passes(changed) is None or is_truly_absent(passes(changed))
        assert number != 0 or passes(changed) is None


def passes(data: bytes) -> CompleteHistory | None:
    with suppress(LedgerError):
        return verify_completeness(data, KEYS, ORIGIN)
    return None


@given(st.data())
def test_no_proof_is_one_of_another_set_of_entries(data: st.DataObject) -> None:
    from ledger.canonical import canonical, parse_canonical

    leaves = [leaf.decode() for leaf in TREE.leaves]
    number = data.draw(st.integers(0, 2))
    value = parse_canonical(PROOFS.completeness[number])
    assert isinstance(value, dict)
    entries = data.draw(st.lists(st.sampled_from(leaves), max_size=4) | st.permutations(value["entries"]))  # type: ignore[arg-type]
    record = data.draw(st.sampled_from([value["record"], *(decode_entry(leaf).record.hex() for leaf in TREE.leaves)]))
    changed = canonical({**value, "entries": entries, "record": record})
    proved = passes(changed)
    assert proved is None or changed in PROOFS.completeness or is_truly_absent(proved)


@given(st.text(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=9).map(str))
def test_the_state_of_a_check_is_read_or_refused(text: str) -> None:
    with suppress(ResumeRefused):
        read_state(text)
