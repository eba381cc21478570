"""Keys that are not looked up are never stored ones."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.appends import freshness
from ledger.appends.freshness import Fresh

KEYS = st.sets(st.integers(0, 200).map(lambda n: n.to_bytes(2, "big")), max_size=30)


@settings(deadline=None)
@given(before=KEYS, batches=st.lists(KEYS, max_size=12))
def test_whatever_is_stored_is_old(before: set[bytes], batches: list[set[bytes]]) -> None:
    fresh, stored = Fresh(max(before, default=b""), most=20), set(before)
    for keys in batches:
        assert keys & stored <= fresh.old(keys) <= keys
        fresh.stored(keys)
        stored |= keys


def test_greater_keys_are_new_until_they_are_stored() -> None:
    fresh = Fresh(b"\x05")
    assert fresh.old({b"\x04", b"\x05", b"\x06"}) == {b"\x04", b"\x05"}
    fresh.stored({b"\x08"})
    assert fresh.old({b"\x06", b"\x08"}) == {b"\x08"}


def test_only_the_newest_keys_are_held() -> None:
    fresh = Fresh(b"")
    for number in range(10 * freshness.MOST):
        fresh.stored([number.to_bytes(4, "big")])
    assert fresh.held <= 2 * freshness.MOST
    assert fresh.old({b"\x00\x00\x00\x00"}) == {b"\x00\x00\x00\x00"}
