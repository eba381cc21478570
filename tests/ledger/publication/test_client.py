"""Reading a published log whose publisher may lie."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import (
    EntryError,
    EntryMissing,
    ProofError,
    PublicationDamaged,
    PublicationUnavailable,
    ResourceMissing,
    WrongKey,
    WrongOrigin,
    verify_receipt,
)
from ledger.log.algorithms.ed25519 import Ed25519Signer
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.merkle import hash_leaf, prove_inclusion, tree_root, verify_consistency, verify_inclusion
from ledger.publication.client import PublishedLog, published_key_history
from ledger.publication.inspection import inspect_published
from ledger.publication.paths import implied, right_edge
from ledger.publication.sources import HttpSource
from ledger.publication.tiles import ProvedTiles
from tests.ledger.publication.logs import Memory, leaf, materialise

ORIGIN = "example.gov.cn/ledger"
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
BIG, BIG_ROOT = materialise(66_000)
SMALL, SMALL_ROOT = materialise(700)


def copy(memory: Memory) -> Memory:
    return Memory(dict(memory.resources))


def signed(size: int, root: bytes) -> bytes:
    return sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root), [SIGNER])


def published(memory: Memory, size: int, root: bytes) -> PublishedLog:
    memory.resources["checkpoint"] = signed(size, root)
    return PublishedLog(memory, [SIGNER.verifier], ORIGIN)


def test_a_proof_of_a_large_log_takes_few_tiles_each_proved() -> None:
    memory = copy(BIG)
    log = published(memory, 66_000, BIG_ROOT)
    seen = log.checkpoint()
    for index in (0, 255, 256, 65_535, 65_536, 65_999):
        assert log.entry(seen, index) == leaf(index)
        verify_inclusion(hash_leaf(leaf(index)), index, 66_000, log.inclusion(seen, index), BIG_ROOT)
    assert len(memory.fetched) < 25


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.data())
def test_every_size_of_the_log_is_proved_from_the_tiles_of_a_later_one(size: int, data: st.DataObject) -> None:
    """Partial tiles of earlier checkpoints were removed; the full ones stand in for them, as the format allows."""
    root = ProvedTiles(SMALL, 700, SMALL_ROOT)
    memory = copy(SMALL)
    for path in right_edge(size):
        if str(path.full) not in memory.resources:
            wider = [body for name, body in memory.resources.items() if name.startswith(f"{path.full}.p/")]
            memory.resources[str(path)] = max(wider, key=len)[: 32 * path.width]
    expected = tree_root(size, root.node)
    tiles = ProvedTiles(memory, size, expected)
    index = data.draw(st.integers(0, size - 1))
    proof = prove_inclusion(index, size, tiles.node)
    verify_inclusion(hash_leaf(leaf(index)), index, size, proof, expected)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_changed_bit_of_any_resource_goes_unnoticed(data: st.DataObject) -> None:
    memory = copy(SMALL)
    path = data.draw(st.sampled_from([str(path) for path in implied(700)]))
    body = bytearray(memory.resources[path])
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    body[bit // 8] ^= 1 << bit % 8
    memory.resources[path] = bytes(body)
    with pytest.raises((PublicationDamaged, ResourceMissing)):
        read_all(memory)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_shortened_lengthened_or_missing_resource_goes_unnoticed(data: st.DataObject) -> None:
    memory = copy(SMALL)
    path = data.draw(st.sampled_from([str(path) for path in implied(700)]))
    body = memory.resources[path]
    changed = data.draw(st.sampled_from([None, b"", body[:-1], body[:-32], body + b"\0", body + bytes(32), body * 2]))
    if changed is None:
        del memory.resources[path]
    else:
        memory.resources[path] = changed
    with pytest.raises((PublicationDamaged, ResourceMissing)):
        read_all(memory)


def read_all(memory: Memory) -> None:
    tiles = ProvedTiles(memory, 700, SMALL_ROOT)
    for n in range(3):
        tiles.entries(n)


def test_two_resources_exchanged_are_noticed() -> None:
    memory = copy(SMALL)
    for kind in ("tile/0", "tile/entries"):
        held = memory.resources
        held[f"{kind}/000"], held[f"{kind}/001"] = held[f"{kind}/001"], held[f"{kind}/000"]
    with pytest.raises(PublicationDamaged):
        read_all(memory)


def test_a_wrong_right_edge_is_refused_before_anything_is_read_from_it() -> None:
    memory = copy(SMALL)
    memory.resources["tile/0/002.p/187"] = memory.resources["tile/0/002.p/188"][:-32]
    with pytest.raises(PublicationDamaged, match="another root"):
        ProvedTiles(memory, 699, SMALL_ROOT)
    with pytest.raises(PublicationDamaged, match="another root"):
        ProvedTiles(SMALL, 0, SMALL_ROOT)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 300, 512, 699, 700])
def test_an_old_checkpoint_is_proved_to_be_a_prefix_and_a_forked_one_is_not(size: int) -> None:
    log = published(copy(SMALL), 700, SMALL_ROOT)
    new = log.checkpoint()
    old_root = tree_root(size, new.tiles.node)
    proof = log.consistency(signed(size, old_root), new)
    verify_consistency(size, 700, proof, old_root, SMALL_ROOT)
    with pytest.raises(ProofError):
        log.consistency(signed(size, bytes(32)), new)


def test_a_checkpoint_beyond_the_published_one_and_one_of_another_log_are_no_prefix() -> None:
    log = published(copy(SMALL), 700, SMALL_ROOT)
    new = log.checkpoint()
    with pytest.raises(ProofError):
        log.consistency(signed(701, SMALL_ROOT), new)
    other = sign_checkpoint(Checkpoint(origin="other.example/log", size=1, root=bytes(32)), [SIGNER])
    with pytest.raises(WrongOrigin):
        log.consistency(other, new)


def test_a_checkpoint_that_came_from_elsewhere_is_read_below() -> None:
    memory = copy(SMALL)
    log = published(memory, 700, SMALL_ROOT)
    older, older_root = materialise(300)
    memory.resources |= {path: body for path, body in older.resources.items() if ".p/" in path}
    seen = log.below(signed(300, older_root))
    assert log.entry(seen, 299) == leaf(299)
    with pytest.raises(EntryMissing):
        log.entry(seen, 300)


@pytest.mark.parametrize("index", [-1, 700, 2**70])
def test_an_entry_the_log_does_not_have_is_not_asked_for(index: int) -> None:
    memory = copy(SMALL)
    log = published(memory, 700, SMALL_ROOT)
    seen = log.checkpoint()
    with pytest.raises(EntryMissing):
        log.entry(seen, index)
    with pytest.raises(EntryMissing):
        log.inclusion(seen, index)


def test_a_checkpoint_of_another_key_or_log_is_refused() -> None:
    memory = copy(SMALL)
    published(memory, 700, SMALL_ROOT)
    stranger = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
    with pytest.raises(WrongKey):
        PublishedLog(memory, [stranger.verifier], ORIGIN).checkpoint()
    with pytest.raises(WrongOrigin):
        PublishedLog(memory, [SIGNER.verifier], "another.example/log").checkpoint()


def test_entries_that_are_none_of_this_ledger_are_told_by_inspection() -> None:
    memory, root = materialise(3)
    report = inspect_published(published(memory, 3, root))
    assert [damage.index for damage in report.damages] == [0, 1, 2]
    assert not report.sound


def test_inspection_goes_on_after_damage_and_names_each() -> None:
    memory = copy(SMALL)
    memory.resources["tile/entries/000"] = memory.resources["tile/entries/001"]
    del memory.resources["tile/0/001"]
    report = inspect_published(published(memory, 700, SMALL_ROOT))
    told = {damage.index: damage.what for damage in report.damages if damage.index in (0, 256)}
    assert "entry 0 " in told[0]
    assert "tile/0/001 is missing" in told[256]
    assert len([damage for damage in report.damages if damage.index >= 512]) == 188


def test_a_receipt_made_from_tiles_needs_no_database() -> None:
    memory = copy(SMALL)
    log = published(memory, 700, SMALL_ROOT)
    receipt = log.receipt(log.checkpoint(), 5)
    with pytest.raises(EntryError):  # all of it is proved; only what it proves is no entry of this ledger
        verify_receipt(receipt, [SIGNER.verifier], ORIGIN)


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:99999/", "http://xn--/", "http://a\x01b/", "http://", "HTTP://127.0.0.1:99999/",
        "ftp://x/", "file:///tmp", "nowhere", "", __file__,
    ],
)  # fmt: skip
def test_a_place_that_is_neither_a_folder_nor_a_url_is_named(place: str) -> None:
    with pytest.raises(PublicationUnavailable) as refused:
        published_key_history(place)
    assert repr(place) in str(refused.value)


def test_a_scheme_in_capitals_is_asked_over_http() -> None:
    with pytest.raises(PublicationUnavailable, match=r"cannot be fetched \(ConnectError\)"):
        published_key_history("HTTP://127.0.0.1:1/")


@pytest.mark.parametrize(
    ("prefix", "told"),
    [("http://127.0.0.1:99999/", "OverflowError"), ("http://xn--/", "IDNAError"), ("http://a\x01b/", "InvalidURL")],
)
def test_whatever_the_http_client_makes_of_an_address_is_no_answer(prefix: str, told: str) -> None:
    with HttpSource(prefix) as source, pytest.raises(PublicationUnavailable, match=rf"\({told}\)"):
        source.fetch("checkpoint", 100)
