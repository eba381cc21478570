"""The sparse Merkle tree: its roots, its proofs, its pages."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.completeness.pages import LARGEST_BUCKET, prove_key, read_root, update_pages
from ledger.completeness.scratch import OverlaidPages, ScratchPages
from ledger.completeness.smt import EMPTY, MapProof, map_root, prove_within, verify_absent, verify_member
from ledger.errors import LedgerDamaged, ProofError
from tests.ledger.completeness import naive

# Keys that share long beginnings are what a tree of random keys hardly ever sees, so they are made on purpose.
_BEGINNINGS = (bytes(31), b"\xff" * 31, b"\x80" + bytes(30), hashlib.sha256(b"x").digest()[:31])
crowded = st.builds(lambda start, last: start + bytes([last]), st.sampled_from(_BEGINNINGS), st.integers(0, 255))
keys = crowded | st.binary(min_size=32, max_size=32)
maps = st.dictionaries(keys, st.binary(min_size=32, max_size=32), max_size=60)


class MemoryPages:
    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def load(self, paths: Sequence[bytes]) -> dict[bytes, bytes]:
        return {path: self.rows[path] for path in paths if path in self.rows}

    def save(self, pages: Mapping[bytes, bytes]) -> None:
        self.rows.update(pages)


def spread(count: int, seed: int = 7) -> dict[bytes, bytes]:
    source = random.Random(seed)
    return {source.randbytes(32): source.randbytes(32) for _ in range(count)}


@given(maps)
def test_the_root_is_what_the_definition_says(pairs: dict[bytes, bytes]) -> None:
    assert map_root(pairs) == naive.root(pairs)


def test_known_roots() -> None:
    one = {bytes(32): b"\x11" * 32}
    two = {**one, b"\x01" + bytes(31): b"\x22" * 32}
    assert map_root({}) == bytes(32)
    assert map_root(one).hex() == hashlib.sha256(bytes(33) + b"\x11" * 32).hexdigest()
    left = hashlib.sha256(b"\x00" + bytes(32) + b"\x11" * 32).digest()
    right = hashlib.sha256(b"\x00" + b"\x01" + bytes(31) + b"\x22" * 32).digest()
    expected = hashlib.sha256(b"\x01" + left + right).digest()
    for _ in range(7):  # the two keys part at their eighth bit only
        expected = hashlib.sha256(b"\x01" + expected + bytes(32)).digest()
    assert map_root(two) == expected


@given(maps, st.data())
def test_every_key_is_proved_and_no_other_value(pairs: dict[bytes, bytes], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(pairs)) | keys if pairs else keys)
    root, proof = map_root(pairs), prove_within(sorted(pairs.items()), key, 0)
    if key in pairs:
        verify_member(root, key, pairs[key], proof)
        with pytest.raises(ProofError):
            verify_absent(root, key, proof)
        with pytest.raises(ProofError):
            verify_member(root, key, bytes(31) + b"\x07", proof)
    else:
        verify_absent(root, key, proof)
        with pytest.raises(ProofError):
            verify_member(root, key, bytes(32), proof)


@given(maps.filter(bool), keys, st.data())
def test_no_altered_proof_passes(pairs: dict[bytes, bytes], key: bytes, data: st.DataObject) -> None:
    root, proof = map_root(pairs), prove_within(sorted(pairs.items()), key, 0)
    path = list(proof.path)
    change = data.draw(st.sampled_from(["flip", "drop", "add", "end", "root"]))
    end = proof.end
    if change == "flip" and path:
        at = data.draw(st.integers(0, len(path) - 1))
        path[at] = bytes([path[at][0] ^ 1]) + path[at][1:]
    elif change == "drop" and path:
        del path[data.draw(st.integers(0, len(path) - 1))]
    elif change == "add":
        path.insert(data.draw(st.integers(0, len(path))), data.draw(st.binary(min_size=32, max_size=32)))
    elif change == "end":
        end = None if end else (bytes(32) if key != bytes(32) else b"\x01" * 32, bytes(32))
    else:
        root = bytes([root[0] ^ 1]) + root[1:]
    altered = MapProof(path=tuple(path), end=end)
    for value in {end[1] if end else bytes(32), pairs.get(key, bytes(32))}:
        with pytest.raises(ProofError):
            verify_member(root, key, value, altered)
    with pytest.raises(ProofError):
        verify_absent(root, key, altered)


@pytest.mark.parametrize(
    "proof",
    [
        None,
        (),
        MapProof(path=[], end=None),  # type: ignore[arg-type]
        MapProof(path=(b"short",), end=None),
        MapProof(path=("x" * 32,), end=None),  # type: ignore[arg-type]
        MapProof(path=(bytes(32),), end=None),
        MapProof(path=(b"\x01" * 32,) * 257, end=None),
        MapProof(path=(), end=(bytes(32),)),  # type: ignore[arg-type]
        MapProof(path=(), end=(bytes(31), bytes(32))),
        MapProof(path=(), end=[bytes(32), bytes(32)]),  # type: ignore[arg-type]
    ],
)
def test_nonsense_is_refused_and_never_crashes(proof: Any) -> None:
    with pytest.raises(ProofError):
        verify_absent(b"\x01" * 32, bytes(32), proof)
    with pytest.raises(ProofError):
        verify_member(b"\x01" * 32, bytes(32), bytes(32), proof)
    with pytest.raises(ProofError):
        verify_absent("root", bytes(32), MapProof(path=(), end=None))  # type: ignore[arg-type]


def test_a_proof_ending_in_a_key_from_elsewhere_is_refused() -> None:
    pairs = {bytes([top]) + bytes(31): b"\x05" * 32 for top in (0x00, 0x40, 0x80, 0xC0)}
    root = map_root(pairs)
    elsewhere = prove_within(sorted(pairs.items()), b"\x80" + bytes(31), 0)
    with pytest.raises(ProofError, match="elsewhere"):
        verify_absent(root, b"\x01" + bytes(31), elsewhere)


@settings(max_examples=40, deadline=None)
@given(st.lists(maps, max_size=4), keys)
def test_pages_grown_step_by_step_hold_the_same_tree(steps: list[dict[bytes, bytes]], key: bytes) -> None:
    pages, whole = MemoryPages(), dict[bytes, bytes]()
    for changes in steps:
        whole.update(changes)
        assert update_pages(pages, changes) == read_root(pages) == map_root(whole)
    for asked in (key, *sorted(whole)[::9]):
        assert prove_key(pages, asked) == prove_within(sorted(whole.items()), asked, 0)


@settings(max_examples=40, deadline=None)
@given(st.lists(maps, min_size=1, max_size=4))
def test_what_was_set_can_be_taken_back_without_touching_the_stored_pages(steps: list[dict[bytes, bytes]]) -> None:
    pages, whole, roots, formers = MemoryPages(), dict[bytes, bytes](), [EMPTY], list[dict[bytes, bytes | None]]()
    for changes in steps:
        formers.append({key: whole.get(key) for key in changes})
        whole.update(changes)
        roots.append(update_pages(pages, changes, roots[-1]))
    stored = dict(pages.rows)
    with ScratchPages() as scratch:
        overlaid, root = OverlaidPages(pages, scratch), roots[-1]
        for former, before in zip(reversed(formers), reversed(roots[:-1]), strict=True):
            root = update_pages(overlaid, former, root)
            assert root == before
    assert pages.rows == stored


def test_no_page_on_the_way_of_a_change_can_be_altered_unnoticed() -> None:
    pages, whole = MemoryPages(), spread(400)
    root = update_pages(pages, whole)
    changes = dict.fromkeys(list(whole)[:3], b"\t" * 32)
    touched = [p for p in pages.rows if any(k.hex().startswith("".join(f"{n:x}" for n in p)) for k in changes)]
    assert len(touched) > 3
    for path in touched:
        for altered in altered_pages(pages.rows[path], [t[-1] for t in touched if t and t[:-1] == path]):
            other = MemoryPages()
            other.rows = {**pages.rows, path: altered}
            before = dict(other.rows)
            with pytest.raises(LedgerDamaged):
                update_pages(other, changes, root)
            assert other.rows == before
    for wrong in (EMPTY, b"\x01" * 32):
        with pytest.raises(LedgerDamaged):
            update_pages(pages, changes, wrong)
        with pytest.raises(LedgerDamaged):
            update_pages(pages, {}, wrong)


def altered_pages(data: bytes, below: Sequence[int]) -> list[bytes]:
    """Other pages than one: a bit in each part, the tags of what is read below, and what is of another tree."""
    made = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(0, len(data), 7)]
    if data[0] == 1:
        made += [data[:at] + bytes([3 - data[at]]) + data[at + 1 :] for at in [1 + 33 * child for child in below]]
        made.append(data[:1] + b"\x00" + bytes(32) + data[34:])
    else:
        made += [data[:-64], data + data[-64:], b"\x00" + b"\xff" * 64]
    return [one for one in made if one != data]


def test_a_page_left_over_where_nothing_stands_is_not_taken_in() -> None:
    pages, whole = (
        MemoryPages(),
        {bytes([top]) + bytes([low]) + bytes(30): b"\x05" * 32 for top in (0, 1) for low in range(40)},
    )
    root = update_pages(pages, whole)
    late = b"\x70" + bytes(31)
    pages.rows[b"\x07"] = b"\x00" + b"\x71" + bytes(31) + b"\x06" * 32
    with pytest.raises(LedgerDamaged):
        update_pages(pages, {late: b"\x05" * 32}, root)


def test_pages_do_not_depend_on_the_order_of_changes() -> None:
    whole = spread(3000)
    at_once, bit_by_bit = MemoryPages(), MemoryPages()
    update_pages(at_once, whole)
    shuffled = list(whole.items())
    random.Random(1).shuffle(shuffled)
    for first in range(0, len(shuffled), 100):
        update_pages(bit_by_bit, {key: bytes(32) for key, _ in shuffled[first : first + 130]})
        update_pages(bit_by_bit, dict(shuffled[first : first + 100]))
    assert update_pages(bit_by_bit, whole) == read_root(at_once) == map_root(whole)
    assert at_once.rows.keys() == bit_by_bit.rows.keys()


def test_a_change_touches_few_pages() -> None:
    class Counting(MemoryPages):
        touched = 0

        def save(self, pages: Mapping[bytes, bytes]) -> None:
            self.touched = len(pages)
            super().save(pages)

    pages = Counting()
    whole = spread(20_000)
    update_pages(pages, whole)
    update_pages(pages, {next(iter(whole)): bytes(32)})
    assert pages.touched <= 5
    assert all(len(data) <= 1 + 64 * LARGEST_BUCKET for data in pages.rows.values() if data[0] == 0)


def test_nothing_changed_is_no_write() -> None:
    pages = MemoryPages()
    assert update_pages(pages, {}) == EMPTY
    assert pages.rows == {}


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00" + bytes(63), b"\x01" + bytes(33 * 15), b"\x02" + bytes(64)])
def test_a_malformed_page_is_damage(data: bytes) -> None:
    pages = MemoryPages()
    pages.rows[b""] = data
    for ask in (lambda: read_root(pages), lambda: prove_key(pages, bytes(32)), lambda: update_pages(pages, spread(1))):
        with pytest.raises(LedgerDamaged):
            ask()


def test_a_missing_page_is_damage() -> None:
    pages = MemoryPages()
    whole = spread(100)
    update_pages(pages, whole)
    for path in [path for path in pages.rows if path]:
        del pages.rows[path]
    with pytest.raises(LedgerDamaged):
        prove_key(pages, next(iter(whole)))
